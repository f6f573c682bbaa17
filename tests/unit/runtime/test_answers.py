"""Hints, pre-hints and registrations that nobody can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.runtime import answers as known_answers
from pyscheduler.runtime.instrument import Instrument, PluginFault
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.testing import fake_handle, make_pod, snapshot_of
from pyscheduler.testing.profiles import default_profile


class Faults(list[tuple[str, str]]):
    """Plugin and hook of each fault that was counted."""

    def plugin_executed(self, plugin: str, point: str, seconds: float) -> None: ...

    def plugin_fault(self, plugin: str, hook: str) -> None:
        self.append((plugin, hook))


def raises(*_args: object) -> Any:
    raise SystemExit("bye")


def answers(answer: object) -> Callable[..., Any]:
    return lambda *_: answer


@pytest.mark.parametrize(
    ("known", "answer", "is_plain"),
    [
        pytest.param(known_answers.SIGN, ("a",), True, id="what is signed"),
        pytest.param(known_answers.SIGN, None, True, id="nothing signed"),
        pytest.param(known_answers.FILTER, None, True, id="none"),
        pytest.param(known_answers.SCORE, 7, True, id="score"),
        pytest.param(known_answers.SCORE, True, False, id="of a kind that is no score itself"),
        pytest.param(known_answers.FILTER, fwk.unschedulable("no"), False, id="status"),
        pytest.param(known_answers.PERMIT, (None, 0), False, id="whose parts are looked at"),
        pytest.param(known_answers.SCORE, None, False, id="nothing where something is wanted"),
    ],
)
def test_plain_answers_are_those_whose_type_says_it_all(
    known: known_answers.Answers, answer: object, is_plain: bool
) -> None:
    assert (type(answer) in known.plain) is is_plain
    if is_plain:
        known.check(answer, ())


@pytest.mark.parametrize(
    "hint",
    [
        pytest.param(raises, id="raises"),
        pytest.param(answers(None), id="nothing"),
        pytest.param(answers(False), id="bool"),
        pytest.param(answers("QueueSkip"), id="text"),
    ],
)
def test_a_hint_that_makes_no_sense_counts_as_queue(hint: Callable[..., Any]) -> None:
    faults = Faults()
    asked = Instrument(CurrentWork(), FakeClock(), faults).hint("Mine", hint)

    assert asked is not None
    assert asked(make_pod("a").obj(), None, None) is fwk.QueueingHint.QUEUE
    assert faults == [("Mine", "QueueingHint")]


def test_a_hint_that_held_the_loop_counts_as_queue() -> None:
    faults, clock = Faults(), FakeClock()

    def hint(pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        clock.advance(2)
        return fwk.QueueingHint.SKIP

    asked = Instrument(CurrentWork(), clock, faults).hint("Mine", hint)

    assert asked is not None
    assert asked(make_pod("a").obj(), None, None) is fwk.QueueingHint.QUEUE
    assert faults == [("Mine", "QueueingHint")]


@pytest.mark.parametrize(
    "pre_hint",
    [
        pytest.param(raises, id="raises"),
        pytest.param(answers("default/a"), id="text"),
        pytest.param(answers(5), id="number"),
        pytest.param(answers([["default/a"]]), id="lists"),
        pytest.param(answers([make_pod("a").obj()]), id="pods"),
    ],
)
def test_after_a_pre_hint_that_makes_no_sense_all_pods_are_looked_at(
    pre_hint: Callable[..., Any],
) -> None:
    faults = Faults()
    asked = Instrument(CurrentWork(), FakeClock(), faults).pre_hint("Mine", pre_hint)

    assert asked is not None
    assert asked(None, None) is None
    assert faults == [("Mine", "PreQueueingHint")]


def test_the_watchdog_can_name_what_runs_also_within_another_hook() -> None:
    work = CurrentWork()
    instrument = Instrument(work, FakeClock())
    seen: list[tuple[str, str]] = []

    def inner() -> None:
        seen.append((work.plugin, work.hook))

    def outer() -> None:
        instrument.hook("Inner", "PreEnqueue", inner)()
        seen.append((work.plugin, work.hook))

    instrument.hook("Outer", "Reserve", outer)()

    assert seen == [("Inner", "PreEnqueue"), ("Outer", "Reserve")]
    assert (work.plugin, work.hook) == ("", "")


async def test_the_watchdog_can_name_what_an_awaited_hook_is_doing() -> None:
    work, clock = CurrentWork(), FakeClock()
    seen: list[tuple[str, str, str]] = []

    async def pre_bind(pod: Pod) -> None:
        seen.append((work.plugin, work.hook, work.pod))
        await clock.sleep(0)
        seen.append((work.plugin, work.hook, work.pod))

    await Instrument(work, clock).async_hook("Mine", "PreBind", pre_bind)(make_pod("a").obj())

    assert seen == [("Mine", "PreBind", "default/a")] * 2
    assert (work.plugin, work.hook, work.pod) == ("", "", "")


class Listens(fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Says whatever a test wants."""

    events: Callable[[], Any] = staticmethod(list)

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return type(self).events()  # type: ignore[no-any-return]  # what it gets wrong


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        pytest.param(raises, "SystemExit: bye", id="raises"),
        pytest.param(answers(None), "answered NoneType instead of list or tuple", id="nothing"),
        pytest.param(
            answers([fwk.NODE_ADDED]),
            r"answered ClusterEvent\(.*\) instead of a ClusterEventWithHint",
            id="bare event",
        ),
        pytest.param(
            answers([fwk.ClusterEventWithHint(fwk.NODE_ADDED, "hint")]),  # type: ignore[arg-type]  # as authors do
            "answered the hint 'hint', which cannot be called",
            id="hint by name",
        ),
    ],
)
def test_a_registration_that_nobody_can_read_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, events: Callable[[], Any], cause: str
) -> None:
    monkeypatch.setattr(Listens, "events", staticmethod(events))
    profile = default_profile(fake_handle(snapshot_of([])), Listens)

    with pytest.raises(PluginFault, match=f"plugin Listens failed in EnqueueExtensions: {cause}"):
        profile.hint_registrations()
