from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TextIO

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pyscheduler.app.watchdog import TICK_S, Heartbeat, Watchdog
from pyscheduler.clock import FakeClock
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.instruments import Counter, Histogram

HELD = "scheduling loop is held"
ENDING = "scheduling loop was held for too long, ending this process"


class Scene:
    """A watchdog beside a loop that beats when it is told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cpu_s = 0.0
        self.heartbeat = Heartbeat(Histogram((1.0,)), monotonic=self.clock.monotonic)
        self.work = CurrentWork()
        self.work.plugin, self.work.hook, self.work.pod = "Stuck", "filter", "default/a"
        self.held = Counter()
        self.is_leading = True
        self.exits: list[int] = []
        self.watchdog = self.make()

    def make(self, *, dump_to: TextIO | None = None) -> Watchdog:
        return Watchdog(
            self.heartbeat,
            self.work,
            held=self.held,
            monotonic=self.clock.monotonic,
            is_leading=lambda: self.is_leading,
            exit_after_s=10.0,
            exit_process=self.exits.append,
            cpu_time=lambda: self.cpu_s,
            dump_to=dump_to,
        )

    def hold(self, duration_s: float) -> None:
        """Let time pass in which the loop does not beat."""
        for _ in range(round(duration_s / TICK_S)):
            self.clock.advance(TICK_S)
            self.cpu_s += TICK_S
            self.watchdog.tick()

    def beat(self) -> None:
        self.heartbeat.beats += 1
        self.clock.advance(TICK_S)
        self.watchdog.tick()


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def said(lines: list[EventDict]) -> list[object]:
    return [line["event"] for line in lines]


def test_a_short_hold_is_not_reported(scene: Scene, lines: list[EventDict]) -> None:
    scene.hold(0.8)

    assert lines == []
    assert scene.watchdog.held_for() == pytest.approx(0.8)


def test_a_hold_names_plugin_hook_pod_and_stack_once(scene: Scene, lines: list[EventDict]) -> None:
    scene.hold(3.0)

    assert said(lines) == [HELD]
    assert (lines[0]["plugin"], lines[0]["hook"], lines[0]["pod"]) == (
        "Stuck",
        "filter",
        "default/a",
    )
    assert "test_a_hold_names_plugin" in lines[0]["stack"]
    assert scene.held.value == 1


def test_a_beat_ends_the_hold(scene: Scene, lines: list[EventDict]) -> None:
    scene.hold(3.0)
    scene.beat()
    assert scene.watchdog.held_for() == 0.0
    scene.hold(3.0)

    assert said(lines) == [HELD, "scheduling loop goes on", HELD]
    assert scene.exits == []


def test_held_for_is_zero_as_soon_as_the_loop_beats(scene: Scene) -> None:
    scene.hold(3.0)
    scene.heartbeat.beats += 1

    assert scene.watchdog.held_for() == 0.0


def test_a_leader_that_is_held_too_long_ends(scene: Scene, lines: list[EventDict]) -> None:
    scene.hold(10.1)

    assert scene.exits[0] == 1
    assert said(lines)[:2] == [HELD, ENDING]
    assert lines[1]["plugin"] == "Stuck"


def test_losing_the_lease_meanwhile_does_not_spare_it(scene: Scene) -> None:
    scene.hold(5.0)
    scene.is_leading = False
    scene.hold(6.0)

    assert scene.exits


def test_a_standby_is_reported_but_goes_on(scene: Scene, lines: list[EventDict]) -> None:
    scene.is_leading = False
    scene.hold(20.0)

    assert said(lines) == [HELD]
    assert scene.exits == []


def test_a_suspended_process_was_not_held(scene: Scene, lines: list[EventDict]) -> None:
    scene.clock.advance(60.0)
    scene.watchdog.tick()

    assert scene.watchdog.held_for() == pytest.approx(TICK_S)
    assert lines == []


def test_native_code_that_keeps_the_interpreter_counts(
    scene: Scene, lines: list[EventDict]
) -> None:
    scene.clock.advance(5.0)
    scene.cpu_s += 5.0
    scene.watchdog.tick()

    assert scene.watchdog.held_for() == pytest.approx(5.0)
    assert said(lines) == [HELD]


def test_stop_may_be_called_again(scene: Scene) -> None:
    scene.watchdog.start()
    scene.watchdog.stop()
    scene.watchdog.stop()


@pytest.mark.parametrize(
    ("every_s", "is_set"),
    [pytest.param(0.0, True, id="free"), pytest.param(0.004, False, id="a profiler's")],
)
def test_the_timer_of_the_process_is_left_to_a_profiler(
    every_s: float, is_set: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses: list[str] = []
    monkeypatch.setattr("signal.getitimer", lambda _: (0.002, every_s))
    monkeypatch.setattr("signal.setitimer", lambda *_: uses.append("timer"))
    monkeypatch.setattr("faulthandler.register", lambda *_, **__: uses.append("signal"))
    watchdog = scene.make(dump_to=io.StringIO())
    watchdog.start()
    watchdog.stop()
    assert set(uses) == ({"signal", "timer"} if is_set else set())
