"""Each event that an in-tree plugin hears of: one that must not wake the pod, then one that does.

That a pod was not woken, its attempt count says; that it was, at once, the virtual time it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pyscheduler.framework.cluster_events import ActionType, ClusterEvent
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.devices import (
    CLAIMS,
    DRIVER,
    claim,
    device_class,
    device_slice,
    taint_rule,
    user,
)
from tests.component.storage import (
    as_bound,
    attachment,
    bound_claim,
    csi_driver,
    csi_node,
    csi_volume,
    inline,
    migrated_on,
    of_claim,
    pending_claim,
    reachable_from,
)
from tests.component.world import World

TAINT = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}
OTHER_TAINT = {"key": "other", "value": "x", "effect": "NoSchedule"}
CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
GATE = [{"name": "example.com/gate"}]

Act = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Story:
    """``pod-a`` waits; something happens that cannot help it; then something that does."""

    #: plugin and event, as registered
    plugin: str
    event: str
    before: tuple[JsonObject, ...]
    pod: JsonObject
    in_vain: Act
    helps: Act
    #: how often the pod has been tried while it waits
    attempts: int = 1
    #: done once the pods of `before` run
    prepares: Act | None = None

    @property
    def id(self) -> str:
        return f"{self.plugin}-{self.event}"


def pod_a(cpu: str = "1", **spec: Any) -> JsonObject:
    return make_pod("pod-a", cpu=cpu, **spec)


def on(node: str, name: str, **spec: Any) -> JsonObject:
    """A pod that runs there, whoever bound it."""
    return make_pod(name, scheduler_name="somebody-else", nodeName=node, **spec)


def port(number: int) -> list[JsonObject]:
    return [
        {
            "name": "main",
            "image": "pause",
            "ports": [{"containerPort": number, "hostPort": number}],
        }
    ]


def spread_pod(**constraint: Any) -> JsonObject:
    """A pod of the application ``web``, which wants two zones at least."""
    wanted = {
        "maxSkew": 1,
        "minDomains": 2,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": WEB},
    }
    return pod_a(labels=WEB, topologySpreadConstraints=[{**wanted, **constraint}])


def needs_zone(zone: str) -> JsonObject:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}
        }
    }


def db_by(topology_key: str) -> JsonObject:
    """Pod affinity, or anti-affinity, to the database."""
    selector = {"matchLabels": {"app": "db"}}
    term = {"topologyKey": topology_key, "labelSelector": selector}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def adds(*objects: JsonObject) -> Act:
    return lambda world: world.create(*objects)


def sends(method: str, path: str, body: JsonObject) -> Act:
    def act(world: World) -> None:
        world.send(method, path, body)

    return act


def deletes(pod: str) -> Act:
    return lambda world: world.delete_pod(pod, at_once=True)


def deletes_node(name: str) -> Act:
    return sends("DELETE", f"/api/v1/nodes/{name}", {})


def patches_node(name: str, body: JsonObject) -> Act:
    return lambda world: world.patch_node(name, body)


def allocatable(name: str, **amounts: str) -> Act:
    return lambda world: world.patch_node(name, {"status": {"allocatable": amounts}}, status=True)


def declares(name: str, *features: str) -> Act:
    body = {"status": {"declaredFeatures": list(features)}}
    return lambda world: world.patch_node(name, body, status=True)


def patches_pod(name: str, body: JsonObject) -> Act:
    return lambda world: world.patch_pod(name, body)


def tolerates(*taints: JsonObject) -> Act:
    def act(world: World) -> None:
        known = world.pod("pod-a")["spec"].get("tolerations", [])
        added = [
            {**taint, "operator": "Equal" if "value" in taint else "Exists"} for taint in taints
        ]
        world.patch_pod("pod-a", {"spec": {"tolerations": [*known, *added]}})

    return act


def has_been_given(name: str, cpu: str) -> Act:
    """As the kubelet tells of a resize that it has come to."""
    resources = {"cpu": cpu, "memory": "128Mi"}

    def act(world: World) -> None:
        status = {"name": "main", "allocatedResources": resources, "ready": True}
        path = f"/api/v1/namespaces/default/pods/{name}/status"
        world.send("PATCH", path, {"status": {"containerStatuses": [status]}})

    return act


SMALL = make_node("n1", cpu="1")
TAINTED = make_node("n1", taints=[TAINT])
LABEL: JsonObject = {"metadata": {"labels": {"some": "label"}}}
WEB, NOT_WEB = {"app": "web"}, {"app": "other"}
IN_A = make_node("n1", labels={"zone": "a"})
IN_B = make_node("n2", labels={"zone": "b"})
TAINTED_IN_B = make_node("n2", labels={"zone": "b"}, taints=[TAINT])
WEB_IN_A = on("n1", "web", labels=WEB)
DECLARING = make_node("n2")
DECLARING["status"] = {
    **DECLARING["status"],
    "declaredFeatures": ["UserNamespacesHostNetworkSupport"],
}
CORDONED = make_node("n1")
CORDONED["spec"] = {**CORDONED.get("spec", {}), "unschedulable": True}
ALSO_CORDONED = make_node("n2")
ALSO_CORDONED["spec"] = {**ALSO_CORDONED.get("spec", {}), "unschedulable": True}

ZONE = "topology.kubernetes.io/zone"
IN_ZONE_A = make_node("n1", labels={ZONE: "a"})
CSI_NODE = "/apis/storage.k8s.io/v1/csinodes/n1"
PVCS = "/api/v1/namespaces/default/persistentvolumeclaims"
HOST = "kubernetes.io/hostname"
ON_HOST_N1 = make_node("n1", labels={HOST: "n1"})
ON_N2_ALONE = reachable_from(csi_volume("pv", "data"), HOST, "n2")
IN_DRIVERS_ZONE_A = make_node("n1", labels={"topology.ebs.csi.aws.com/zone": "a"})
BUILT_IN_ZONE_A = reachable_from(csi_volume("pv", "data"), ZONE, "a")
del BUILT_IN_ZONE_A["spec"]["csi"]
BUILT_IN_ZONE_A["spec"]["awsElasticBlockStore"] = {"volumeID": "vol-pv"}
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"

_DEVICES = "resource.k8s.io/"
ONE_DEVICE = (make_node("n1"), device_class(), device_slice("n1", "gpu-0"), claim("mine"))
GPU_POD = make_pod(
    "pod-a",
    containers=[
        {
            "name": "main",
            "image": "pause",
            "resources": {
                "requests": {"example.com/gpu": "1"},
                "limits": {"example.com/gpu": "1"},
            },
        }
    ],
)


def patches_claim(name: str, body: JsonObject, *, status: bool = False) -> Act:
    return sends("PATCH", f"{CLAIMS}/{name}{'/status' if status else ''}", body)


def gives_device_to(name: str) -> Act:
    """The only device of node n1 is that claim's."""
    result = {"request": "gpu", "driver": DRIVER, "pool": "n1", "device": "gpu-0"}
    allocation = {"devices": {"results": [result]}}
    return patches_claim(name, {"status": {"allocation": allocation}}, status=True)


def names_generated(name: str) -> Act:
    """The pod's status says that this claim was made for it."""
    statuses = [{"name": "gpu", "resourceClaimName": name}]
    return sends(
        "PATCH",
        "/api/v1/namespaces/default/pods/pod-a/status",
        {"status": {"resourceClaimStatuses": statuses}},
    )


def makes_claim_for_pod(world: World) -> None:
    """What the controller does about a template."""
    uid = world.pod("pod-a")["metadata"]["uid"]
    made = claim("made")
    made["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": "pod-a", "uid": uid, "controller": True}
    ]
    world.create(made)
    names_generated("made")(world)


def in_zone(zone: str) -> JsonObject:
    """A node selector."""
    expression = {"key": "zone", "operator": "In", "values": [zone]}
    return {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}


STORIES = [
    Story(
        "NodeResourcesFit",
        "AssignedPodDelete",
        (SMALL, on("n1", "big", cpu="900m"), on("n1", "gone", cpu=None)),
        pod_a(),
        patches_pod("gone", LABEL),
        deletes("big"),
    ),
    Story(
        "NodeResourcesFit",
        "AssignedPodUpdatePodScaleDown",
        (SMALL, on("n1", "big", cpu="100m")),
        pod_a("500m"),
        patches_pod("big", LABEL),
        has_been_given("big", "100m"),
        prepares=has_been_given("big", "900m"),
    ),
    Story(
        "NodeDeclaredFeatures",
        "NodeUpdateNodeDeclaredFeature",
        (make_node("n1"),),
        pod_a(hostNetwork=True, hostUsers=False),
        patches_node("n1", LABEL),
        declares("n1", "UserNamespacesHostNetworkSupport"),
    ),
    Story(
        "NodeDeclaredFeatures",
        "NodeAdd",
        (make_node("n1"),),
        pod_a(hostNetwork=True, hostUsers=False),
        patches_node("n1", LABEL),
        adds(DECLARING),
    ),
    Story(
        "NodeResourcesFit",
        "NodeAdd",
        (SMALL,),
        pod_a("2"),
        adds(make_node("n2", cpu="1")),
        adds(make_node("n3", cpu="4")),
    ),
    Story(
        "NodeResourcesFit",
        "NodeUpdateNodeAllocatable",
        (SMALL,),
        pod_a("2"),
        allocatable("n1", memory="32Gi"),
        allocatable("n1", cpu="4"),
    ),
    Story(
        "NodePorts",
        "AssignedPodDelete",
        (
            make_node("n1"),
            on("n1", "same", containers=port(80)),
            on("n1", "other", containers=port(81)),
        ),
        make_pod("pod-a", containers=port(80)),
        deletes("other"),
        deletes("same"),
    ),
    Story(
        "NodePorts",
        "NodeAdd",
        (make_node("n1"), on("n1", "same", containers=port(80))),
        make_pod("pod-a", containers=port(80)),
        patches_node("n1", LABEL),
        adds(make_node("n2")),
    ),
    Story(
        "NodeUnschedulable",
        "NodeAdd",
        (CORDONED,),
        pod_a(),
        adds(ALSO_CORDONED),
        adds(make_node("n3")),
    ),
    Story(
        "NodeUnschedulable",
        "NodeUpdateNodeTaint",
        (CORDONED,),
        pod_a(),
        patches_node("n1", LABEL),
        patches_node("n1", {"spec": {"unschedulable": None}}),
    ),
    Story(
        "NodeUnschedulable",
        "TargetPodUpdatePodToleration",
        (CORDONED,),
        pod_a(),
        tolerates(OTHER_TAINT),
        tolerates(CORDON),
    ),
    Story(
        "TaintToleration",
        "NodeAdd",
        (TAINTED,),
        pod_a(),
        adds(make_node("n2", taints=[OTHER_TAINT])),
        adds(make_node("n3")),
    ),
    Story(
        "TaintToleration",
        "NodeUpdateNodeTaint",
        (TAINTED,),
        pod_a(),
        patches_node("n1", {"spec": {"taints": [TAINT, OTHER_TAINT]}}),
        patches_node("n1", {"spec": {"taints": []}}),
    ),
    Story(
        "TaintToleration",
        "TargetPodUpdatePodToleration",
        (TAINTED,),
        pod_a(),
        patches_pod("pod-a", LABEL),
        tolerates(TAINT),
    ),
    Story(
        "NodeAffinity",
        "NodeAdd",
        (make_node("n1"),),
        pod_a(affinity=needs_zone("a")),
        adds(make_node("n2", labels={"zone": "b"})),
        adds(make_node("n3", labels={"zone": "a"})),
    ),
    Story(
        "NodeAffinity",
        "NodeUpdateNodeLabel",
        (make_node("n1"),),
        pod_a(affinity=needs_zone("a")),
        patches_node("n1", {"metadata": {"labels": {"zone": "b"}}}),
        patches_node("n1", {"metadata": {"labels": {"zone": "a"}}}),
    ),
    Story(
        "InterPodAffinity",
        "AssignedPodAdd",
        (make_node("n1"),),
        pod_a(affinity={"podAffinity": db_by("kubernetes.io/hostname")}),
        adds(on("n1", "other", labels={"app": "other"})),
        adds(on("n1", "db", labels={"app": "db"})),
    ),
    Story(
        "InterPodAffinity",
        "AssignedPodUpdatePodLabel",
        (make_node("n1"), on("n1", "db")),
        pod_a(affinity={"podAffinity": db_by("kubernetes.io/hostname")}),
        patches_pod("db", LABEL),
        patches_pod("db", {"metadata": {"labels": {"app": "db"}}}),
    ),
    Story(
        "InterPodAffinity",
        "AssignedPodDelete",
        (make_node("n1"), on("n1", "db", labels={"app": "db"}), on("n1", "other")),
        pod_a(affinity={"podAntiAffinity": db_by("kubernetes.io/hostname")}),
        deletes("other"),
        deletes("db"),
    ),
    Story(
        "InterPodAffinity",
        "TargetPodUpdatePodLabel",
        (
            make_node("n1"),
            on("n1", "alone", affinity={"podAntiAffinity": db_by("kubernetes.io/hostname")}),
        ),
        pod_a(labels={"app": "db"}),
        patches_node("n1", LABEL),
        patches_pod("pod-a", {"metadata": {"labels": {"app": "other"}}}),
    ),
    Story(
        "InterPodAffinity",
        "NodeAdd",
        (make_node("n1"), on("n1", "db", labels={"app": "db"})),
        pod_a(affinity={"podAntiAffinity": db_by("kubernetes.io/hostname")}),
        patches_node("n1", LABEL),
        adds(make_node("n2")),
    ),
    Story(
        "InterPodAffinity",
        "NodeUpdateNodeLabel",
        (make_node("n1"), on("n1", "db", labels={"app": "db"})),
        pod_a(affinity={"podAffinity": db_by("zone")}),
        patches_node("n1", LABEL),
        patches_node("n1", {"metadata": {"labels": {"zone": "a"}}}),
    ),
    Story(
        "PodTopologySpread",
        "AssignedPodAdd",
        (IN_A, TAINTED_IN_B, WEB_IN_A),
        spread_pod(),
        adds(on("n2", "other", labels=NOT_WEB)),
        adds(on("n2", "web-b", labels=WEB)),
    ),
    Story(
        "PodTopologySpread",
        "AssignedPodUpdatePodLabel",
        (IN_A, WEB_IN_A),
        spread_pod(),
        patches_pod("web", LABEL),
        patches_pod("web", {"metadata": {"labels": NOT_WEB}}),
    ),
    Story(
        "PodTopologySpread",
        "AssignedPodDelete",
        (IN_A, WEB_IN_A, on("n1", "other", labels=NOT_WEB)),
        spread_pod(),
        deletes("other"),
        deletes("web"),
    ),
    Story(
        "PodTopologySpread",
        "TargetPodUpdatePodLabel",
        (IN_A, WEB_IN_A),
        spread_pod(),
        patches_pod("pod-a", LABEL),
        patches_pod("pod-a", {"metadata": {"labels": NOT_WEB}}),
    ),
    Story(
        "PodTopologySpread",
        "TargetPodUpdatePodToleration",
        (IN_A, TAINTED_IN_B, WEB_IN_A),
        spread_pod(nodeTaintsPolicy="Honor"),
        patches_pod("pod-a", LABEL),
        tolerates(TAINT),
    ),
    Story(
        "PodTopologySpread",
        "NodeAdd",
        (IN_A, WEB_IN_A),
        spread_pod(),
        adds(make_node("n3")),
        adds(IN_B),
    ),
    Story(
        "PodTopologySpread",
        "NodeDelete",
        (IN_A, TAINTED_IN_B, make_node("n3"), WEB_IN_A),
        spread_pod(minDomains=1),
        deletes_node("n3"),
        deletes_node("n2"),
    ),
    Story(
        "PodTopologySpread",
        "NodeUpdateNodeLabel",
        (IN_A, make_node("n2"), WEB_IN_A),
        spread_pod(),
        patches_node("n2", LABEL),
        patches_node("n2", {"metadata": {"labels": {"zone": "b"}}}),
    ),
    Story(
        "PodTopologySpread",
        "NodeUpdateNodeTaint",
        (IN_A, TAINTED_IN_B, WEB_IN_A),
        spread_pod(nodeTaintsPolicy="Honor"),
        patches_node("n2", LABEL),
        patches_node("n2", {"spec": {"taints": []}}),
    ),
    Story(
        "SchedulingGates",
        "TargetPodUpdatePodSchedulingGatesEliminated",
        (make_node("n1"),),
        pod_a(schedulingGates=GATE),
        adds(make_node("n2")),
        patches_pod("pod-a", {"spec": {"schedulingGates": []}}),
        attempts=0,
    ),
    Story(
        "VolumeRestrictions",
        "AssignedPodDelete",
        (
            make_node("n1"),
            on("n1", "holder", volumes=[inline("vol-1")]),
            on("n1", "other", volumes=[inline("vol-2")]),
        ),
        pod_a(volumes=[inline("vol-1")]),
        deletes("other"),
        deletes("holder"),
    ),
    Story(
        "VolumeRestrictions",
        "NodeAdd",
        (make_node("n1"), on("n1", "holder", volumes=[inline("vol-1")])),
        pod_a(volumes=[inline("vol-1")]),
        patches_node("n1", LABEL),
        adds(make_node("n2")),
    ),
    Story(
        "VolumeRestrictions",
        "PersistentVolumeClaimAdd",
        (make_node("n1"), csi_volume("pv", "data")),
        pod_a(volumes=[of_claim("data")]),
        adds(bound_claim("logs", "pv")),
        adds(bound_claim("data", "pv")),
    ),
    Story(
        "NodeVolumeLimits",
        "storage.k8s.io/CSINodeAdd",
        (
            make_node("n1"),
            csi_driver("driver", prevents_pods=True),
            csi_volume("pv", "data", driver="driver"),
            bound_claim("data", "pv"),
        ),
        pod_a(volumes=[of_claim("data")]),
        adds(bound_claim("logs", "pv")),
        adds(csi_node("n1", 1, "driver")),
    ),
    Story(
        "NodeVolumeLimits",
        "storage.k8s.io/CSINodeUpdate",
        (make_node("n1"), csi_node("n1", 0)),
        pod_a(volumes=[inline("vol-1")]),
        sends("PATCH", CSI_NODE, LABEL),
        sends("PATCH", CSI_NODE, {"spec": csi_node("n1", 1)["spec"]}),
    ),
    Story(
        "NodeVolumeLimits",
        "AssignedPodDelete",
        (
            make_node("n1"),
            csi_node("n1", 1),
            on("n1", "holder", volumes=[inline("vol-1")]),
            on("n1", "other"),
        ),
        pod_a(volumes=[inline("vol-2")]),
        deletes("other"),
        deletes("holder"),
    ),
    Story(
        "NodeVolumeLimits",
        "storage.k8s.io/VolumeAttachmentDelete",
        (
            make_node("n1"),
            csi_node("n1", 1),
            csi_volume("pv", "data"),
            attachment("left-over", "n1", "pv"),
            attachment("of-another", "n1", "pv", "driver"),
        ),
        pod_a(volumes=[inline("vol-2")]),
        sends("DELETE", f"{ATTACHMENTS}/of-another", {}),
        sends("DELETE", f"{ATTACHMENTS}/left-over", {}),
    ),
    Story(
        "VolumeZone",
        "NodeAdd",
        (IN_ZONE_A, csi_volume("pv", "data", zone="b"), bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        patches_node("n1", {"metadata": {"annotations": {"some": "note"}}}),
        adds(make_node("n2", labels={ZONE: "b"})),
    ),
    Story(
        "VolumeZone",
        "NodeUpdateNodeLabel",
        (IN_ZONE_A, csi_volume("pv", "data", zone="b"), bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        patches_node("n1", {"metadata": {"annotations": {"some": "note"}}}),
        patches_node("n1", {"metadata": {"labels": {ZONE: "b"}}}),
    ),
    Story(
        "VolumeZone",
        "PersistentVolumeAdd",
        (IN_ZONE_A, bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        adds(bound_claim("logs", "pv")),
        adds(csi_volume("pv", "data", zone="a")),
    ),
    Story(
        "VolumeZone",
        "PersistentVolumeUpdate",
        (IN_ZONE_A, csi_volume("pv", "data", zone="b"), bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        sends("PATCH", "/api/v1/persistentvolumes/pv", LABEL),
        sends("PATCH", "/api/v1/persistentvolumes/pv", {"metadata": {"labels": {ZONE: "a"}}}),
    ),
    Story(
        "VolumeBinding",
        "PersistentVolumeClaimUpdate",
        (
            make_node("n1"),
            csi_volume("pv", "data"),
            pending_claim("data", ""),
            pending_claim("logs", ""),
        ),
        pod_a(volumes=[of_claim("data")]),
        sends("PATCH", f"{PVCS}/logs", LABEL),
        sends("PATCH", f"{PVCS}/data", as_bound("pv")),
    ),
    Story(
        "VolumeBinding",
        "PersistentVolumeUpdate",
        (ON_HOST_N1, ON_N2_ALONE, bound_claim("data", "pv"), pending_claim("logs", "")),
        pod_a(volumes=[of_claim("data")]),
        sends("PATCH", f"{PVCS}/logs", LABEL),
        sends("PATCH", "/api/v1/persistentvolumes/pv", {"spec": {"nodeAffinity": None}}),
    ),
    Story(
        "VolumeBinding",
        "NodeAdd",
        (ON_HOST_N1, ON_N2_ALONE, bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        patches_node("n1", {"metadata": {"annotations": {"some": "note"}}}),
        adds(make_node("n2", labels={HOST: "n2"})),
    ),
    Story(
        "VolumeBinding",
        "NodeUpdateNodeLabel",
        (make_node("n1"), ON_N2_ALONE, bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        patches_node("n1", {"metadata": {"annotations": {"some": "note"}}}),
        patches_node("n1", {"metadata": {"labels": {HOST: "n2"}}}),
    ),
    Story(
        "VolumeBinding",
        "storage.k8s.io/CSINodeAdd",
        (IN_DRIVERS_ZONE_A, BUILT_IN_ZONE_A, bound_claim("data", "pv")),
        pod_a(volumes=[of_claim("data")]),
        patches_node("n1", {"metadata": {"annotations": {"some": "note"}}}),
        adds(migrated_on("n1")),
    ),
    Story(
        "VolumeBinding",
        "storage.k8s.io/CSINodeUpdate",
        (IN_DRIVERS_ZONE_A, BUILT_IN_ZONE_A, bound_claim("data", "pv"), csi_node("n1", 5)),
        pod_a(volumes=[of_claim("data")]),
        sends("PATCH", CSI_NODE, LABEL),
        sends("PATCH", CSI_NODE, {"metadata": migrated_on("n1")["metadata"]}),
    ),
    Story(
        "DynamicResources",
        f"{_DEVICES}ResourceClaimAdd",
        (make_node("n1"), device_class(), device_slice("n1", "gpu-0")),
        user("pod-a", "mine"),
        adds(claim("other")),
        adds(claim("mine")),
        attempts=0,
    ),
    Story(
        "DynamicResources",
        f"{_DEVICES}ResourceClaimUpdate",
        (*ONE_DEVICE, claim("taken")),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        patches_claim("taken", {"status": {"allocation": None}}, status=True),
        prepares=gives_device_to("taken"),
    ),
    Story(
        "DynamicResources",
        f"{_DEVICES}ResourceClaimDelete",
        (*ONE_DEVICE, claim("taken"), claim("unused")),
        user("pod-a", "mine"),
        sends("DELETE", f"{CLAIMS}/unused", {}),
        sends("DELETE", f"{CLAIMS}/taken", {}),
        prepares=gives_device_to("taken"),
    ),
    Story(
        "DynamicResources",
        "TargetPodUpdatePodGeneratedResourceClaim",
        ONE_DEVICE,
        make_pod(
            "pod-a", resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "template"}]
        ),
        names_generated("not-there"),
        makes_claim_for_pod,
        attempts=0,
    ),
    Story(
        "DynamicResources",
        f"{_DEVICES}ResourceSliceAdd",
        (make_node("n1"), device_class(), claim("mine")),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        adds(device_slice("n1", "gpu-0")),
    ),
    Story(
        "DynamicResources",
        f"{_DEVICES}ResourceSliceUpdate",
        (make_node("n1"), device_class(), claim("mine"), device_slice("n1")),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        sends(
            "PATCH",
            "/apis/resource.k8s.io/v1/resourceslices/n1-slice",
            {"spec": {"devices": [{"name": "gpu-0"}]}},
        ),
    ),
    Story(
        "DynamicResources",
        f"{_DEVICES}DeviceClassAdd",
        (make_node("n1"), claim("mine"), device_slice("n1", "gpu-0")),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        adds(device_class()),
    ),
    Story(
        "DynamicResources",
        "NodeAdd",
        (make_node("n1"), device_class(), claim("mine"), device_slice("n2", "gpu-0")),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        adds(make_node("n2")),
    ),
    Story(
        "DynamicResources",
        "NodeUpdateNodeLabel",
        (
            make_node("n1"),
            device_class(),
            claim("mine"),
            device_slice("fabric", "gpu-0", nodeSelector=in_zone("b")),
        ),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        patches_node("n1", {"metadata": {"labels": {"zone": "b"}}}),
    ),
    Story(
        "DynamicResources",
        "devicetaintrules.v1.resource.k8s.ioDelete",
        (*ONE_DEVICE, taint_rule("broken")),
        user("pod-a", "mine"),
        patches_claim("mine", LABEL),
        sends("DELETE", "/apis/resource.k8s.io/v1/devicetaintrules/broken", {}),
    ),
    Story(
        "DynamicResources",
        "devicetaintrules.v1.resource.k8s.ioUpdate",
        (*ONE_DEVICE, taint_rule("broken")),
        user("pod-a", "mine"),
        sends("PATCH", "/apis/resource.k8s.io/v1/devicetaintrules/broken", LABEL),
        sends(
            "PATCH",
            "/apis/resource.k8s.io/v1/devicetaintrules/broken",
            {"spec": {"deviceSelector": {"driver": "other.example.com"}}},
        ),
    ),
    Story(
        "NodeResourcesFit",
        f"{_DEVICES}DeviceClassAdd",
        (make_node("n1"), device_slice("n1", "gpu-0")),
        GPU_POD,
        adds(device_class("other", extendedResourceName="example.com/other")),
        adds(device_class(extendedResourceName="example.com/gpu")),
    ),
    Story(
        "NodeResourcesFit",
        f"{_DEVICES}DeviceClassUpdate",
        (make_node("n1"), device_slice("n1", "gpu-0"), device_class()),
        GPU_POD,
        sends("PATCH", f"/apis/resource.k8s.io/v1/deviceclasses/{DRIVER}", LABEL),
        sends(
            "PATCH",
            f"/apis/resource.k8s.io/v1/deviceclasses/{DRIVER}",
            {"spec": {"extendedResourceName": "example.com/gpu"}},
        ),
    ),
]

#: (plugin, event) without a story, and why
UNTOLD = {
    ("DynamicResources", "AssignedPodDelete"): (
        "a pod leaves before its claim is written: told in test_devices"
    ),
    ("VolumeBinding", "PersistentVolumeClaimAdd"): "VolumeRestrictions misses the claim before it",
    ("VolumeBinding", "PersistentVolumeAdd"): "VolumeZone misses the volume before it",
    **{
        ("VolumeBinding", f"storage.k8s.io/{event}"): (
            "a volume is made before the pod is bound: told in test_volume_binding"
        )
        for event in (
            "StorageClassAdd",
            "StorageClassUpdate",
            "CSIDriverUpdate",
            "CSIStorageCapacityAdd",
            "CSIStorageCapacityUpdate",
        )
    },
    ("VolumeBinding", "NodeUpdateNodeTaint"): "any change of taints; told by TaintToleration",
    (
        "NodeVolumeLimits",
        "PersistentVolumeClaimAdd",
    ): "VolumeRestrictions and VolumeBinding miss the claim before it does",
    ("VolumeZone", "PersistentVolumeClaimAdd"): "the same",
    ("VolumeZone", "PersistentVolumeClaimUpdate"): "a claim becomes bound: VolumeBinding waits",
    ("VolumeZone", "storage.k8s.io/StorageClassAdd"): "VolumeBinding misses the class before it",
    ("VolumeRestrictions", "NodeUpdateNodeTaint"): "any change of taints; told by TaintToleration",
    ("VolumeZone", "NodeUpdateNodeTaint"): "the same",
    (
        "NodeDeclaredFeatures",
        "TargetPodUpdate",
    ): "what needs a feature cannot be changed in a pod that exists; told in unit tests",
    (
        "NodeDeclaredFeatures",
        "NodeUpdateNodeTaint",
    ): "any change of taints; told by TaintToleration",
    ("NodeName", "NodeAdd"): "a pod that names its node has it, and never enters the queue",
    ("NodeName", "NodeUpdateNodeTaint"): "the same",
    ("NodePorts", "NodeUpdateNodeTaint"): "any change of taints; told by TaintToleration",
    ("NodeResourcesFit", "NodeUpdateNodeTaint"): "the same",
    ("DynamicResources", "NodeUpdateNodeTaint"): "the same",
    (
        "DynamicResources",
        "NodeUpdateNodeAllocatable",
    ): "a device plugin takes over from a driver; told by NodeResourcesFit",
    (
        "DynamicResources",
        "resource.k8s.io/DeviceClassUpdate",
    ): "its selectors are CEL, which is an extra; told in unit tests",
    (
        "DynamicResources",
        "devicetaintrules.v1.resource.k8s.ioAdd",
    ): "one rule more taints more; told in unit tests",
    (
        "NodeResourcesFit",
        "TargetPodUpdatePodScaleDown",
    ): "the embedded API server has no resize; told in unit tests",
    ("NodeAffinity", "NodeUpdateNodeTaint"): "the same",
    ("InterPodAffinity", "NodeUpdateNodeTaint"): "the same",
    (
        "DefaultPreemption",
        "AssignedPodDelete",
    ): "it never wakes anybody: the rejector's hint decides",
}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
async def test_only_what_helps_wakes_the_pod(world: World, story: Story) -> None:
    world.create(*story.before)
    await world.start_scheduler()
    await world.run_for(3)
    if story.prepares is not None:
        story.prepares(world)
        await world.run_for(1)
    world.create(story.pod)
    await world.run_for(5)  # its first backoff is over
    assert world.node_of("default/pod-a") == ""
    assert world.attempts("pod-a") == story.attempts

    story.in_vain(world)
    await world.run_for(5)
    assert world.attempts("pod-a") == story.attempts

    story.helps(world)
    took_s = await world.until_bound("pod-a", limit_s=20)
    assert took_s < 0.5, "at once"
    world.assert_sound()


async def test_a_pending_pod_that_loses_its_promise_wakes_whom_it_kept_out(world: World) -> None:
    world.create(SMALL, make_pod("promised", cpu="900m", schedulingGates=GATE))
    world.create(make_pod("idle", cpu="900m", schedulingGates=GATE))
    world.send(
        "PATCH",
        "/api/v1/namespaces/default/pods/promised/status",
        {"status": {"nominatedNodeName": "n1"}},
    )
    await world.start_scheduler()
    world.create(pod_a("500m"))
    await world.run_for(5)
    assert world.attempts("pod-a") == 1, "the gated pod's promise holds the room"

    world.delete_pod("idle", at_once=True)
    await world.run_for(5)
    assert world.attempts("pod-a") == 1

    world.delete_pod("promised", at_once=True)
    assert await world.until_bound("pod-a", limit_s=20) < 0.5


def _single_actions(action: ActionType) -> Iterator[ActionType]:
    """Its bits; a whole Update stays whole, since most kinds know no other."""
    if action & ActionType.UPDATE == ActionType.UPDATE:
        yield ActionType.UPDATE
        action &= ~ActionType.UPDATE
    yield from (bit for bit in ActionType if bit & action)


async def test_every_event_of_every_plugin_has_its_story(world: World) -> None:
    scheduler = await world.start_scheduler()
    heard = {
        (registered.plugin, ClusterEvent(registered.event.resource, action).label)
        for algorithm in scheduler.assembly.algorithms.values()
        for registered in algorithm.profile.hint_registrations()
        for action in _single_actions(registered.event.action)
    }
    told = {(story.plugin, story.event) for story in STORIES}
    assert heard - told - UNTOLD.keys() == set()
    assert told <= heard
