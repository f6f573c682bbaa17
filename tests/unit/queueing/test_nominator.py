from __future__ import annotations

from collections.abc import Callable

import pytest

from pyscheduler.queueing.nominator import Nominator
from tests.unit.queueing.queue_harness import make_pod


def test_the_status_names_the_node_unless_told_otherwise() -> None:
    nominator = Nominator()
    nominator.add(make_pod("a", nominated="n1"))
    assert nominator.node_of("a") == "n1"
    nominator.add(make_pod("a", nominated="n1"), node_name="n2")
    assert nominator.node_of("a") == "n2"
    assert nominator.nodes() == ("n2",)
    nominator.validate()


def test_an_empty_node_clears_and_makes_no_entry() -> None:
    nominator = Nominator()
    nominator.add(make_pod("a"), node_name="n1")
    nominator.add(make_pod("a"), node_name="")
    assert len(nominator) == 0
    nominator.validate()


def test_several_pods_share_a_node() -> None:
    nominator = Nominator()
    a, b = make_pod("a"), make_pod("b")
    nominator.add(a, node_name="n1")
    nominator.add(b, node_name="n1")
    assert nominator.nominated_on("n1") == (a, b)
    nominator.delete("a")
    nominator.delete("a")
    assert nominator.nominated_on("n1") == (b,)
    assert nominator.nominated_on("n2") == ()


def test_a_nomination_that_is_not_written_yet_survives_an_update() -> None:
    nominator = Nominator()
    old, new = make_pod("a"), make_pod("a", label="x")
    nominator.add(old, node_name="n1")
    nominator.update(old, new)
    assert nominator.nominated_on("n1") == (new,)


@pytest.mark.parametrize("in_memory", ["n2", ""])
def test_an_update_about_something_else_changes_no_nomination(in_memory: str) -> None:
    nominator = Nominator()
    old, new = make_pod("a", nominated="n1"), make_pod("a", nominated="n1", label="x")
    nominator.add(old, node_name=in_memory)

    nominator.update(old, new)

    assert nominator.node_of("a") == in_memory, "what was written last is on its way"


def test_a_nomination_taken_off_the_object_is_forgotten() -> None:
    nominator = Nominator()
    old = make_pod("a", nominated="n1")
    nominator.add(old)
    nominator.update(old, make_pod("a"))
    assert len(nominator) == 0


def test_another_uid_does_not_inherit() -> None:
    nominator = Nominator()
    old = make_pod("a")
    nominator.add(old, node_name="n1")
    nominator.update(old, make_pod("a", uid="other"))
    assert len(nominator) == 0


def names_at_least(nominator: Nominator, priority: int, *, but_not: str = "") -> list[str]:
    return sorted(
        f"{node}/{pod.name}" for node, pod in nominator.any_at_least(priority, but_not=but_not)
    )


@pytest.mark.parametrize(
    ("priority", "but_not", "expected"),
    [
        pytest.param(5, "", ["n1/equal", "n2/high"], id="equal-and-higher-count"),
        pytest.param(5, "equal", ["n2/high"], id="a-pod-is-no-obstacle-to-itself"),
        pytest.param(0, "", ["n1/equal", "n1/low", "n2/high"], id="the-lowest-sees-all"),
        pytest.param(-1, "", ["n1/equal", "n1/low", "n2/high"], id="below-all"),
        pytest.param(10, "high", [], id="nobody-above"),
    ],
)
def test_who_must_be_respected_is_found_by_priority(
    priority: int, but_not: str, expected: list[str]
) -> None:
    nominator = Nominator()
    nominator.add(make_pod("low", priority="1"), node_name="n1")
    nominator.add(make_pod("equal", priority="5"), node_name="n1")
    nominator.add(make_pod("high", priority="9"), node_name="n2")
    assert names_at_least(nominator, priority, but_not=but_not) == expected


def test_a_changed_priority_is_followed() -> None:
    nominator = Nominator()
    old = make_pod("a", priority="9", nominated="n1")
    nominator.add(old)
    nominator.update(old, make_pod("a", priority="1", nominated="n1"))
    nominator.validate()
    assert names_at_least(nominator, 5) == []
    assert names_at_least(nominator, 1) == ["n1/a"]


def test_the_version_grows_with_each_change_and_only_then() -> None:
    nominator = Nominator()
    bystander, plain = make_pod("b"), make_pod("a")
    nominated, relabelled = make_pod("a", nominated="n1"), make_pod("a", nominated="n1", label="x")
    steps: tuple[tuple[Callable[[], None], bool], ...] = (
        (lambda: nominator.add(plain), False),
        (lambda: nominator.update(plain, nominated), True),
        (lambda: nominator.add(nominated), False),
        (lambda: nominator.delete(bystander.uid), False),
        (lambda: nominator.update(bystander, bystander), False),
        (lambda: nominator.update(nominated, relabelled), True),
        (lambda: nominator.add(relabelled, node_name="n2"), True),
        (lambda: nominator.delete("a"), True),
        (lambda: nominator.delete("a"), False),
    )
    for number, (step, is_change) in enumerate(steps):
        before = nominator.version
        step()
        assert (nominator.version > before) is is_change, f"step {number}"
        nominator.validate()
