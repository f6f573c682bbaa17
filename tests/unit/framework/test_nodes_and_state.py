"""Tables and sub-tables, columns of authors, and what plugins remember in a cycle."""

from __future__ import annotations

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.framework.columns import aspects_of
from pyscheduler.testing import make_node, make_pod, node_table

NODES = [
    make_node("a").capacity({"cpu": "1"}).label("zone", "x").taint("k").obj(),
    make_node("b").capacity({"cpu": "2"}).image("i:1", size_bytes=7).unschedulable().obj(),
    make_node("c").capacity({"cpu": "3"}).label("zone", "y").image("i:1", size_bytes=7).obj(),
]
PODS = [make_pod("p").req({"cpu": "500m"}).node("b").obj()]


def test_a_sub_table_gathers_every_column() -> None:
    table = node_table(NODES, PODS).select(np.array([2, 1]))
    codes, values = table.label_codes("zone")
    image = table.image("i:1")

    assert list(table.names) == ["c", "b"]
    assert table.allocatable("cpu").tolist() == [3000, 2000]
    assert table.requested("cpu").tolist() == [0, 500]
    assert table.pod_count.tolist() == [0, 1]
    assert table.unschedulable.tolist() == [False, True]
    assert [values[code] if code >= 0 else None for code in codes.tolist()] == ["y", None]
    assert image is not None
    assert (image[0].nodes, image[1].tolist()) == (2, [0, 1])
    assert (table.row_of("b"), table.row_of("a")) == (1, None)


def test_a_sub_table_of_a_sub_table_keeps_its_rows() -> None:
    table = node_table(NODES).select(np.array([2, 0])).select(np.array([1]))

    assert list(table.names) == ["a"]
    assert table.taint_sets[table.taint_set[0]] == NODES[0].taints


def test_an_unheard_of_resource_is_zero_everywhere() -> None:
    assert node_table(NODES).allocatable("example.com/gpu").tolist() == [0, 0, 0]


def test_a_value_that_cannot_be_read_marks_its_row_alone() -> None:
    column = fwk.NodeColumn("rank", np.int64, extract=lambda n: int(n.labels["zone"], 36))
    table = node_table(NODES)

    assert table.column(column).tolist() == [33, 0, 34]
    assert table.unreadable(column).tolist() == [False, True, False]


def test_a_pod_column_is_summed_over_the_node() -> None:
    column = fwk.PodColumn("pods", np.int64, extract=lambda pod: len(pod.name))

    assert node_table(NODES, PODS).column(column).tolist() == [0, 1, 0]


def test_dependencies_name_aspects_and_always_identity() -> None:
    column = fwk.NodeColumn("n", np.int64, extract=lambda n: 0)

    assert aspects_of(()) == fwk.Aspect.IDENTITY
    assert aspects_of((column, fwk.Aspect.TAINTS)) == (
        fwk.Aspect.IDENTITY | fwk.Aspect.OBJECT | fwk.Aspect.TAINTS
    )


class _Cloned:
    def __init__(self, value: int) -> None:
        self.value = value

    def clone(self) -> _Cloned:
        return _Cloned(self.value)


def test_state_is_kept_by_key_and_clones_what_can_be_cloned() -> None:
    shared, cloned = fwk.StateKey[list[int]]("shared"), fwk.StateKey[_Cloned]("cloned")
    state = fwk.CycleState()
    state.write(shared, [1])
    state.write(cloned, _Cloned(1))

    copy = state.clone()
    copy.read(cloned).value = 2
    copy.write(shared, [2])

    assert state.read(shared) == [1]
    assert state.read(cloned).value == 1
    assert state.get(fwk.StateKey[int]("shared")) is None
    with pytest.raises(KeyError):
        state.read(fwk.StateKey[int]("other"))


def test_what_nobody_wrote_is_read_as_the_default_of_its_key() -> None:
    key = fwk.StateKey("names", default=list[str])
    state = fwk.CycleState()

    assert state.get(key) is None
    state.read(key).append("a")

    assert state.read(key) == ["a"]
    assert fwk.CycleState().read(key) == []


def test_a_clone_is_cloned_by_what_is_written_to_it() -> None:
    key = fwk.StateKey[object]("anything")
    state = fwk.CycleState()
    state.write(key, _Cloned(1))
    copy = state.clone()

    assert copy.clone().read(key) is not copy.read(key)

    copy.write(key, plain := object())
    assert copy.clone().read(key) is plain


def test_arguments_are_strict_frozen_and_camel_case() -> None:
    class Args(fwk.Args):
        max_celsius: int = 80

    args = Args.model_validate({"maxCelsius": 70})

    assert args.max_celsius == 70
    for wrong in ({"maxCelsius": "70"}, {"maxcelsius": 70}):
        with pytest.raises(ValueError, match=r"max[cC]elsius"):
            Args.model_validate(wrong)
    with pytest.raises(ValueError, match="frozen"):
        args.max_celsius = 1  # type: ignore[misc]  # what is being refused
