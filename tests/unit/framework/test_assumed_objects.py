"""Objects with assumptions before what the watch told."""

from __future__ import annotations

import pytest

from pyscheduler.api.meta import KubeStruct, ObjectMeta
from pyscheduler.framework.assumed_objects import AssumedObjects, CannotAssume, is_newer_version
from pyscheduler.framework.informers import ResourceHandler
from pyscheduler.testing.resources import FakeInformer


class Ticket(KubeStruct, frozen=True):
    metadata: ObjectMeta
    holder: str = ""


class Journal:
    """Remembers what a handler was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []

    def on_add(self, added: Ticket, initial: bool) -> None:
        self.lines.append(("add", added.holder, *(["initial"] if initial else [])))

    def on_update(self, old: Ticket, new: Ticket) -> None:
        self.lines.append(("update", old.holder, new.holder))

    def on_delete(self, deleted: Ticket) -> None:
        self.lines.append(("delete", deleted.holder))


def ticket(holder: str, version: int | str = 5, *, name: str = "t", namespace: str = "") -> Ticket:
    return Ticket(ObjectMeta(name=name, namespace=namespace, resource_version=str(version)), holder)


@pytest.fixture
def informer() -> FakeInformer[Ticket]:
    return FakeInformer()


@pytest.fixture
def tickets(informer: FakeInformer[Ticket]) -> AssumedObjects[Ticket]:
    informer.put(ticket("told"))
    return AssumedObjects(informer, index=lambda one: one.holder)


def holder(tickets: AssumedObjects[Ticket], key: str = "t") -> str:
    found = tickets.get(key)
    assert found is not None
    return found.holder


def test_an_object_is_what_the_watch_told_before_and_after_it_was_added(
    informer: FakeInformer[Ticket],
) -> None:
    informer.put(ticket("first"))
    tickets = AssumedObjects(informer)
    informer.put(ticket("second", namespace="ns"))

    assert (holder(tickets), holder(tickets, "ns/t")) == ("first", "second")
    assert len(tickets) == 2
    assert tickets.get("ns/other") is None


def test_what_is_assumed_stands_before_what_was_told(tickets: AssumedObjects[Ticket]) -> None:
    tickets.assume(ticket("assumed"))

    told = tickets.told("t")
    assert told is not None
    assert (holder(tickets), told.holder) == ("assumed", "told")
    assert [one.holder for one in tickets.list()] == ["assumed"]
    assert tickets.is_assumed("t")


def test_restore_brings_back_what_was_told_and_may_be_called_twice(
    tickets: AssumedObjects[Ticket],
) -> None:
    assumed = ticket("assumed")
    tickets.assume(assumed)

    tickets.restore(assumed)
    tickets.restore(assumed)

    assert holder(tickets) == "told"
    assert not tickets.is_assumed("t")


def test_restore_leaves_an_assumption_of_another_version_alone(
    tickets: AssumedObjects[Ticket],
) -> None:
    tickets.assume(ticket("planned", 5))
    tickets.assume(ticket("written", 8))

    tickets.restore(ticket("planned", 5))

    assert holder(tickets) == "written"


@pytest.mark.parametrize(
    ("told_version", "expected"),
    [
        pytest.param(7, "assumed", id="older"),
        pytest.param(8, "assumed", id="the same"),
        pytest.param(9, "told again", id="newer"),
        pytest.param(10, "told again", id="newer, with more digits"),
    ],
)
def test_only_a_newer_state_from_the_watch_ends_an_assumption(
    tickets: AssumedObjects[Ticket],
    informer: FakeInformer[Ticket],
    told_version: int,
    expected: str,
) -> None:
    assumed = ticket("assumed", 8)
    tickets.assume(assumed)

    informer.put(ticket("told again", told_version))
    assert holder(tickets) == expected

    tickets.restore(assumed)
    assert holder(tickets) == "told again"


def test_what_is_gone_is_assumed_no_more(
    tickets: AssumedObjects[Ticket], informer: FakeInformer[Ticket]
) -> None:
    assumed = ticket("assumed", 8)
    tickets.assume(assumed)

    informer.remove("t")
    tickets.restore(assumed)

    assert tickets.get("t") is None
    assert tickets.list() == []
    with pytest.raises(CannotAssume, match="'t' is not there any more"):
        tickets.assume(ticket("assumed", 9))


def test_a_namesake_that_came_later_is_not_assumed(
    tickets: AssumedObjects[Ticket], informer: FakeInformer[Ticket]
) -> None:
    tickets.assume(ticket("assumed", 8))

    informer.remove("t")
    informer.put(ticket("namesake", 7))

    assert holder(tickets) == "namesake"


def test_an_older_state_cannot_be_assumed(
    tickets: AssumedObjects[Ticket], informer: FakeInformer[Ticket]
) -> None:
    informer.put(ticket("told again", 12))

    with pytest.raises(CannotAssume, match=r'"t" is out of sync \(stored: 12, assume: 5\)'):
        tickets.assume(ticket("assumed", 5))

    assert holder(tickets) == "told again"


def test_an_older_state_than_the_assumed_one_cannot_be_assumed(
    tickets: AssumedObjects[Ticket],
) -> None:
    tickets.assume(ticket("assumed", 8))

    with pytest.raises(CannotAssume, match=r"stored: 8, assume: 7"):
        tickets.assume(ticket("late", 7))


def test_the_index_follows_the_current_state(
    tickets: AssumedObjects[Ticket], informer: FakeInformer[Ticket]
) -> None:
    def names(value: str) -> list[str]:
        return [one.metadata.name for one in tickets.indexed(value)]

    informer.put(ticket("told", name="u"))
    assert names("told") == ["t", "u"]

    tickets.assume(ticket("assumed"))
    assert (names("told"), names("assumed")) == (["u"], ["t"])

    tickets.restore(ticket("assumed"))
    informer.remove("u")
    assert (names("told"), names("assumed")) == (["t"], [])


def test_namespaces_are_listed_apart(informer: FakeInformer[Ticket]) -> None:
    tickets = AssumedObjects(informer)
    informer.put(ticket("a", namespace="one"))
    informer.put(ticket("b", namespace="two"))

    assert [one.holder for one in tickets.list("two")] == ["b"]


def test_handlers_are_told_of_what_is_current_and_of_nothing_else(
    tickets: AssumedObjects[Ticket], informer: FakeInformer[Ticket]
) -> None:
    journal = Journal()
    handler: ResourceHandler[Ticket] = journal
    tickets.add_handler(handler)

    tickets.assume(ticket("assumed", 8))
    informer.put(ticket("unseen", 7))
    informer.put(ticket("newer", 9))
    tickets.assume(ticket("assumed again", 9))
    tickets.restore(ticket("assumed again", 9))
    informer.remove("t")
    informer.put(ticket("back", 11))

    assert journal.lines == [
        ("add", "told", "initial"),
        ("update", "told", "assumed"),
        ("update", "assumed", "newer"),
        ("update", "newer", "assumed again"),
        ("update", "assumed again", "newer"),
        ("delete", "newer"),
        ("add", "back"),
    ]


def test_a_new_handler_learns_what_is_assumed_already(tickets: AssumedObjects[Ticket]) -> None:
    tickets.assume(ticket("assumed", 8))
    journal = Journal()

    tickets.add_handler(journal)

    assert journal.lines == [("add", "assumed", "initial")]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("10", "9", True, id="as numbers, not as texts"),
        pytest.param("9", "10", False, id="older"),
        pytest.param("9", "9", False, id="the same"),
        pytest.param("ab", "9", True, id="no number is newer when it differs"),
        pytest.param("ab", "ab", False, id="no number, the same"),
    ],
)
def test_versions_are_compared_as_numbers(one: str, other: str, expected: bool) -> None:
    assert is_newer_version(one, other) is expected
