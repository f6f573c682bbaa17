from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from pyscheduler.app.watchdog import Heartbeat
from pyscheduler.clock import FakeClock
from pyscheduler.telemetry.instruments import Histogram


class Timers:
    """The one method of a loop that a heartbeat uses."""

    def __init__(self) -> None:
        self.armed: list[Callable[[], None]] = []

    def call_later(
        self, _delay_s: float, callback: Callable[[Timers], None], loop: Timers
    ) -> Timers:
        self.armed.append(lambda: callback(loop))
        return self

    def cancel(self) -> None:
        self.armed.clear()

    def fire(self) -> None:
        self.armed.pop()()


def test_heartbeat_measures_how_late_the_loop_is() -> None:
    clock, lag, timers = FakeClock(), Histogram((0.0101, 0.1)), Timers()
    heartbeat = Heartbeat(lag, monotonic=clock.monotonic, interval_s=0.01)
    heartbeat.start(cast(asyncio.AbstractEventLoop, timers))  # it has all that is called
    clock.advance(0.01)
    timers.fire()
    clock.advance(0.06)
    timers.fire()

    assert heartbeat.beats == 2
    assert lag.counts == [1, 1, 0]


def test_heartbeat_stops() -> None:
    timers = Timers()
    heartbeat = Heartbeat(Histogram((1.0,)), monotonic=FakeClock().monotonic)
    heartbeat.start(cast(asyncio.AbstractEventLoop, timers))  # it has all that is called
    heartbeat.stop()
    heartbeat.stop()

    assert timers.armed == []
