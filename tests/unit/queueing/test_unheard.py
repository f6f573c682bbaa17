from __future__ import annotations

from collections import Counter

from pyscheduler.framework.cluster_events import WILDCARD
from pyscheduler.queueing.hints import Audience
from pyscheduler.queueing.unheard import Move, UnheardEvents
from tests.unit.queueing.queue_harness import QueueHarness, make_pod

AUDIENCE = Audience(WILDCARD, "Wildcard", is_wildcard=True, listeners={})
FIRST, SECOND = Move(AUDIENCE, None, 1), Move(AUDIENCE, None, 2)


def crowd(count: int, *, answer: str = "queue", judged_at_once: int = 3) -> QueueHarness:
    """So many pods wait, rejected by Fit."""
    harness = QueueHarness(judged_at_once=judged_at_once)
    harness.answers["Fit"] = answer
    for number in range(count):
        harness.run(f"add p{number} \n pop p{number} \n fail p{number} Fit")
    return harness


def test_each_entity_hears_everything_once_oldest_first() -> None:
    events = UnheardEvents()
    events.add(["a", "b"], FIRST)
    events.add(["b", "c"], SECOND)
    events.validate()
    assert events.longest_waiting() == "a"
    assert events.take("b") == (FIRST, SECOND)
    assert events.take("b") == ()
    assert events.uids() == {"a", "c"}
    events.validate()


def test_it_is_full_by_pairs() -> None:
    events = UnheardEvents(max_pairs=3)
    events.add(["a", "b"], FIRST)
    before = events.is_full
    events.add(["a"], SECOND)
    full = events.is_full
    events.take("a")
    assert (before, full, events.is_full) == (False, True, False)


def test_few_are_judged_at_once_and_a_crowd_bit_by_bit() -> None:
    few, many = crowd(3), crowd(4)
    few.run("event NodeAdd")
    assert (few.hint_calls["Fit"], few.queue.counts().unsettled) == (3, 0)
    many.run("event NodeAdd")
    assert (many.hint_calls["Fit"], many.queue.counts().unsettled) == (0, 4)
    many.run("pop p0")
    assert many.hint_calls["Fit"] == 4, "nobody was active: who waits is heard before it is said"


async def test_settling_gives_others_a_turn_and_leaves_later_events_for_next_time() -> None:
    harness = crowd(100, answer="skip")
    turns: Counter[int] = Counter()

    async def checkpoint() -> None:
        turns[harness.hint_calls["Fit"]] += 1
        if len(turns) == 1:
            harness.run("event NodeAdd")

    harness.run("event NodeAdd")
    await harness.queue.settle(checkpoint)
    assert list(turns) == sorted(turns)
    assert len(turns) >= 3
    assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) < 70
    assert harness.queue.counts().unsettled == 32, "who had been heard hears of the second later"
    await harness.queue.settle(checkpoint)
    assert harness.hint_calls["Fit"] == 200, "each pod by each event"
    assert harness.queue.counts().unsettled == 0


async def test_a_crowd_to_be_settled_ends_the_wait_for_a_pod() -> None:
    harness = crowd(4, answer="skip")
    harness.run("event NodeAdd")
    await harness.queue.wait()
    harness.run("pop -")
    assert harness.hint_calls["Fit"] == 4


def test_too_much_put_off_is_worked_off_by_whoever_adds_to_it() -> None:
    harness = crowd(4, answer="skip")
    harness.queue._unheard = UnheardEvents(max_pairs=6)
    harness.run("event NodeAdd \n event NodeAdd")
    assert (harness.hint_calls["Fit"], harness.queue.counts().unsettled) == (0, 4)
    harness.run("event NodeAdd")
    assert harness.hint_calls["Fit"] == 4, "two pods heard both events"
    assert harness.queue.counts().unsettled == 4, "and wait again, with the others, for the third"


def test_a_flush_takes_a_crowd_in_parts() -> None:
    harness = crowd(0)
    for number in range(450):
        harness.queue.add(make_pod(f"p{number}"))
        entity = harness.queue.pop()
        assert entity is not None
        harness.queue.add_unschedulable(
            entity, unschedulable_plugins={"Fit"}, pending_plugins=(), is_error=False
        )
    harness.run("pass 400")
    sizes = []
    while harness.queue.counts().unschedulable:
        flush_at = harness.queue.next_flush()
        assert flush_at is not None
        assert flush_at <= harness.clock.now(), "the rest is due at once"
        before = harness.queue.counts().unschedulable
        harness.queue.flush_unschedulable()
        sizes.append(before - harness.queue.counts().unschedulable)
    assert sizes == [200, 200, 50]
