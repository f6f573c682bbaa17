from __future__ import annotations

import pytest

from benchmarks.places.usage import Usage


@pytest.mark.parametrize(
    ("moment", "cpu_s"),
    [
        pytest.param(5.0, 1.0, id="before the first sample"),
        pytest.param(10.0, 1.0, id="at a sample"),
        pytest.param(11.0, 1.5, id="between two samples by share"),
        pytest.param(15.0, 2.0, id="after the last sample"),
    ],
)
def test_cpu_at_a_moment(moment: float, cpu_s: float) -> None:
    usage = Usage(())
    usage.add(10.0, 1.0)
    usage.add(12.0, 2.0)
    assert usage.cpu_s_at(moment) == cpu_s


def test_cpu_between_two_moments() -> None:
    usage = Usage(())
    for at_s, cpu_s in ((0.0, 0.0), (10.0, 5.0), (20.0, 5.0)):
        usage.add(at_s, cpu_s)
    assert usage.cpu_s_between(5.0, 15.0) == 2.5


def test_nothing_sampled_is_nothing_used() -> None:
    assert Usage(()).cpu_s_between(0.0, 1.0) == 0.0
