"""The order that QOSSort gives, and what the scheduler relies on."""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler_qos_sort import QOSSort

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Container, Pod, PodSpec, ResourceRequirements
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.testing import fake_handle, make_node, make_pod, parametrize_with_checks

PLUGIN = QOSSort(fwk.NoArgs(), fake_handle())


def _pod(name: str, *containers: tuple[dict[str, str], dict[str, str]], priority: int = 0) -> Pod:
    """A pod with containers of these requests and limits."""
    return Pod(
        metadata=ObjectMeta(name=name, uid=name),
        spec=PodSpec(
            containers=tuple(
                Container(
                    f"c{i}", resources=ResourceRequirements(FrozenMap(requests), FrozenMap(limits))
                )
                for i, (requests, limits) in enumerate(containers)
            ),
            priority=priority,
        ),
    )


BOTH = {"cpu": "1", "memory": "1Gi"}
GUARANTEED = _pod("guaranteed", (BOTH, {"cpu": "1000m", "memory": "1024Mi"}))
LIMITS_ONLY = _pod("limits-only", ({}, BOTH))
BURSTABLE = _pod("burstable", (BOTH, BOTH), ({"cpu": "1"}, {}))
BEST_EFFORT = _pod("best-effort", ({}, {}))
URGENT = _pod("urgent", ({}, {}), priority=10)


def _order(*arrivals: tuple[Pod, float]) -> list[str]:
    entities = [fwk.QueuedEntity(pod, timestamp=at) for pod, at in arrivals]
    return [entity.pod.metadata.name for entity in sorted(entities, key=PLUGIN.sort_key)]


def test_better_classes_go_first_and_priority_before_all() -> None:
    arrivals = [(BEST_EFFORT, 1.0), (BURSTABLE, 2.0), (GUARANTEED, 3.0), (URGENT, 4.0)]

    assert _order(*arrivals) == ["urgent", "guaranteed", "burstable", "best-effort"]


def test_within_a_class_first_come_first_served() -> None:
    assert _order((LIMITS_ONLY, 2.0), (GUARANTEED, 1.0)) == ["guaranteed", "limits-only"]
    assert _order((LIMITS_ONLY, 1.0), (GUARANTEED, 2.0)) == ["limits-only", "guaranteed"]


@parametrize_with_checks([PLUGIN], pods=[make_pod("p").obj()], nodes=[make_node("n").obj()])
def test_contract(check: Callable[[], None]) -> None:
    check()
