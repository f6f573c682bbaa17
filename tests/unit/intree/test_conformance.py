"""Every in-tree plugin keeps the promises that the runtime relies on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyscheduler.framework import EventResource, Plugin
from pyscheduler.framework.extended_resources import DEVICE_CLASSES
from pyscheduler.intree.dynamic_resources.claim_tracker import RESOURCE_CLAIMS
from pyscheduler.intree.dynamic_resources.cluster_devices import (
    DEVICE_TAINT_RULES,
    RESOURCE_SLICES,
)
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import (
    fake_handle,
    make_attachment,
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_node,
    make_plugin,
    make_pod,
    make_storage_capacity,
    make_storage_class,
    make_volume,
    parametrize_with_checks,
)
from pyscheduler.testing.device_builders import (
    make_device_class,
    make_resource_claim,
    make_slice,
    make_taint_rule,
)

GPU = "example.com/gpu"
MIB = 1024**2

PLUGIN_ARGS: dict[str, list[dict[str, Any]]] = {
    "NodeResourcesFit": [
        {},
        {"ignoredResourceGroups": ["example.com"], "scoringStrategy": {"type": "MostAllocated"}},
        {
            "scoringStrategy": {
                "type": "RequestedToCapacityRatio",
                "resources": [{"name": "cpu", "weight": 3}, {"name": GPU, "weight": 5}],
                "requestedToCapacityRatio": {
                    "shape": [
                        {"utilization": 0, "score": 10},
                        {"utilization": 70, "score": 3},
                        {"utilization": 100, "score": 0},
                    ]
                },
            }
        },
    ],
    "NodeResourcesBalancedAllocation": [
        {},
        {
            "resources": [
                {"name": "cpu", "weight": 1},
                {"name": "memory", "weight": 1},
                {"name": GPU, "weight": 1},
            ]
        },
    ],
    "InterPodAffinity": [
        {},
        {"hardPodAffinityWeight": 40},
        {"ignorePreferredTermsOfExistingPods": True},
    ],
    "NodeAffinity": [
        {},
        {
            "addedAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}
                    ]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 7,
                        "preference": {
                            "matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]
                        },
                    }
                ],
            }
        },
    ],
}

NODES = [
    make_node("plain").obj(),
    make_node("small")
    .capacity({"cpu": "1", "memory": "2Gi"})
    .label("zone", "a")
    .label("rank", "3")
    .obj(),
    make_node("full").capacity({"cpu": "8", "memory": "32Gi", "pods": "1"}).obj(),
    make_node("tainted")
    .label("zone", "b")
    .taint("dedicated", "db")
    .taint("soft", effect="PreferNoSchedule")
    .obj(),
    make_node("evicting").taint("broken", effect="NoExecute").label("rank", "12").obj(),
    make_node("cordoned").unschedulable().label("zone", "a").obj(),
    make_node("gpu")
    .capacity({"cpu": "4", "memory": "16Gi", GPU: "4"})
    .label("zone", "c")
    .image("nginx:latest", size_bytes=900 * MIB)
    .obj(),
    make_node("nothing").allocatable({}).image("nginx:latest", size_bytes=900 * MIB).obj(),
    make_node("soft")
    .taint("soft", effect="PreferNoSchedule")
    .taint("softer", effect="PreferNoSchedule")
    .label("zone", "b")
    .obj(),
]

EXISTING = [
    make_pod("on-plain").req({"cpu": "3", "memory": "2Gi"}).node("plain").obj(),
    make_pod("on-full").node("full").host_port(8080).obj(),
    make_pod("on-gpu").req({"cpu": "1", GPU: "3"}).node("gpu").host_port(9090, ip="10.0.0.1").obj(),
    make_pod("social")
    .label("app", "x")
    .anti_affinity("zone", {"app": "y"})
    .affinity("zone", {"app": "y"}, weight=5)
    .affinity("kubernetes.io/hostname", {"app": "x"})
    .node("small")
    .obj(),
]

PODS = [
    make_pod("empty").obj(),
    make_pod("twin-of-empty").label("app", "x").obj(),
    make_pod("small").req({"cpu": "500m", "memory": "1Gi"}).obj(),
    make_pod("large").req({"cpu": "6", "memory": "20Gi"}).obj(),
    make_pod("gpu").req({"cpu": "1", "memory": "1Gi", GPU: "2"}).obj(),
    make_pod("storage").req({"ephemeral-storage": "1Gi"}).obj(),
    make_pod("tolerant")
    .toleration("dedicated", "db", "NoSchedule")
    .toleration("soft", operator="Exists")
    .toleration("node.kubernetes.io/unschedulable", operator="Exists")
    .obj(),
    make_pod("tolerates-all").toleration(operator="Exists").obj(),
    make_pod("zone-a").node_selector({"zone": "a"}).obj(),
    make_pod("affine")
    .required_affinity(("zone", "In", ["a", "b"]), ("rank", "DoesNotExist", []))
    .required_affinity(("rank", "Gt", ["5"]))
    .obj(),
    make_pod("not-b").required_affinity(("zone", "NotIn", ["b"])).obj(),
    make_pod("low-rank").required_affinity(("rank", "Lt", ["5"])).obj(),
    make_pod("pinned").required_affinity(fields=[("metadata.name", "In", ["soft"])]).obj(),
    make_pod("elsewhere").required_affinity(fields=[("metadata.name", "NotIn", ["soft"])]).obj(),
    make_pod("nobody").required_affinity().obj(),
    make_pod("prefers")
    .preferred_affinity(20, ("zone", "In", ["a"]))
    .preferred_affinity(50, ("zone", "Exists", []))
    .preferred_affinity(1)
    .obj(),
    make_pod("named").node("soft").obj(),
    make_pod("port").host_port(8080).obj(),
    make_pod("port-of-address").host_port(9090, ip="10.0.0.2").obj(),
    make_pod("image").image("nginx").image("other:1").obj(),
    make_pod("claims").claim("data").obj(),
    make_pod("spread").label("app", "x").spread("zone").obj(),
    make_pod("apart").anti_affinity("kubernetes.io/hostname", {"app": "x"}).obj(),
    make_pod("near").label("app", "x").affinity("zone", {"app": "x"}).obj(),
    make_pod("avoided").label("app", "y").obj(),
    make_pod("first").label("app", "z").affinity("zone", {"app": "z"}).obj(),
    make_pod("inclined")
    .affinity("zone", {"app": "x"}, weight=10)
    .anti_affinity("kubernetes.io/hostname", {"app": "x"}, weight=3)
    .obj(),
    make_pod("devices").resource_claim("gpu").obj(),
    make_pod("gated").gate("example.com/wait").obj(),
]


#: of other kinds, for hints
OBJECTS: dict[EventResource | str, list[object]] = {
    EventResource.PERSISTENT_VOLUME_CLAIM: [make_claim("data").obj(), make_claim("logs").obj()],
    EventResource.PERSISTENT_VOLUME: [make_volume("pv").zone("a").obj()],
    EventResource.STORAGE_CLASS: [make_storage_class("later").waits().obj()],
    EventResource.CSI_NODE: [make_csi_node("small").driver("driver", limit=2).obj()],
    EventResource.CSI_DRIVER: [make_csi_driver("driver", storage_capacity=True)],
    EventResource.CSI_STORAGE_CAPACITY: [
        make_storage_capacity("room", "later", "10Gi", node_labels={"zone": "a"})
    ],
    EventResource.VOLUME_ATTACHMENT: [
        make_attachment("at", driver="driver", node="small", volume="pv")
    ],
    EventResource.DEVICE_CLASS: [make_device_class().extended_resource(GPU).obj()],
    EventResource.RESOURCE_CLAIM: [make_resource_claim("gpu").request("one").obj()],
    DEVICE_TAINT_RULES: [make_taint_rule("rule")],
    RESOURCE_CLAIMS: [make_resource_claim("gpu").request("one").obj()],
    RESOURCE_SLICES: [make_slice("gpu").devices("gpu-0").obj()],
    DEVICE_CLASSES: [make_device_class().obj()],
}


def _plugins() -> list[Plugin[Any]]:
    return [
        make_plugin(plugin_class, args, handle=fake_handle())
        for name, plugin_class in IN_TREE.items()
        for args in PLUGIN_ARGS.get(name, [{}])
    ]


@parametrize_with_checks(_plugins(), pods=PODS, nodes=NODES, existing=EXISTING, objects=OBJECTS)
def test_conformance(check: Callable[[], None]) -> None:
    check()
