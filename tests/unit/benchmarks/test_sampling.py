from __future__ import annotations

import sys

from benchmarks.sampling import name_of


def test_a_function_is_named_by_file_line_and_qualified_name() -> None:
    name = name_of(sys._getframe())
    assert name.endswith("test_a_function_is_named_by_file_line_and_qualified_name")
    assert "test_sampling.py:" in name
