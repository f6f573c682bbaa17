"""Pods without constraints are spread with the pods of their services and their workload."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pyscheduler.api.apps_v1 import ReplicaSet, ReplicaSetSpec, StatefulSet, StatefulSetSpec
from pyscheduler.api.core_v1 import (
    Pod,
    ReplicationController,
    ReplicationControllerSpec,
    Service,
    ServiceSpec,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.framework import SKIP
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.intree.pod_topology_spread import default_constraints as remembering
from pyscheduler.testing import (
    FakeInformers,
    NodeBuilder,
    PluginHarness,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)
from tests.unit.intree.pod_topology_spread.clusters import (
    HOSTNAME,
    SOFT,
    VIOLATED,
    ZONE,
    nodes_in,
    web,
    webs,
)

SERVICES, CONTROLLERS = "services.v1", "replicationcontrollers.v1"
REPLICA_SETS, STATEFUL_SETS = "replicasets.v1.apps", "statefulsets.v1.apps"

Workload = Service | ReplicationController | ReplicaSet | StatefulSet


def meta(name: str = "web", namespace: str = "default") -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace)


def service(labels: Mapping[str, str], *, name: str = "web", namespace: str = "default") -> Service:
    return Service(meta(name, namespace), ServiceSpec(FrozenMap(labels)))


def by(*expressions: tuple[str, str, Sequence[str]], **labels: str) -> LabelSelector:
    return LabelSelector(
        match_labels=FrozenMap(labels),
        match_expressions=tuple(
            LabelSelectorRequirement(key, operator, tuple(values))
            for key, operator, values in expressions
        ),
    )


def replica_set(selector: LabelSelector | None) -> ReplicaSet:
    return ReplicaSet(meta(), ReplicaSetSpec(selector))


#: By hostname alone, a node's pods that belong together make its score.
SOFTLY = {"maxSkew": 1, "topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway"}
STRICTLY = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
BY_HOSTNAME = {"defaultingType": "List", "defaultConstraints": [SOFTLY]}
STRICTLY_BY_ZONE = {"defaultingType": "List", "defaultConstraints": [STRICTLY]}

#: One pod on each node.
RUNNING = [
    web("web-v1").label("version", "1").node("web-v1").obj(),
    web("web-v2").label("version", "2").node("web-v2").obj(),
    make_pod("db").label("app", "db").node("db").obj(),
    make_pod("bare").node("bare").obj(),
]


def harness_of(
    objects: Sequence[tuple[str, Workload]] = (),
    *,
    args: Mapping[str, Any] | None = None,
    **cluster: Any,
) -> PluginHarness:
    informers = FakeInformers()
    harness = PluginHarness(PodTopologySpread, args=args, informers=informers, **cluster)
    for resource, known in objects:
        informers.of(resource).put(known)
    return harness


def spread_with(harness: PluginHarness, pod: Pod) -> set[str]:
    """The nodes, and so the pods of `RUNNING`, that are counted for ``pod``."""
    return {name for name, score in harness.raw_score(pod).items() if score > 0}


V1 = web().label("version", "1")
OWNED = V1.owner("ReplicaSet", "web")


@pytest.mark.parametrize(
    ("objects", "pod", "expected"),
    [
        pytest.param([], V1, set(), id="on-its-own"),
        pytest.param([(SERVICES, service({"app": "web"}))], V1, {"web-v1", "web-v2"}, id="service"),
        pytest.param([(SERVICES, service({"app": "db"}))], V1, set(), id="service-of-others"),
        pytest.param([(SERVICES, service({}))], V1, set(), id="service-of-nobody"),
        pytest.param(
            [(SERVICES, service({"app": "web"}, namespace="other"))],
            V1,
            set(),
            id="service-of-another-namespace",
        ),
        pytest.param(
            [
                (SERVICES, service({"app": "web"})),
                (SERVICES, service({"version": "1"}, name="v1")),
                (SERVICES, service({"app": "db"}, name="db")),
            ],
            V1,
            {"web-v1"},
            id="all-services-in-front-of-it",
        ),
        pytest.param(
            [(REPLICA_SETS, replica_set(by(app="web")))], OWNED, {"web-v1", "web-v2"}, id="replicas"
        ),
        pytest.param(
            [(REPLICA_SETS, replica_set(by(("version", "NotIn", ["2"]), app="web")))],
            OWNED,
            {"web-v1"},
            id="replicas-by-expression",
        ),
        pytest.param(
            [(SERVICES, service({"app": "web"})), (REPLICA_SETS, replica_set(by(version="1")))],
            OWNED,
            {"web-v1"},
            id="service-and-replicas",
        ),
        pytest.param([], OWNED, set(), id="owner-is-not-known-yet"),
        pytest.param([(REPLICA_SETS, replica_set(by(app="web")))], V1, set(), id="not-owned-by-it"),
        pytest.param(
            [(REPLICA_SETS, replica_set(by(app="web")))],
            V1.owner("ReplicaSet", "web", api_version="apps/v1beta2"),
            set(),
            id="owner-of-another-version",
        ),
        pytest.param(
            [(REPLICA_SETS, replica_set(by(app="web")))],
            V1.owner("Job", "web", api_version="batch/v1"),
            set(),
            id="owner-of-another-kind",
        ),
        pytest.param(
            [
                (SERVICES, service({"app": "web"})),
                (REPLICA_SETS, replica_set(by(("version", "Near", ["1"])))),
            ],
            OWNED,
            {"web-v1", "web-v2"},
            id="an-owner-that-nobody-understands-does-not-matter",
        ),
        pytest.param(
            [(REPLICA_SETS, replica_set(None))], OWNED, set(), id="owner-without-selector"
        ),
        pytest.param(
            [(STATEFUL_SETS, StatefulSet(meta(), StatefulSetSpec(by(version="1"))))],
            V1.owner("StatefulSet", "web"),
            {"web-v1"},
            id="stateful-set",
        ),
        pytest.param(
            [
                (
                    CONTROLLERS,
                    ReplicationController(
                        meta(), ReplicationControllerSpec(FrozenMap({"version": "1"}))
                    ),
                )
            ],
            V1.owner("ReplicationController", "web", api_version="v1"),
            {"web-v1"},
            id="replication-controller",
        ),
        pytest.param(
            [
                (SERVICES, service({"version": "1"})),
                (
                    CONTROLLERS,
                    ReplicationController(
                        meta(), ReplicationControllerSpec(FrozenMap({"version": "2"}))
                    ),
                ),
            ],
            V1.owner("ReplicationController", "web", api_version="v1"),
            {"web-v2"},
            id="a-replication-controller-has-the-last-word",
        ),
        pytest.param(
            [(SERVICES, service({"app": "web"}))],
            web().spread("zone", when_unsatisfiable=SOFT),
            set(),
            id="constraints-of-its-own",
        ),
    ],
)
def test_pods_of_services_and_workloads_belong_together(
    objects: list[tuple[str, Workload]], pod: PodBuilder, expected: set[str]
) -> None:
    nodes = [make_node(running.node_name).obj() for running in RUNNING]
    harness = harness_of(objects, args=BY_HOSTNAME, nodes=nodes, pods=RUNNING)

    assert spread_with(harness, pod.obj()) == expected


def test_a_change_of_services_and_workloads_is_seen() -> None:
    nodes = [make_node(running.node_name).obj() for running in RUNNING]
    harness = harness_of(args=BY_HOSTNAME, nodes=nodes, pods=RUNNING)
    services, sets = harness.informers.of(SERVICES), harness.informers.of(REPLICA_SETS)
    pod, seen = OWNED.obj(), []

    def look() -> None:
        seen.append(spread_with(harness, pod))

    look()
    sets.put(replica_set(by(app="web")))
    look()
    sets.put(replica_set(by(version="2")))
    look()
    sets.remove("default/web")
    look()
    services.put(service({"app": "web"}))
    look()
    services.put(service({"version": "1"}))
    look()
    services.put(service({}))
    look()

    both = {"web-v1", "web-v2"}
    assert seen == [set(), both, {"web-v2"}, set(), both, {"web-v1"}, set()]


def test_what_changes_nothing_about_selectors_is_not_looked_at_again() -> None:
    harness = harness_of([(SERVICES, service({"app": "web"}))])
    pod = web().obj()
    before = harness.sign(pod)

    harness.informers.of(SERVICES).put(service({"app": "web"}))
    harness.informers.of(SERVICES).put(service({"app": "web"}, namespace="other"))

    now = harness.sign(pod)
    assert before is not None
    assert now is not None
    assert now[0] is before[0]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "_REMEMBERED", 3)
    harness = harness_of([(SERVICES, service({"app": "web"}))])
    first = harness.sign(web().label("pod", "0").obj())

    for number in range(1, 4):
        harness.sign(web().label("pod", str(number)).obj())

    again = harness.sign(web().label("pod", "0").obj())
    assert first == again
    assert first is not None
    assert again is not None
    assert first[0] is not again[0]


# --- the system's own constraints ---

#: What a pod weighs among three nodes, and in two zones.
BY_NODE, BY_ZONE = math.log(3 + 2), math.log(2 + 2)


def test_by_default_pods_are_spread_softly_over_nodes_and_zones() -> None:
    zones = {"a1": "a", "a2": "a", "b1": "b"}
    nodes = [make_node(name).label(ZONE, zone).obj() for name, zone in zones.items()]
    harness = harness_of([(SERVICES, service({"app": "web"}))], nodes=nodes, pods=webs(a1=2))

    assert harness.pre_filter(web().obj()) is SKIP
    assert harness.raw_score(web().obj()) == {
        "a1": round(2 * BY_NODE + 2 + 2 * BY_ZONE + 4),
        "a2": round(2 + 2 * BY_ZONE + 4),
        "b1": 2 + 4,
    }


@pytest.mark.parametrize(
    ("third", "its_score"),
    [
        pytest.param(make_node("third"), 2, id="nor-a-label"),
        pytest.param(
            make_node("third").label(ZONE, ""),
            round(2 + 2 * BY_ZONE + 4),
            id="the-empty-value-is-their-domain",
        ),
    ],
)
def test_by_default_nodes_without_a_zone_are_a_domain_that_adds_nothing(
    third: NodeBuilder, its_score: int
) -> None:
    nodes = [make_node("a").label(ZONE, "a").obj(), make_node("none").obj(), third.obj()]
    harness = harness_of([(SERVICES, service({"app": "web"}))], nodes=nodes, pods=webs(a=1, none=2))

    assert harness.raw_score(web().obj()) == {
        "a": round(BY_NODE + 2 + BY_ZONE + 4),
        "none": round(2 * BY_NODE + 2),
        "third": its_score,
    }


def test_listed_constraints_ignore_nodes_without_the_key() -> None:
    args = {**BY_HOSTNAME, "defaultConstraints": [{**SOFTLY, "topologyKey": "zone"}]}
    harness = harness_of(
        [(SERVICES, service({"app": "web"}))],
        args=args,
        nodes=nodes_in({"a": "a", "lost": None}),
    )

    assert harness.score(web().obj()) == {"a": 100, "lost": 0}


def test_listed_constraints_can_be_hard() -> None:
    harness = harness_of(
        [(SERVICES, service({"app": "web"}))],
        args=STRICTLY_BY_ZONE,
        nodes=nodes_in({"a": "a", "b": "b"}),
        pods=webs(a=1),
    )

    assert harness.filter(web().obj()) == {"a": VIOLATED, "b": None}
    assert harness.filter(make_pod("p").obj()) == {"a": None, "b": None}


# --- what is followed, and what is signed ---


@pytest.mark.parametrize(
    ("args", "followed"),
    [
        pytest.param({}, (SERVICES, CONTROLLERS, REPLICA_SETS, STATEFUL_SETS), id="system"),
        pytest.param(
            STRICTLY_BY_ZONE, (SERVICES, CONTROLLERS, REPLICA_SETS, STATEFUL_SETS), id="list"
        ),
        pytest.param({"defaultingType": "List"}, (), id="empty-list"),
    ],
)
def test_services_and_workloads_are_followed_while_there_are_default_constraints(
    args: dict[str, Any], followed: tuple[str, ...]
) -> None:
    informers = FakeInformers()

    make_plugin(PodTopologySpread, args, handle=fake_handle(informers=informers))

    assert informers.followed == followed


def test_pods_that_are_spread_alike_are_one_class() -> None:
    harness = harness_of([(SERVICES, service({"app": "web"}))])
    numbered = [web(f"p{i}").label("pod-index", str(i)) for i in range(2)]
    own = [pod.spread("zone", selector=by(app="web")) for pod in numbered]

    assert harness.sign(make_pod("p").label("any", "label").obj()) == ()
    assert harness.sign(numbered[0].obj()) == harness.sign(numbered[1].obj())
    assert harness.sign(own[0].obj()) == harness.sign(own[1].obj())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(web().spread("zone", max_skew=2), id="max-skew"),
        pytest.param(web().spread("zone", when_unsatisfiable=SOFT), id="action"),
        pytest.param(web().spread("zone", min_domains=2), id="min-domains"),
        pytest.param(make_pod("p").spread("zone", selector=by(app="web")), id="own-labels"),
        pytest.param(web().namespace("other").spread("zone"), id="namespace"),
        pytest.param(web().spread("zone").node_selector({"a": "b"}), id="node-selector"),
        pytest.param(web().spread("zone").required_affinity(("a", "Exists", [])), id="affinity"),
        pytest.param(web().spread("zone", node_taints_policy="Honor"), id="taints-policy"),
    ],
)
def test_pods_that_are_spread_otherwise_are_another_class(other: PodBuilder) -> None:
    harness = harness_of()

    assert harness.sign(other.obj()) != harness.sign(web().spread("zone").obj())


def test_tolerations_tell_classes_apart_only_if_taints_count() -> None:
    harness = harness_of()
    tolerant = web().toleration("a", operator="Exists")

    def one_class(**policy: str) -> bool:
        one, other = (pod.spread("zone", **policy) for pod in (web(), tolerant))  # type: ignore[arg-type]
        return harness.sign(one.obj()) == harness.sign(other.obj())

    assert one_class()
    assert not one_class(node_taints_policy="Honor")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(
            {"defaultConstraints": [SOFTLY]},
            "must be List with defaultConstraints",
            id="constraints-of-the-system",
        ),
        pytest.param(
            {**BY_HOSTNAME, "defaultConstraints": [SOFTLY, SOFTLY]},
            "a topologyKey and whenUnsatisfiable are repeated",
            id="twice",
        ),
        pytest.param(
            {**BY_HOSTNAME, "defaultConstraints": [{**SOFTLY, "labelSelector": {}}]},
            "must not be given",
            id="selector",
        ),
    ],
)
def test_bad_arguments_are_refused(args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plugin(PodTopologySpread, args, handle=fake_handle())
