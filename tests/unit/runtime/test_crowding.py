"""Nominated rows of a class follow nominations and rows, and only what changed is judged again."""

from __future__ import annotations

import pytest

from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.framework.status import unschedulable
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.crowding import Crowding
from pyscheduler.testing import make_node, make_pod

NO_ROOM = unschedulable("no room")


class Rig:
    """Four nodes, of which any may be nominated."""

    def __init__(self) -> None:
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        for i in range(4):
            self.cache.add_node(make_node(f"n{i}").obj())
        self.snapshot.refresh()
        self.nominator = Nominator()
        self.crowding = Crowding(self.snapshot.store.capacity)

    def nominate(self, name: str, node: str, *, priority: int = 10) -> None:
        self.nominator.add(make_pod(name).priority(priority).obj(), node_name=node)

    def unjudged(self) -> list[int]:
        """Rows to be judged; they all fail, and that is kept."""
        self.crowding.bring_up_to_date(self.nominator, self.snapshot.nodes, priority=10)
        rows = self.crowding.unjudged()
        self.crowding.put(rows, [NO_ROOM] * len(rows))
        assert sorted(self.crowding.statuses) == sorted(self.crowding.pods)
        assert self.crowding.rejected.nonzero()[0].tolist() == sorted(self.crowding.statuses)
        return rows


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.nominate("a", "n1")
    rig.nominate("b", "n3")
    assert rig.unjudged() == [1, 3]
    return rig


def test_what_did_not_change_is_not_judged_again(rig: Rig) -> None:
    assert rig.unjudged() == []


def test_a_new_nomination_is_judged_alone(rig: Rig) -> None:
    rig.nominate("c", "n2")

    assert rig.unjudged() == [2]


def test_a_nomination_that_ends_gives_its_row_back(rig: Rig) -> None:
    rig.nominator.delete(make_pod("a").obj().uid)

    assert rig.unjudged() == []
    assert list(rig.crowding.pods) == [3]


def test_lower_nominations_do_not_count(rig: Rig) -> None:
    rig.nominate("low", "n0", priority=9)

    assert rig.unjudged() == []


def test_a_row_that_changed_is_judged_again(rig: Rig) -> None:
    rig.crowding.note({1: 1, 2: 1})

    assert rig.unjudged() == [1]


def test_a_row_that_is_no_more_is_forgotten(rig: Rig) -> None:
    rig.cache.remove_node("n3")
    rig.snapshot.refresh()

    assert rig.unjudged() == []
    assert list(rig.crowding.pods) == [1]


def test_a_row_that_now_is_another_node_is_read_again(rig: Rig) -> None:
    position = rig.snapshot.store.change_log.position
    rig.cache.remove_node("n1")
    rig.snapshot.refresh()
    rig.crowding.note(rig.snapshot.store.change_log.since(position, -1) or {})

    assert rig.unjudged() == [1], "n3 has moved there"
    assert [pod.name for pod in rig.crowding.pods[1]] == ["b"]


def test_who_is_too_far_behind_the_nominator_reads_everything(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyscheduler.queueing.nominator._CHANGES_KEPT", 2)
    for _ in range(4):
        rig.nominate("c", "n0")
        rig.nominator.delete(make_pod("c").obj().uid)

    assert rig.unjudged() == [1, 3]


def _entry(rig: Rig) -> ClassEntry:
    entry = ClassEntry(rig.snapshot.store.capacity)
    entry.n = 4
    return entry


def test_the_entry_without_rejected_rows_is_kept_until_something_is_rejected_or_no_longer(
    rig: Rig,
) -> None:
    entry = _entry(rig)
    narrowed = entry.overridden({})
    rig.crowding.keep(narrowed, entry)
    entry.position = 7

    assert rig.crowding.kept(entry) is narrowed
    assert narrowed.position == 7

    rig.nominate("c", "n2")
    rig.unjudged()

    assert rig.crowding.kept(entry) is None


def test_the_entry_without_rejected_rows_is_made_anew_once_other_rows_are_feasible(
    rig: Rig,
) -> None:
    entry = _entry(rig)
    rig.crowding.keep(entry.overridden({}), entry)
    entry.feasible_version += 1

    assert rig.crowding.kept(entry) is None


def test_a_promised_node_that_moves_to_a_row_nobody_was_promised_is_found_there(rig: Rig) -> None:
    position = rig.snapshot.store.change_log.position
    rig.cache.remove_node("n0")
    rig.snapshot.refresh()
    rig.crowding.note(rig.snapshot.store.change_log.since(position, -1) or {})

    assert rig.unjudged() == [0], "n3 has moved there"
    assert sorted(rig.crowding.pods) == [0, 1]
