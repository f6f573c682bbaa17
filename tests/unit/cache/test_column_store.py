from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node
from pyscheduler.api.selectors import EVERYTHING
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.framework.columns import ALL_ASPECTS
from pyscheduler.testing import make_node, make_pod, snapshot_of

GPU = "example.com/gpu"


def _celsius(node: Node) -> int:
    return int(node.annotations["example.com/celsius"])


CELSIUS = fwk.NodeColumn("example.com/celsius", np.int64, extract=_celsius, default=-1)
REPLICAS = fwk.PodColumn("example.com/replicas", np.int64, extract=lambda pod: 1)
ANYBODY = fwk.PodMatcher([fwk.PodTerm(None, EVERYTHING)])
NAMES = fwk.PodTally("example.com/names", lambda pod: [pod.name])
LOAD = fwk.StateColumn("example.com/load", np.float64, default=0.5)


def test_snapshot_arrays_cannot_be_written() -> None:
    nodes = snapshot_of([make_node("a").capacity({"cpu": "4"}).obj()]).nodes

    with pytest.raises(ValueError, match="read-only"):
        nodes.allocatable("cpu")[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        nodes.allocatable("cpu").flags.writeable = True


def test_the_last_row_takes_the_place_of_a_removed_node() -> None:
    cache = SchedulerCache()
    for i in range(4):
        cache.add_node(make_node(f"n{i}").capacity({"cpu": str(i + 1)}).obj())
    snapshot = Snapshot(cache)
    snapshot.refresh()

    cache.remove_node("n1")
    snapshot.refresh()

    assert list(snapshot.nodes.names) == ["n0", "n3", "n2"]
    assert snapshot.nodes.allocatable("cpu").tolist() == [1000, 4000, 3000]
    assert snapshot.nodes.row_of("n3") == 1
    assert snapshot.nodes.row_of("n1") is None


def test_columns_grow_with_the_cluster() -> None:
    snapshot = snapshot_of(
        make_node(f"n{i}").capacity({"cpu": "1"}).label("rack", f"r{i % 7}").obj()
        for i in range(300)
    )

    codes, values = snapshot.nodes.label_codes("rack")

    assert snapshot.nodes.allocatable("cpu").tolist() == [1000] * 300
    assert [values[code] for code in codes.tolist()] == [f"r{i % 7}" for i in range(300)]


def test_pods_by_value_are_right_once_the_columns_have_grown() -> None:
    cache = SchedulerCache()
    snapshot = Snapshot(cache)
    cache.add_node(make_node("n0").label("rack", "r").obj())
    snapshot.refresh()
    assert snapshot.nodes.pods_by_value(ANYBODY, "rack").tolist() == [0, 0]

    for number in range(1, 300):
        cache.add_node(make_node(f"n{number}").label("rack", "r").obj())
    for number in (0, 299):
        cache.add_pod(make_pod(f"p{number}").node(f"n{number}").obj())
    cache.add_pod(make_pod("q").node("n299").obj())
    snapshot.refresh()

    assert snapshot.nodes.pods_by_value(ANYBODY, "rack").tolist() == [3, 0]
    assert snapshot.nodes.nodes_by_value("rack").tolist() == [300, 0]


def test_sums_by_value_of_copied_rows_follow_what_is_added_and_taken_away() -> None:
    there = make_pod("there").node("a").obj()
    nodes = [make_node("a").label("rack", "r").obj(), make_node("b").label("rack", "s").obj()]
    snapshot = snapshot_of(nodes, [there])
    copied = snapshot.copy_rows([1])

    copied.add(0, make_pod("new").obj())

    assert copied.pods_by_value(ANYBODY, "rack").tolist() == [0, 1, 0]
    assert copied.nodes_by_value("rack").tolist() == [0, 1, 0]
    assert copied.tally(NAMES).by_value("new", "rack").tolist() == [0, 1, 0]
    assert snapshot.nodes.pods_by_value(ANYBODY, "rack").tolist() == [1, 0, 0]


def test_label_codes_follow_changes() -> None:
    cache = SchedulerCache()
    old = make_node("a").label("zone", "z1").obj()
    cache.add_node(old)
    snapshot = Snapshot(cache)
    snapshot.refresh()
    assert snapshot.nodes.label_codes("zone")[0].tolist() == [0]

    cache.update_node(old, make_node("a").obj())
    snapshot.refresh()

    assert snapshot.nodes.label_codes("zone")[0].tolist() == [-1]


def test_an_extended_resource_has_a_column_once_a_node_offers_it() -> None:
    cache = SchedulerCache()
    cache.add_node(make_node("a").capacity({"cpu": "1"}).obj())
    snapshot = Snapshot(cache)
    snapshot.refresh()
    assert snapshot.nodes.allocatable("example.com/gpu").tolist() == [0]

    cache.add_node(make_node("b").capacity({"cpu": "1", "example.com/gpu": "8"}).obj())
    snapshot.refresh()

    assert snapshot.nodes.allocatable("example.com/gpu").tolist() == [0, 8]


def test_an_authors_columns_are_extracted_summed_and_set() -> None:
    cache = SchedulerCache()
    cache.add_node(make_node("a").annotation("example.com/celsius", "71").obj())
    cache.add_node(make_node("b").annotation("example.com/celsius", "hot").obj())
    cache.add_pod(make_pod("p").node("a").obj())
    snapshot = Snapshot(cache)
    for column in (CELSIUS, REPLICAS, LOAD):
        snapshot.store.register(column)
    snapshot.refresh()
    snapshot.set(LOAD, "b", 0.9)
    snapshot.refresh()

    assert snapshot.nodes.column(CELSIUS).tolist() == [71, -1]
    assert snapshot.nodes.unreadable(CELSIUS).tolist() == [False, True]
    assert snapshot.nodes.column(REPLICAS).tolist() == [1, 0]
    assert snapshot.nodes.column(LOAD).tolist() == [0.5, 0.9]


def test_a_sub_table_reads_the_same_rows() -> None:
    snapshot = snapshot_of(
        make_node(f"n{i}").capacity({"cpu": str(i + 1)}).image("app:1", size_bytes=9).obj()
        if i % 2
        else make_node(f"n{i}").capacity({"cpu": str(i + 1)}).obj()
        for i in range(6)
    )
    some = snapshot.nodes.select(np.array([5, 2, 3]))

    assert some.allocatable("cpu").tolist() == [6000, 3000, 4000]
    assert some.row_of("n2") == 1
    assert some.row_of("n0") is None
    found = some.image("docker.io/library/app:1") or some.image("app:1")
    assert found is not None
    assert found[0].nodes == 3
    assert found[1].tolist() == [0, 2]


def test_nodes_that_come_and_go_leave_no_labels_behind() -> None:
    cache = SchedulerCache()
    snapshot = Snapshot(cache)
    cache.add_node(make_node("stays").label("host", "stays").obj())
    snapshot.refresh()
    snapshot.nodes.label_codes("host")
    for i in range(500):
        cache.add_node(make_node(f"n{i}").label("host", f"n{i}").taint(f"t{i}").obj())
        snapshot.refresh()
        cache.remove_node(f"n{i}")
        snapshot.refresh()

    assert len(snapshot.nodes.label_codes("host")[1]) < 100
    assert len(snapshot.nodes.taint_sets) < 100


def test_change_log_forgets_its_beginning_but_says_so() -> None:
    cache = SchedulerCache()
    old = make_node("a").obj()
    cache.add_node(old)
    snapshot = Snapshot(cache)
    snapshot.refresh()
    log = snapshot.store.change_log
    start = log.position
    for i in range(10_000):
        log.append(0, fwk.Aspect.REQUESTED if i % 2 else fwk.Aspect.LABELS)

    assert log.since(start, ALL_ASPECTS) is None
    assert log.since(log.position, ALL_ASPECTS) == {}
    assert log.since(log.position - 2, ALL_ASPECTS) == {0: fwk.Aspect.REQUESTED | fwk.Aspect.LABELS}


def test_label_values_that_come_and_go_on_one_node_leave_nothing_behind() -> None:
    cache = SchedulerCache()
    snapshot = Snapshot(cache)
    node = make_node("a").label("build", "0").obj()
    cache.add_node(node)
    snapshot.refresh()
    snapshot.nodes.label_codes("build")

    for i in range(1, 500):
        newer = make_node("a").label("build", str(i)).obj()
        cache.update_node(node, newer)
        node = newer
        snapshot.refresh()

    codes, values = snapshot.nodes.label_codes("build")
    assert values[codes[0]] == "499"
    assert len(values) < 100


def test_rows_of_an_image_follow_the_nodes() -> None:
    cache = SchedulerCache()
    snapshot = Snapshot(cache)
    for name in "abc":
        cache.add_node(make_node(name).image("app:1", size_bytes=5).obj())
    snapshot.refresh()
    before = snapshot.store.image("app:1")
    assert before is not None
    assert before is snapshot.store.image("app:1")

    cache.remove_node("a")
    snapshot.refresh()

    after = snapshot.nodes.image("app:1")
    assert after is not None
    assert (after[0].nodes, after[1].tolist()) == (2, [0, 1])


def test_a_cache_that_nobody_reads_remembers_no_nodes_that_went() -> None:
    cache = SchedulerCache()

    for i in range(100):
        cache.add_node(make_node(f"n{i}").obj())
        cache.remove_node(f"n{i}")

    assert cache.take_changes() == ([], [])


def test_extended_resources_that_left_leave_no_columns_behind() -> None:
    cache = SchedulerCache()
    snapshot = Snapshot(cache)
    columns = []
    for number in range(20):
        device = f"example.com/device-{number}"
        pod = make_pod(f"p{number}").req({device: "1"}).node(f"n{number}").obj()
        cache.add_node(make_node(f"n{number}").capacity({"cpu": "1", device: "2"}).obj())
        cache.add_pod(pod)
        snapshot.refresh()
        assert snapshot.nodes.allocatable(device).tolist() == [2]
        assert snapshot.nodes.requested(device).tolist() == [1]
        cache.remove_pod(pod)
        cache.remove_node(f"n{number}")
        snapshot.refresh()
        columns.append(len(snapshot.store._allocatable) + len(snapshot.store._requested))

    assert columns == [columns[0]] * 20


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1.5, id="fraction"),
        pytest.param(float("nan"), id="NaN"),
        pytest.param(2**70, id="too large"),
        pytest.param("12", id="text"),
        pytest.param(None, id="nothing"),
        pytest.param([1, 2], id="list"),
    ],
)
def test_a_value_that_a_column_cannot_hold_marks_its_row(value: object) -> None:
    column = fwk.NodeColumn("example.com/odd", np.int64, extract=lambda _: value, default=-1)
    nodes = snapshot_of([make_node("a").obj()]).nodes

    assert nodes.unreadable(column).tolist() == [True]
    assert nodes.column(column).tolist() == [-1]


def test_a_value_that_a_state_column_cannot_hold_is_refused_where_it_is_set() -> None:
    snapshot = snapshot_of([make_node("a").obj()])

    with pytest.raises(ValueError, match=r"column example.com/load cannot hold 'high'"):
        snapshot.set(LOAD, "a", "high")


def test_columns_of_some_rows_and_of_copied_rows_cannot_be_unlocked() -> None:
    snapshot = snapshot_of([make_node("a").capacity({"cpu": "4"}).obj(), make_node("b").obj()])
    copied = snapshot.copy_rows([0])
    arrays = (
        snapshot.nodes.select(np.array([1, 0])).allocatable("cpu"),
        copied.resource("requested", "cpu"),
        copied.custom(REPLICAS),
        snapshot.nodes.pods_by_value(ANYBODY, "rack"),
        snapshot.nodes.nodes_by_value("rack"),
    )

    for array in arrays:
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    copied.add(0, make_pod("p").req({"cpu": "1"}).obj())
    assert arrays[1].tolist() == [1000], "we still write it"


def test_a_tally_of_copied_rows_follows_what_is_added_and_taken_away() -> None:
    there = make_pod("there").node("a").obj()
    snapshot = snapshot_of([make_node("a").obj(), make_node("b").obj()], [there])
    copied = snapshot.copy_rows([1, 0])

    copied.add(0, make_pod("new").obj())
    copied.remove(1, there)

    tally = copied.tally(NAMES)
    assert tally.rows("new").tolist() == [0]
    assert "there" not in tally
    assert snapshot.nodes.tally(NAMES).rows("there").tolist() == [0], "the snapshot's stays"


def test_a_node_of_a_snapshot_cannot_be_changed() -> None:
    snapshot = snapshot_of([make_node("a").capacity({"cpu": "4"}).obj()])
    info = snapshot.nodes.node(0)

    with pytest.raises(AttributeError, match="node a cannot be changed"):
        info.requested = {}  # type: ignore[misc]  # what is refused
    for shared in (info.requested, info.allocatable, info.labels, info.pods, info.host_ports):
        with pytest.raises(TypeError):
            shared["x"] = 1  # type: ignore[index]  # what is refused


def test_the_view_of_a_row_is_that_of_its_present_node() -> None:
    cache = SchedulerCache()
    for name in ("a", "b"):
        cache.add_node(make_node(name).capacity({"cpu": "4"}).obj())
    snapshot = Snapshot(cache)
    snapshot.refresh()
    assert [snapshot.nodes.node(row).name for row in (0, 1)] == ["a", "b"]

    cache.begin_cycle()
    cache.assume(make_pod("p").req({"cpu": "1"}).obj(), "b")
    cache.end_cycle()
    assert not snapshot.nodes.node(1).requested
    snapshot.refresh()
    assert snapshot.nodes.node(1).requested == {"cpu": 1000}

    cache.remove_node("a")
    snapshot.refresh()
    assert snapshot.nodes.node(0).name == "b"
    assert snapshot.nodes.node(0).requested == {"cpu": 1000}


def test_after_each_change_every_array_can_be_neither_written_nor_unlocked() -> None:
    cache = SchedulerCache()
    plain = make_node("a").capacity({"cpu": "4"}).obj()
    moved = make_node("a").capacity({GPU: "4"}).label("zone", "b").obj()
    closed = make_node("a").taint("full").unschedulable().obj()
    cache.add_node(plain)
    snapshot = Snapshot(cache)
    snapshot.refresh()
    for column in (CELSIUS, REPLICAS, LOAD):
        snapshot.nodes.column(column)
    changes: list[Callable[[], None]] = [
        lambda: cache.add_pod(make_pod("p").node("a").req({"cpu": "1", GPU: "1"}).obj()),
        lambda: cache.update_node(plain, moved),
        lambda: cache.update_node(moved, closed),
        lambda: snapshot.set(LOAD, "a", 0.25),
        lambda: cache.add_node(make_node("b").obj()),
        lambda: cache.remove_node("a"),
    ]

    for change in changes:
        change()
        snapshot.refresh()

        nodes = snapshot.nodes
        arrays = (
            *(nodes.allocatable(resource) for resource in ("cpu", GPU)),
            *(nodes.requested(resource) for resource in ("cpu", GPU)),
            *(nodes.non_zero_cpu, nodes.non_zero_memory, nodes.pod_count, nodes.max_pods),
            *(nodes.unschedulable, nodes.taint_set, nodes.label_codes("zone")[0]),
            *(nodes.column(column) for column in (CELSIUS, REPLICAS, LOAD)),
            *(nodes.unreadable(column) for column in (CELSIUS, REPLICAS, LOAD)),
        )
        assert not any(array.flags.writeable for array in arrays)
        for array in arrays:
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
