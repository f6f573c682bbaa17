import pytest

from pyscheduler.api.core_v1 import Node, NodeSpec, Pod, PodSpec, PodStatus, Taint, Volume
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta


def test_defaults_of_a_pod_are_those_of_the_api() -> None:
    pod = Pod(ObjectMeta(name="p", namespace="ns"))
    assert (pod.key, pod.node_name, pod.priority) == ("ns/p", "", 0)
    assert pod.scheduler_name == "default-scheduler"
    assert pod.condition("Ready") is None
    assert pod.status == PodStatus()


def test_a_deletion_timestamp_makes_a_pod_terminating() -> None:
    pod = Pod(ObjectMeta(name="p", deletion_timestamp="2026-03-01T10:00:00Z"))
    assert pod.is_terminating


@pytest.mark.parametrize(("priority", "expected"), [(None, 0), (-5, -5), (1000, 1000)])
def test_priority(priority: int | None, expected: int) -> None:
    assert Pod(ObjectMeta(), PodSpec(priority=priority)).priority == expected


def test_a_node_shows_its_metadata_and_taints() -> None:
    meta = ObjectMeta(name="n", uid="u", labels=FrozenMap({"a": "b"}))
    node = Node(meta, NodeSpec(taints=(Taint("k", "NoSchedule"),)))
    assert (node.name, node.uid, node.labels["a"], node.taints[0].key) == ("n", "u", "b", "k")
    assert node.annotations == {}


def test_a_volume_without_a_known_source_decides_nothing() -> None:
    assert Volume("config").decides_nothing
