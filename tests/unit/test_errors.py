from __future__ import annotations

from pyscheduler.errors import ConfigError


def test_config_error_is_one_line_per_problem_each_with_the_file() -> None:
    error = ConfigError("c.yaml", ["a: bad", "b: bad"])

    assert str(error) == "c.yaml: a: bad\nc.yaml: b: bad"
    assert error.problems == ("a: bad", "b: bad")
