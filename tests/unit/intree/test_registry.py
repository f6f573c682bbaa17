"""The registry has upstream's names, order and weights, and its plugins understand their args."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.testing import fake_handle, make_plugin

DEFAULT_ORDER = [
    "SchedulingGates",
    "PrioritySort",
    "NodeName",
    "NodeUnschedulable",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DynamicResources",
    "DefaultPreemption",
    "NodeResourcesBalancedAllocation",
    "ImageLocality",
    "DefaultBinder",
    "NodeDeclaredFeatures",
]


def test_default_plugins_are_upstreams_in_order_and_weight() -> None:
    assert [name for name, _ in DEFAULT_PLUGINS] == DEFAULT_ORDER
    assert {name: weight for name, weight in DEFAULT_PLUGINS if weight} == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
        "DynamicResources": 2,
        "NodeResourcesBalancedAllocation": 1,
        "ImageLocality": 1,
    }


@pytest.mark.parametrize(
    ("name", "args"),
    [
        pytest.param("DefaultPreemption", {"minCandidateNodesPercentage": 20}, id="preemption"),
        pytest.param("VolumeBinding", {"bindTimeoutSeconds": 60}, id="volume-binding"),
        pytest.param("DynamicResources", {"filterTimeout": "5s"}, id="dynamic-resources"),
    ],
)
def test_arguments_are_understood(name: str, args: dict[str, Any]) -> None:
    make_plugin(IN_TREE[name], args, handle=fake_handle())


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        pytest.param(
            "DefaultPreemption",
            {"minCandidateNodesPercentage": 0, "minCandidateNodesAbsolute": 0},
            "must not both be 0",
            id="no-candidates",
        ),
    ],
)
def test_bad_arguments_are_refused(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plugin(IN_TREE[name], args, handle=fake_handle())
