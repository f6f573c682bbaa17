from __future__ import annotations

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
