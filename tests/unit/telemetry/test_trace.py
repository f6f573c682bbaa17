from __future__ import annotations

from structlog.testing import capture_logs

from pyscheduler.clock import FakeClock
from pyscheduler.telemetry.logs import get_logger
from pyscheduler.telemetry.trace import Trace


def test_slow_work_is_reported_with_its_steps() -> None:
    clock = FakeClock()
    trace = Trace("scheduling", clock.monotonic)
    clock.advance(0.1)
    trace.step("filter")
    clock.advance(0.2)
    trace.step("score")
    clock.advance(0.1)
    trace.step("filter")

    with capture_logs() as lines:
        assert trace.report(get_logger("x"), longer_than_s=0.1, pod="default/a")

    assert lines == [
        {
            "event": "slow",
            "log_level": "warning",
            "work": "scheduling",
            "ms": 400.0,
            "steps": {"filter": 200.0, "score": 200.0},
            "pod": "default/a",
        }
    ]


def test_fast_work_is_not_reported() -> None:
    trace = Trace("scheduling", FakeClock().monotonic)

    with capture_logs() as lines:
        assert not trace.report(get_logger("x"), longer_than_s=0.1)

    assert lines == []
