"""What is not there yet holds its pods back; the registry has upstream's names and order."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler import framework as fwk
from pyscheduler.framework import QueueingHint
from pyscheduler.intree.not_yet import Placeholder
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.testing import PluginHarness, PodBuilder, fake_handle, make_plugin, make_pod

NEEDS = {
    "VolumeBinding": (make_pod("p").claim("data"), "persistent volume claims"),
}
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
PLACEHOLDERS = [name for name, plugin in IN_TREE.items() if issubclass(plugin, Placeholder)]


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_pods_that_need_a_missing_plugin_are_told_so(name: str) -> None:
    pod, what = NEEDS[name]

    assert PluginHarness(IN_TREE[name]).pre_filter(pod.obj()) == fwk.unresolvable(
        f"the {name} plugin is not available yet, and the pod has {what}"
    )


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_all_other_pods_pass(name: str) -> None:
    others = [make_pod("plain"), *(pod for other, (pod, _) in NEEDS.items() if other != name)]
    harness = PluginHarness(IN_TREE[name])

    assert all(harness.pre_filter(pod.obj()) is fwk.SKIP for pod in others)


def test_ephemeral_volumes_are_claims_too() -> None:
    pod = make_pod("p").ephemeral_volume().obj()

    assert PluginHarness(IN_TREE["VolumeBinding"]).pre_filter(pod) is not fwk.SKIP


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        pytest.param(make_pod("p"), QueueingHint.QUEUE, id="claim-gone"),
        pytest.param(make_pod("p").claim("b"), QueueingHint.SKIP, id="still-needs-it"),
        pytest.param(make_pod("q"), QueueingHint.SKIP, id="another-pod"),
    ],
)
def test_only_the_pod_itself_can_help(new: PodBuilder, expected: QueueingHint) -> None:
    pod = make_pod("p").claim("a").obj()
    event = fwk.ClusterEvent(fwk.EventResource.TARGET_POD, fwk.ActionType.UPDATE)
    harness = PluginHarness(IN_TREE["VolumeBinding"])

    assert harness.hint(event, pod, old=pod, new=new.obj()) is expected
    assert harness.hint(fwk.NODE_ADDED, pod) is QueueingHint.SKIP


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
def test_arguments_of_missing_plugins_are_understood(name: str, args: dict[str, Any]) -> None:
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
def test_bad_arguments_of_missing_plugins_are_refused(
    name: str, args: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_plugin(IN_TREE[name], args, handle=fake_handle())
