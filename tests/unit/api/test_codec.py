import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from pyscheduler.api.codec import (
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    Bookmark,
    Decoder,
    Interner,
    MalformedObject,
    decode_status,
    decoder,
    encode,
    encode_binding,
    from_builtins,
)
from pyscheduler.api.coordination_v1 import Lease, LeaseSpec
from pyscheduler.api.core_v1 import Binding, Node, ObjectReference, Pod, PodSpec
from pyscheduler.api.frozen_map import EMPTY, FrozenMap
from pyscheduler.api.meta import ObjectMeta, Status
from pyscheduler.api.resource_types import ResourceType


def pod_dict(number: int = 0, **spec: Any) -> dict[str, Any]:
    """A pod as the API server sends it, with what admission makes unique."""
    mount = f"kube-api-access-{number:05x}"
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"web-{number}",
            "generateName": "web-",
            "namespace": "shop",
            "uid": f"uid-{number:032}",
            "resourceVersion": str(1000 + number),
            "creationTimestamp": "2026-03-01T10:00:00Z",
            "labels": {"app": "web"},
            "annotations": {
                "team": "checkout",
                "kubectl.kubernetes.io/last-applied-configuration": f"{{{number}}}",
            },
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web",
                    "uid": "u",
                    "controller": True,
                }
            ],
            "managedFields": [{"manager": "m", "time": f"t{number}"}],
        },
        "spec": {
            "containers": [
                {
                    "name": "web",
                    "image": "web:1",
                    "env": [{"name": "A", "value": "B"}],
                    "resources": {"requests": {"cpu": "100m"}},
                    "ports": [{"containerPort": 80, "hostPort": 8080, "hostIP": "10.0.0.1"}],
                    "volumeMounts": [{"name": mount, "mountPath": "/x"}],
                    "readinessProbe": {"httpGet": {"path": "/"}},
                }
            ],
            "initContainers": [
                {
                    "name": "side",
                    "restartPolicy": "Always",
                    "volumeMounts": [{"name": mount, "mountPath": "/x"}],
                }
            ],
            "volumes": [
                {"name": "cfg", "configMap": {"name": "c"}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": mount, "projected": {"sources": []}},
            ],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "disk", "operator": "In", "values": ["ssd"]}
                                ]
                            }
                        ]
                    }
                }
            },
            "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 300}],
            "nodeSelector": {"a": "b"},
            "schedulerName": "pyscheduler",
            "priority": 7,
            **spec,
        },
        "status": {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "none",
                    "lastProbeTime": None,
                    "lastTransitionTime": "2026-03-01T10:00:01Z",
                }
            ],
            "containerStatuses": [
                {"name": "web", "allocatedResources": {"cpu": "1"}, "containerID": f"c://{number}"}
            ],
        },
    }


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def event(kind: str, value: object) -> bytes:
    return dump({"type": kind, "object": value}) + b"\n"


@pytest.fixture
def pods() -> Decoder[Pod]:
    return decoder(PODS, Interner())


def test_a_pod_keeps_what_scheduling_asks_for(pods: Decoder[Pod]) -> None:
    pod = pods.object(dump(pod_dict(3)))
    assert (pod.key, pod.uid, pod.priority) == ("shop/web-3", f"uid-{3:032}", 7)
    assert pod.scheduler_name == "pyscheduler"
    assert pod.labels == {"app": "web"}
    assert pod.spec.node_selector == {"a": "b"}
    (web,) = pod.spec.containers
    assert web.resources.requests == {"cpu": "100m"}
    assert (web.ports[0].host_port, web.ports[0].host_ip) == (8080, "10.0.0.1")
    assert pod.spec.init_containers[0].restart_policy == "Always"
    assert pod.spec.affinity is not None
    assert pod.spec.affinity.node_affinity is not None
    required = pod.spec.affinity.node_affinity.required
    assert required is not None
    assert required.node_selector_terms[0].match_expressions[0].values == ("ssd",)
    assert pod.spec.tolerations[0].toleration_seconds == 300
    condition = pod.condition("PodScheduled")
    assert condition is not None
    assert condition.reason == "Unschedulable"
    assert pod.status.container_statuses[0].allocated_resources == {"cpu": "1"}
    assert not pod.is_terminating


def test_what_decides_nothing_is_dropped(pods: Decoder[Pod]) -> None:
    pod = pods.object(dump(pod_dict()))
    assert [volume.name for volume in pod.spec.volumes] == ["data"]
    assert pod.annotations == {"team": "checkout"}


def test_of_mounts_only_those_with_options_stay(pods: Decoder[Pod]) -> None:
    body = pod_dict()
    mounts = body["spec"]["containers"][0]["volumeMounts"]
    mounts.append({"name": "data", "mountPath": "/d", "bindMountOptions": ["noexec"]})
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
    body["spec"]["containers"][0]["restartPolicyRules"] = [rule]

    pod = pods.object(dump(body))

    (web,) = pod.spec.containers
    assert [(m.name, m.bind_mount_options) for m in web.volume_mounts] == [("data", ("noexec",))]
    assert [rule.action for rule in web.restart_policy_rules] == ["Restart"]
    assert pod.spec.init_containers[0].volume_mounts == ()


def test_pods_of_one_template_share_their_sub_objects(pods: Decoder[Pod]) -> None:
    first, second = (pods.object(dump(pod_dict(n))) for n in range(2))
    assert first.metadata.name != second.metadata.name
    for part in ("labels", "annotations", "owner_references"):
        assert getattr(first.metadata, part) is getattr(second.metadata, part)
    for part in (
        "containers",
        "init_containers",
        "volumes",
        "affinity",
        "tolerations",
        "node_selector",
    ):
        assert getattr(first.spec, part) is getattr(second.spec, part)
    assert first.status.container_statuses is second.status.container_statuses


def test_parts_that_differ_only_in_dropped_fields_are_shared_by_value(pods: Decoder[Pod]) -> None:
    one, two = pod_dict(1), pod_dict(1)
    two["spec"]["containers"][0]["env"][0]["value"] = "other"
    first, second = pods.object(dump(one)), pods.object(dump(two))
    assert first.spec.containers is second.spec.containers


def test_decoders_of_one_interner_share(pods: Decoder[Pod]) -> None:
    interner = Interner()
    first, second = (decoder(PODS, interner).object(dump(pod_dict(n))) for n in range(2))
    assert first.spec.containers is second.spec.containers


def test_a_pod_can_be_a_key_and_does_not_change(pods: Decoder[Pod]) -> None:
    pod = pods.object(dump(pod_dict()))
    assert {pod: 1}[pods.object(dump(pod_dict()))] == 1
    with pytest.raises(AttributeError):
        pod.spec.node_name = "n"  # type: ignore[misc]  # that is what is refused
    with pytest.raises(TypeError):
        pod.labels["a"] = "b"


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
def test_watch_events_carry_objects(pods: Decoder[Pod], kind: str) -> None:
    got = pods.watch_event(event(kind, pod_dict(5)))
    assert isinstance(got.object, Pod)
    assert (got.type, got.object.key) == (kind, "shop/web-5")


def test_a_watch_event_may_have_its_fields_in_any_order(pods: Decoder[Pod]) -> None:
    got = pods.watch_event(dump({"object": pod_dict(5), "type": "ADDED"}))
    assert isinstance(got.object, Pod)
    assert (got.type, got.object.key) == ("ADDED", "shop/web-5")


def test_bookmarks_tell_the_version_and_the_end_of_initial_events(pods: Decoder[Pod]) -> None:
    plain = {"kind": "Pod", "metadata": {"resourceVersion": "7", "creationTimestamp": None}}
    last = {
        "metadata": {
            "resourceVersion": "8",
            "annotations": {"k8s.io/initial-events-end": "true"},
        },
        "spec": {"containers": None},
    }
    assert pods.watch_event(event("BOOKMARK", plain)).object == Bookmark("7")
    assert pods.watch_event(event("BOOKMARK", last)).object == Bookmark("8", True)


def test_error_events_carry_a_status(pods: Decoder[Pod]) -> None:
    gone = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired"}
    got = pods.watch_event(event("ERROR", gone))
    assert isinstance(got.object, Status)
    assert (got.object.code, got.object.reason) == (410, "Expired")


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"type":"ADDED"}', b'{"type":"PARTED","object":{}}'], ids=repr
)
def test_a_line_that_is_no_watch_event_is_a_decode_error(pods: Decoder[Pod], line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        pods.watch_event(line)


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        (("spec", "containers"), "none"),
        (("spec", "containers", 0, "name"), 5),
        (("spec", "priority"), "high"),
        (("spec", "tolerations"), {"key": "a"}),
        (("spec", "nodeSelector"), {"a": 1}),
        (("metadata", "labels"), {"a": {"b": "c"}}),
        (("status", "conditions"), [{"type": "Ready"}]),
    ],
    ids=lambda value: str(value),
)
def test_a_malformed_object_is_named_and_affects_itself_alone(
    pods: Decoder[Pod], path: tuple[str | int, ...], bad: object
) -> None:
    broken = pod_dict(1)
    target: Any = broken
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = bad
    with pytest.raises(MalformedObject) as caught:
        pods.watch_event(event("MODIFIED", broken))
    error = caught.value
    assert (error.kind, error.key, error.event_type) == ("Pod", "shop/web-1", "MODIFIED")
    assert (error.uid, error.resource_version) == (f"uid-{1:032}", "1001")
    assert str(error).startswith("malformed Pod shop/web-1: ")
    assert f"$.{path[0]}.{path[1]}" in error.reason
    page = pods.list_page(dump({"metadata": {}, "items": [pod_dict(0), broken, pod_dict(2)]}))
    assert [pod.name for pod in page.items] == ["web-0", "web-2"]
    assert [bad.name for bad in page.malformed] == ["web-1"]


@pytest.mark.parametrize("data", [b"[]", b"5", b"null", b'{"metadata":[]}'], ids=repr)
def test_an_object_without_identity_is_malformed_too(pods: Decoder[Pod], data: bytes) -> None:
    with pytest.raises(MalformedObject):
        pods.object(data)


def test_null_counts_as_absent(pods: Decoder[Pod]) -> None:
    given = pod_dict(1, nodeName=None, tolerations=None, priority=None)
    given["metadata"]["labels"] = None
    given["spec"]["containers"][0]["resources"] = None
    pod = pods.object(dump(given))
    assert (pod.node_name, pod.labels, pod.spec.tolerations) == ("", {}, ())
    assert pod.spec.containers[0].resources.requests == {}


def test_a_list_page_has_its_version_and_continuation(pods: Decoder[Pod]) -> None:
    body = {
        "kind": "PodList",
        "metadata": {"resourceVersion": "9", "continue": "token", "remainingItemCount": 3},
        "items": [pod_dict(0)],
    }
    page = pods.list_page(dump(body))
    assert (len(page.items), page.resource_version, page.continue_) == (1, "9", "token")
    assert page.malformed == ()


def test_an_empty_list_may_have_no_items(pods: Decoder[Pod]) -> None:
    page = pods.list_page(b'{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":null}')
    assert page.items == ()


def test_nodes_share_images_and_quantities() -> None:
    nodes = decoder(NODES, Interner())

    def node(name: str) -> Node:
        return nodes.object(
            dump(
                {
                    "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                    "spec": {
                        "unschedulable": True,
                        "taints": [{"key": "k", "effect": "NoSchedule", "timeAdded": "t"}],
                    },
                    "status": {
                        "allocatable": {"cpu": "4", "pods": "110"},
                        "images": [{"names": ["a:1", "a@sha256:0"], "sizeBytes": 5}, {}],
                        "conditions": [{"type": "Ready", "status": "True"}],
                        "nodeInfo": {"kubeletVersion": "v1"},
                    },
                }
            )
        )

    first, second = node("a"), node("b")
    assert (first.name, first.spec.unschedulable, first.taints[0].key) == ("a", True, "k")
    assert first.status.allocatable is second.status.allocatable
    assert first.status.images[0] is second.status.images[0]
    assert first.status.images[0].size_bytes == 5


def test_kinds_without_a_wire_form_are_decoded_as_they_are() -> None:
    namespaces = decoder(NAMESPACES, Interner())
    got = namespaces.object(
        b'{"metadata":{"name":"shop","labels":{"a":"b"}},"status":{"phase":"Active"}}'
    )
    assert (got.name, got.labels, got.status.phase) == ("shop", {"a": "b"}, "Active")


def test_a_lease_round_trips_with_api_version_and_kind() -> None:
    lease = Lease(
        ObjectMeta(name="l", namespace="kube-system"),
        LeaseSpec(holder_identity="me", renew_time="2026-03-01T10:00:00.000000Z"),
    )
    body = encode(LEASES, lease)
    assert json.loads(body) == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "kube-system"},
        "spec": {"holderIdentity": "me", "renewTime": "2026-03-01T10:00:00.000000Z"},
    }
    assert decoder(LEASES, Interner()).object(body) == lease


def test_a_pod_round_trips(pods: Decoder[Pod]) -> None:
    pod = pods.object(dump(pod_dict(1)))
    assert pods.object(encode(PODS, pod)) == pod


def test_a_binding_names_the_uid_and_the_node() -> None:
    body = encode_binding(
        Binding(
            ObjectMeta(name="p", namespace="ns", uid="u"), ObjectReference(kind="Node", name="n")
        )
    )
    assert json.loads(body) == {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "target": {"kind": "Node", "name": "n"},
    }


def test_status_answers_are_read_even_when_parts_are_null() -> None:
    got = decode_status(
        b'{"status":"Failure","code":409,"details":{"causes":null,"retryAfterSeconds":3}}'
    )
    assert got.details is not None
    assert (got.code, got.details.retry_after_seconds) == (409, 3)


def test_from_builtins_makes_structs_out_of_plain_data() -> None:
    pod = from_builtins(pod_dict(2), Pod)
    assert pod.name == "web-2"
    assert isinstance(pod.labels, FrozenMap)
    assert isinstance(pod.spec, PodSpec)
    assert from_builtins({"metadata": {"labels": {}}}, Pod).labels is EMPTY


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "path"),
    [
        (PODS, None, None, "/api/v1/pods"),
        (PODS, "ns", None, "/api/v1/namespaces/ns/pods"),
        (PODS, "ns", "p", "/api/v1/namespaces/ns/pods/p"),
        (NODES, None, "n", "/api/v1/nodes/n"),
        (NODES, "ignored", "n", "/api/v1/nodes/n"),
        (LEASES, "ns", "l", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/l"),
        (EVENTS, "ns", None, "/apis/events.k8s.io/v1/namespaces/ns/events"),
        (PODS, "a/b", "..?", "/api/v1/namespaces/a%2Fb/pods/..%3F"),
    ],
)
def test_paths(
    resource: ResourceType[Any], namespace: str | None, name: str | None, path: str
) -> None:
    assert resource.path(namespace, name) == path


def test_paths_of_subresources() -> None:
    assert PODS.path("ns", "p", subresource="binding") == "/api/v1/namespaces/ns/pods/p/binding"


def test_resource_types_name_themselves() -> None:
    assert (str(PODS), PODS.api_version) == ("pods", "v1")
    assert (str(LEASES), LEASES.api_version) == (
        "leases.coordination.k8s.io",
        "coordination.k8s.io/v1",
    )
    assert isinstance(PODS, ResourceType)


def test_a_stored_pod_beyond_the_first_of_its_template_takes_at_most_two_kilobytes(
    pods: Decoder[Pod],
) -> None:
    lines = [event("ADDED", pod_dict(n, nodeName=f"node-{n}")) for n in range(200)]
    pods.watch_event(lines[0])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        stored = [pods.watch_event(line).object for line in lines]
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / len(stored) <= 2000


@pytest.fixture
def keeping() -> Decoder[Pod]:
    """Keeps the bytes of pods without a node."""
    return decoder(PODS, Interner(), keeps_raw=lambda pod: not pod.node_name)


def test_the_bytes_of_a_pod_are_kept_as_they_came(keeping: Decoder[Pod]) -> None:
    data = json.dumps(pod_dict(nodeName="")).encode()
    line = b'{"type":"MODIFIED","object":%b}' % data

    event = keeping.watch_event(line)
    assert isinstance(event.object, Pod)
    assert event.object.raw == data


def test_a_listed_pod_is_kept_with_the_kind_that_items_lack(keeping: Decoder[Pod]) -> None:
    whole = pod_dict(nodeName="")
    item = {key: value for key, value in whole.items() if key not in ("kind", "apiVersion")}
    (pod,) = keeping.list_page(json.dumps({"metadata": {}, "items": [item]}).encode()).items

    assert json.loads(pod.raw) == whole


def test_bytes_are_kept_with_their_nulls(keeping: Decoder[Pod]) -> None:
    data = json.dumps(pod_dict(nodeName="", affinity=None, tolerations=None)).encode()

    assert keeping.object(data).raw == data


def test_no_bytes_are_kept_of_what_nobody_wants(keeping: Decoder[Pod]) -> None:
    data = json.dumps(pod_dict(nodeName="node-1")).encode()

    assert keeping.object(data).raw == b""


def test_no_bytes_are_kept_unless_asked_for(pods: Decoder[Pod]) -> None:
    data = json.dumps(pod_dict()).encode()

    assert pods.object(data).raw == b""
