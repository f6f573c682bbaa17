from __future__ import annotations

import sys

from benchmarks.sampling import Sampler, name_of


def test_a_function_is_named_by_file_line_and_qualified_name() -> None:
    name = name_of(sys._getframe())
    assert name.endswith("test_a_function_is_named_by_file_line_and_qualified_name")
    assert "test_sampling.py:" in name


def test_report_gives_every_sample_its_share_of_the_cpu_time() -> None:
    sampler = Sampler()
    sampler.samples = 4
    sampler.own.update({"f": 3, "g": 1})
    sampler.total.update({"f": 3, "g": 4})
    report = sampler.report(pods=1000, cpu_s=0.4)
    assert "400 us of CPU per pod" in report
    assert "   300.0  f" in report
    assert "   400.0  g" in report
