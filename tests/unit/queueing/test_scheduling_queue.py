from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from pyscheduler.framework.cluster_events import (
    NODE_ADDED,
    NODE_LABELS_CHANGED,
    QueueingHint,
)
from pyscheduler.queueing.observing import QueueCounts
from tests.unit.queueing.queue_harness import QueueHarness, make_pod

SCRIPTS = {
    "higher priority first, then first come": """
        add a
        pass 1
        add b priority=5
        add c
        active: b a c
        pop b
        pop a
        pop c
        pop -
        flying: a b c
        done a
        done b
        done c
        flying:
    """,
    "a rejected pod waits for an event its plugin hears of": """
        add a
        pop a
        fail a Fit
        unschedulable: a
        pop -
        event NodeLabel
        event NodeCondition
        unschedulable: a
        wait 20
        event NodeAdd
        active: a
    """,
    "who hears of new nodes does not hear of taints on old ones": """
        add a
        pop a
        fail a Fit
        wait 20
        event NodeTaint
        unschedulable: a
    """,
    "an event soon after the failure makes it back off first": """
        add a
        pop a
        fail a Fit
        event NodeAdd
        backoff: a
        wait 2
        active: a
    """,
    "an idle scheduler takes rejected pods out of backoff early": """
        add a
        pop a
        fail a Fit
        event NodeAdd
        backoff: a
        pop a
    """,
    "active pods go before those in backoff": """
        add a priority=9
        pop a
        fail a Fit
        event NodeAdd
        add b
        pop b
        pop a
    """,
    "an error is waited out, whoever is idle": """
        add a
        pop a
        fail a
        backoff: a
        pop -
        wait 2
        active: a
        pop a
    """,
    "within one second of expiry the priority decides who is popped early": """
        add a
        add b priority=5
        pop b
        pop a
        fail a Fit
        pass 0.2
        fail b Fit
        event NodeAdd
        backoff: b a
        pop b
    """,
    "a hint that says skip leaves it where it is": """
        answer Fit skip
        add a
        pop a
        fail a Fit
        wait 20
        event NodeAdd
        unschedulable: a
    """,
    "any one plugin's consent is enough": """
        answer Fit skip
        add a
        pop a
        fail a Fit Taint
        wait 20
        event NodeTaint
        active: a
    """,
    "a plugin that was not asked about it has no say": """
        add a
        pop a
        fail a Taint
        wait 20
        event NodeAdd
        unschedulable: a
    """,
    "an event missed while in flight counts at the failure": """
        add a
        pop a
        event NodeAdd
        events: 1
        fail a Fit
        backoff: a
        events: 0
    """,
    "an event of no interest is not kept": """
        add a
        pop a
        event NodeCondition
        events: 0
    """,
    "events before the pop do not count": """
        add a
        add b
        pop a
        event NodeAdd
        pop b
        fail b Fit
        unschedulable: b
        events: 1
        done a
        events: 0
    """,
    "a Pending plugin's event skips the backoff": """
        add a
        pop a
        fail a Fit ~Volume
        event VolumeAdd
        active: a
    """,
    "a rejecting plugin's event does not": """
        add a
        pop a
        fail a Fit ~Volume
        event NodeAllocatable
        backoff: a
    """,
    "with both consenting the Pending one wins": """
        add a
        pop a
        fail a Fit ~Volume
        event NodeAdd
        active: a
    """,
    "missed events: a later Pending consent beats an earlier ordinary one": """
        add a
        pop a
        event NodeAllocatable
        event VolumeAdd
        fail a Fit ~Volume
        active: a
    """,
    "a gated pod waits apart and is heard of again when its gates are lifted": """
        add a gates=g,h
        gated: a
        event NodeAdd
        gated: a
        update a gates=g
        gated: a
        update a
        active: a
        gated:
    """,
    "a gate of another kind takes over from the first": """
        add a gates=g label=hold
        update a label=hold
        gated: a
        event NodeLabel
        gated: a
        update a label=free
        active: a
    """,
    "a pod may be gated on its way back": """
        add a
        pop a
        update a label=hold
        fail a Fit
        unschedulable: a
        event NodeAdd
        gated: a
        event NodeAdd
        gated: a
        update a label=free
        backoff: a
    """,
    "the own update reaches a waiting pod's rejector": """
        add a
        pop a
        fail a Hold
        unschedulable: a
        wait 20
        update a label=free
        active: a
    """,
    "the own update while in flight counts at the failure": """
        add a
        pop a
        update a label=free
        fail a Hold
        backoff: a
    """,
    "an update that changes nothing for scheduling wakes nobody": """
        add a
        pop a
        fail a Hold Fit
        update a nominated=n1
        unschedulable: a
    """,
    "an update moves a pod within activeQ": """
        add a
        add b
        update b priority=3
        active: b a
    """,
    "an update moves a pod within backoffQ": """
        add a
        add b
        pop a
        pop b
        fail a Fit
        fail b Fit
        event NodeAdd
        backoff: a b
        update b priority=3
        backoff: b a
    """,
    "a wildcard wakes everybody": """
        add a
        add b
        pop a
        pop b
        fail a Fit
        fail b Taint
        wait 20
        event Wildcard
        active: a b
    """,
    "activation skips the backoff": """
        add a
        add b
        pop a
        pop b
        fail a Fit
        fail b
        activate a
        activate b
        active: a b
    """,
    "activation does not open a gate": """
        add a gates=g
        activate a
        gated: a
    """,
    "activation in flight takes effect at the failure": """
        add a
        pop a
        activate a
        fail a Fit
        backoff: a
    """,
    "five minutes bring a forgotten pod back": """
        answer Fit skip
        add a
        pop a
        fail a Fit
        wait 299
        unschedulable: a
        wait 1
        active: a
    """,
    "five minutes judge a gated pod anew and again": """
        add a gates=g
        wait 1000
        gated: a
    """,
    "a pod deleted in flight does not come back": """
        add a
        pop a
        delete a
        flying: a
        fail a Fit
        flying:
        events: 0
        unschedulable:
    """,
    "a pod made again in flight is another one": """
        add a
        pop a
        again a
        active: a
        fail a Fit
        active: a
        unschedulable:
        pop a
        done a
    """,
    "a pod made again while waiting replaces the old one": """
        add a
        pop a
        fail a Fit
        again a
        unschedulable:
        active: a
    """,
    "done twice is once": """
        add a
        pop a
        delete a
        done a
        flying:
        add a
        active: a
    """,
    "a pod that appears twice is there once": """
        add a
        add a
        active: a
        pop a
        add a
        active:
        done a
    """,
    "an update of an unknown pod adds it": """
        add a
        pop a
        done a
        update a label=x
        active: a
    """,
    "deletion reaches every tier": """
        add a
        add b
        add c
        add d gates=g
        pop a
        pop b
        fail a Fit
        fail b
        delete a
        delete b
        delete c
        delete d
        active:
        backoff:
        unschedulable:
        gated:
    """,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_script(script: str) -> None:
    QueueHarness().run(script)


def test_pop_counts_attempts_and_clears_who_rejected_the_last() -> None:
    harness = QueueHarness()
    harness.run("""
        add a
        pop a
        fail a Fit ~Volume
        event VolumeAdd
        pop a
    """)
    entity = harness.flying["a"]
    assert (entity.attempts, entity.unschedulable_count, entity.consecutive_errors) == (2, 1, 0)
    assert entity.unschedulable_plugins == entity.pending_plugins == frozenset()


def test_errors_do_not_count_as_rejections_and_a_rejection_ends_their_row() -> None:
    harness = QueueHarness()
    harness.run("""
        add a
        pop a
        fail a
        wait 2
        pop a
        fail a
    """)
    entity = harness.queue.get("a")
    assert entity is not None
    assert (entity.unschedulable_count, entity.consecutive_errors) == (0, 2)
    harness.run("""
        wait 3
        pop a
        fail a Fit
    """)
    assert (entity.unschedulable_count, entity.consecutive_errors) == (1, 0)


def test_an_error_forgets_who_rejected_before_it() -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a")
    entity = harness.flying["a"]
    harness.queue.add_unschedulable(
        entity, unschedulable_plugins={"Fit"}, pending_plugins=set(), is_error=True
    )
    harness.queue.validate()
    assert entity.consecutive_errors == 1
    assert harness.tiers()["backoff"] == ["a"]


def test_zero_max_backoff_means_no_backoff() -> None:
    QueueHarness(max_backoff_s=0).run("""
        add a
        pop a
        fail a
        active: a
        pop a
        event NodeAdd
        fail a Fit
        active: a
    """)


def test_the_time_spent_gated_is_not_part_of_the_first_attempt() -> None:
    harness = QueueHarness()
    harness.run("add a gates=g")
    entity = harness.queue.get("a")
    assert entity is not None
    assert entity.initial_attempt_timestamp is None
    harness.run("wait 7 \n update a")
    assert entity.initial_attempt_timestamp == entity.timestamp + 7


def test_a_flush_leaves_a_mark_until_the_next_failure() -> None:
    harness = QueueHarness()
    harness.run("""
        answer Fit skip
        add a
        pop a
        fail a Fit
        wait 300
        pop a
    """)
    assert harness.flying["a"].was_flushed
    entity = harness.flying["a"]
    harness.run("fail a Fit")
    assert not entity.was_flushed


def test_an_update_replaces_the_object_and_voids_its_signature() -> None:
    harness = QueueHarness()
    harness.run("add a")
    entity = harness.queue.get("a")
    assert entity is not None
    entity.signature = ("class",)
    harness.run("update a label=x")
    assert entity.pod is harness.pods["a"]
    assert entity.signature is None


def test_in_flight_the_object_stays_the_popped_one_until_the_failure() -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a")
    entity = harness.flying["a"]
    popped = entity.pod
    harness.run("update a label=x")
    assert entity.pod is popped
    harness.run("fail a Fit")
    assert entity.pod is harness.pods["a"]


def test_a_newer_object_that_the_caller_looked_up_is_kept_and_compared() -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a")
    entity = harness.flying["a"]
    entity.signature = ("class",)
    entity.pod = newer = make_pod("a", label="free")
    harness.run("fail a Hold \n backoff: a")
    assert entity.pod is newer
    assert entity.signature is None


def test_an_update_to_another_uid_is_a_deletion_and_an_addition() -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a \n fail a Fit")
    harness.queue.update(harness.pods["a"], make_pod("a", uid="other"))
    harness.queue.validate()
    assert not harness.queue.contains("a")
    assert harness.queue.contains("other")


def test_a_failure_after_done_still_requeues() -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a")
    entity = harness.flying["a"]
    harness.queue.done("a")
    harness.run("fail a Fit \n backoff: a")
    assert entity.unschedulable_plugins == {"Fit"}


def test_a_failure_after_the_pod_was_made_again_is_dropped() -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a")
    entity = harness.flying.pop("a")
    harness.queue.done("a")
    harness.run("again a")
    harness.queue.add_unschedulable(
        entity, unschedulable_plugins={"Fit"}, pending_plugins=set(), is_error=False
    )
    harness.run("active: a \n unschedulable:")


def test_too_many_missed_events_become_one_that_concerns_everybody() -> None:
    QueueHarness(max_in_flight_events=3).run("""
        add a
        add b
        pop a
        event NodeAdd
        event NodeAdd
        event NodeAdd
        events: 3
        event NodeAdd
        events: 1
        pop b
        fail b Taint
        unschedulable: b     # popped after all of them
        fail a Taint
        backoff: a           # may have missed one that concerned it
    """)


def test_a_move_leaves_alone_whom_the_pre_check_excludes() -> None:
    harness = QueueHarness()
    harness.run("add a \n add b \n pop a \n pop b \n fail a Fit \n fail b Fit")
    harness.queue.move(NODE_ADDED, None, None, pre_check=lambda pod: pod.name == "b")
    harness.run("unschedulable: a \n backoff: b")


def test_a_gate_is_asked_first_where_it_closed_last_time() -> None:
    harness = QueueHarness()
    harness.run("add a label=hold \n gated: a \n update a label=hold gates=g \n event NodeLabel")
    assert harness.gates_asked == [("a", ""), ("a", "Hold")]
    harness.run("update a gates= \n active: a")
    assert harness.gates_asked[2:] == [("a", "Hold")]
    harness.run("pop a \n fail a Taint \n event NodeTaint")
    assert harness.gates_asked[3:] == [("a", "")], "who was let in is not remembered as gated"


def test_a_hint_that_moves_others_does_not_confuse_the_move() -> None:
    harness = QueueHarness()
    harness.run("add a \n add b \n pop a \n pop b \n fail a Fit \n fail b Fit")
    checked: list[str] = []

    def activate_b(pod: object) -> bool:
        checked.append(str(pod))
        harness.queue.activate([harness.pods["b"]])
        return True

    harness.queue.move(NODE_ADDED, None, None, pre_check=activate_b)
    harness.queue.validate()
    assert harness.tiers()["backoff"] == ["a"]
    assert len(checked) == 1
    assert harness.tiers()["active"] == ["b"]


def test_counts_cover_every_tier() -> None:
    harness = QueueHarness()
    harness.run("""
        add a
        add b
        add c
        add d
        add e gates=g
        pop a
        pop b
        pop c
        event NodeAdd
        fail a
        pop d
        fail b Fit
        fail d Fit
        add f
    """)
    counts = harness.queue.counts()
    assert counts == QueueCounts(
        active=1, backoff=2, unschedulable=1, gated=1, in_flight=1, in_flight_events=1
    )
    assert counts.pending == 5


async def test_wait_returns_once_pop_gives_something() -> None:
    harness = QueueHarness()
    waiting = asyncio.create_task(harness.queue.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    harness.run("add a gates=g")
    await asyncio.sleep(0)
    assert not waiting.done()
    harness.run("add b")
    await waiting
    harness.run("pop b \n fail b")
    waiting = asyncio.create_task(harness.queue.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    harness.run("wait 2")
    await waiting
    harness.run("pop b")


def test_nominations_follow_the_watch() -> None:
    harness = QueueHarness()
    nominator = harness.queue.nominator
    harness.run("add a nominated=n1")
    assert nominator.nominated_on("n1") == (harness.pods["a"],)
    harness.run("update a nominated=n2")
    assert nominator.node_of("a") == "n2"
    harness.run("pop a \n update a")
    assert nominator.node_of("a") == ""
    harness.run("update a nominated=n3 \n delete a")
    assert nominator.nodes() == ()


class CountingMetrics:
    """Adds everything up."""

    def __init__(self) -> None:
        self.entered: Counter[tuple[str, str]] = Counter()
        self.held: Counter[str] = Counter()
        self.hints: Counter[tuple[str, str, str]] = Counter()

    def incoming(self, queue: str, event_label: str) -> None:
        self.entered[queue, event_label] += 1

    def hint(self, plugin: str, event_label: str, result: QueueingHint, seconds: float) -> None:
        assert seconds >= 0
        self.hints[plugin, event_label, result.value] += 1

    def pre_hint(self, plugin: str, result: str) -> None:
        raise AssertionError("pre-hints are off")

    def unschedulable(self, plugin: str, scheduler_name: str, delta: int) -> None:
        self.held[plugin] += delta


def test_every_entry_into_a_tier_is_counted_under_upstreams_label() -> None:
    metrics = CountingMetrics()
    harness = QueueHarness(metrics=metrics)
    harness.run("""
        add a
        pop a
        fail a Fit
        event NodeAdd
        pop a
        fail a
        wait 3
        delete a
        add b gates=g
    """)
    assert metrics.entered == Counter(
        {
            ("active", "UnscheduledPodAdd"): 1,
            ("unschedulable", "ScheduleAttemptFailure"): 1,
            ("backoff", "NodeAdd"): 1,
            ("active", "PopFromBackoffQ"): 1,
            ("backoff", "ScheduleAttemptFailure"): 1,
            ("active", "BackoffComplete"): 1,
            ("gated", "UnscheduledPodAdd"): 1,
        }
    )
    assert metrics.hints == Counter({("Fit", "NodeAdd", "Queue"): 1})


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("delete a", id="deleted from the pool"),
        pytest.param("event NodeAdd \n delete a", id="deleted from backoff"),
        pytest.param("wait 20 \n event NodeAdd \n delete a", id="deleted from activeQ"),
        pytest.param("event NodeAdd \n pop a \n done a", id="scheduled"),
        pytest.param("update a label=hold \n event NodeAdd \n delete a", id="gated"),
        pytest.param("again a", id="made again"),
    ],
)
def test_the_gauge_of_holding_plugins_returns_to_zero(ending: str) -> None:
    metrics = CountingMetrics()
    harness = QueueHarness(metrics=metrics)
    harness.run("add a \n pop a \n fail a Fit Taint")
    assert metrics.held == Counter({"Fit": 1, "Taint": 1})
    harness.run(ending)
    assert not any(metrics.held.values())


def test_a_gate_is_asked_only_for_a_pod_that_would_go() -> None:
    """Who answers that the gate is open takes the pod for gone, see `let_in`."""
    harness = QueueHarness()
    harness.run("add a \n pop a \n update a label=hold \n fail a Fit Hold \n event NodeLabel")
    harness.run("gated: a \n answer Fit skip \n answer Hold skip")
    asked = len(harness.gates_asked)

    harness.run("event NodeLabel \n gated: a")
    harness.run("answer Hold queue")
    harness.queue.move(NODE_LABELS_CHANGED, None, object(), pre_check=lambda pod: False)

    assert len(harness.gates_asked) == asked
