"""Pods and nodes in one line: ``make_pod("p").req({"cpu": "1"}).priority(10).obj()``.

Every method returns a new builder, so that a common beginning can be shared between cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from pyscheduler.api.core_v1 import (
    Affinity,
    Container,
    ContainerImage,
    ContainerPort,
    EphemeralVolumeSource,
    ImageVolumeSource,
    Node,
    NodeAffinity,
    NodeCondition,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodCondition,
    PodResourceClaim,
    PodSchedulingGate,
    PreferredSchedulingTerm,
    ResourceRequirements,
    Taint,
    Toleration,
    TopologySpreadConstraint,
    Volume,
    WeightedPodAffinityTerm,
)
from pyscheduler.api.frozen_map import FrozenMap, StringMap
from pyscheduler.api.meta import LabelSelector, ObjectMeta, OwnerReference

TermsT = TypeVar("TermsT", PodAffinity, PodAntiAffinity)

#: What a node has unless `NodeBuilder.capacity` says otherwise.
DEFAULT_CAPACITY: StringMap = FrozenMap({"cpu": "4", "memory": "16Gi", "pods": "110"})


class PodBuilder:
    """Builds a `Pod`; ``obj()`` gives it."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod

    def obj(self) -> Pod:
        """The pod."""
        return self._pod

    # --- metadata ---

    def namespace(self, namespace: str) -> PodBuilder:
        """In another namespace than ``default``; the uid follows."""
        return self._meta(namespace=namespace, uid=f"uid-{namespace}-{self._pod.name}")

    def uid(self, uid: str) -> PodBuilder:
        """With that uid instead of one made from the names."""
        return self._meta(uid=uid)

    def resource_version(self, version: str) -> PodBuilder:
        """As it was at that version."""
        return self._meta(resource_version=version)

    def label(self, key: str, value: str) -> PodBuilder:
        """With one more label."""
        return self._meta(labels=FrozenMap({**self._pod.labels, key: value}))

    def annotation(self, key: str, value: str) -> PodBuilder:
        """With one more annotation."""
        return self._meta(annotations=FrozenMap({**self._pod.annotations, key: value}))

    def created(self, when: str) -> PodBuilder:
        """Made at that moment."""
        return self._meta(creation_timestamp=when)

    def owner(self, kind: str, name: str, *, api_version: str = "apps/v1") -> PodBuilder:
        """Owned by its controller."""
        controller = OwnerReference(
            api_version=api_version, kind=kind, name=name, uid=f"uid-{name}", controller=True
        )
        return self._meta(owner_references=(controller,))

    def terminating(self, since: str = "2026-01-01T00:00:00Z") -> PodBuilder:
        """Being deleted."""
        return self._meta(deletion_timestamp=since)

    # --- what it needs ---

    def req(self, requests: Mapping[str, str], *, image: str = "") -> PodBuilder:
        """With one more container that asks for ``requests``."""
        return self._container("containers", requests, image=image)

    def init_req(self, requests: Mapping[str, str], *, image: str = "") -> PodBuilder:
        """With one more init container that asks for ``requests``."""
        return self._container("init_containers", requests, image=image)

    def sidecar_req(self, requests: Mapping[str, str], *, image: str = "") -> PodBuilder:
        """With one more init container that keeps running."""
        return self._container("init_containers", requests, image=image, restart_policy="Always")

    def image(self, image: str) -> PodBuilder:
        """With one more container of that image."""
        return self.req({}, image=image)

    def image_volume(self, reference: str) -> PodBuilder:
        """With an image mounted as a volume."""
        return self._volume(image=ImageVolumeSource(reference=reference))

    def own_users_on_host_network(self) -> PodBuilder:
        """With user namespaces on the node's network, which needs a feature of the node."""
        return self._spec(host_network=True, host_users=False)

    def host_port(self, port: int, *, protocol: str = "TCP", ip: str = "") -> PodBuilder:
        """With one more container that takes a port of the node."""
        taken = ContainerPort(container_port=port, host_port=port, protocol=protocol, host_ip=ip)
        return self._container("containers", {}, ports=(taken,))

    def overhead(self, overhead: Mapping[str, str]) -> PodBuilder:
        """With the overhead of its runtime class."""
        return self._spec(overhead=FrozenMap(overhead))

    def pod_level(self, requests: Mapping[str, str]) -> PodBuilder:
        """With requests of the pod as a whole."""
        return self._spec(resources=ResourceRequirements(requests=FrozenMap(requests)))

    # --- where it may run ---

    def node(self, name: str) -> PodBuilder:
        """Bound to that node."""
        return self._spec(node_name=name)

    def nominated(self, name: str) -> PodBuilder:
        """Promised to that node."""
        return self._status(nominated_node_name=name)

    def node_selector(self, selector: Mapping[str, str]) -> PodBuilder:
        """With a node selector."""
        return self._spec(node_selector=FrozenMap(selector))

    def toleration(
        self, key: str = "", value: str = "", effect: str = "", *, operator: str = "Equal"
    ) -> PodBuilder:
        """With one more toleration."""
        added = Toleration(key=key, value=value, effect=effect, operator=operator)
        return self._spec(tolerations=(*self._pod.spec.tolerations, added))

    def required_affinity(
        self,
        *expressions: tuple[str, str, Sequence[str]],
        fields: Sequence[tuple[str, str, Sequence[str]]] = (),
    ) -> PodBuilder:
        """With one more required node selector term of ``(key, operator, values)``."""
        known = self._node_affinity
        terms = known.required.node_selector_terms if known.required is not None else ()
        required = NodeSelector(node_selector_terms=(*terms, _term(expressions, fields)))
        return self._with_node_affinity(replace(known, required=required))

    def preferred_affinity(
        self, weight: int, *expressions: tuple[str, str, Sequence[str]]
    ) -> PodBuilder:
        """With one more preferred node selector term of ``(key, operator, values)``."""
        known = self._node_affinity
        added = PreferredSchedulingTerm(weight=weight, preference=_term(expressions, ()))
        return self._with_node_affinity(replace(known, preferred=(*known.preferred, added)))

    def affinity(
        self,
        topology_key: str,
        labels: Mapping[str, str] | LabelSelector | None,
        *,
        weight: int | None = None,
        namespaces: Sequence[str] = (),
        namespace_selector: LabelSelector | None = None,
    ) -> PodBuilder:
        """With one more term of affinity to pods of these labels; preferred if it has a weight."""
        affinity = self._pod.spec.affinity or Affinity()
        known = affinity.pod_affinity or PodAffinity()
        term = _pod_term(topology_key, labels, namespaces, namespace_selector)
        added = _with_term(known, term, weight)
        return self._spec(affinity=replace(affinity, pod_affinity=added))

    def anti_affinity(
        self,
        topology_key: str,
        labels: Mapping[str, str] | LabelSelector | None,
        *,
        weight: int | None = None,
        namespaces: Sequence[str] = (),
        namespace_selector: LabelSelector | None = None,
    ) -> PodBuilder:
        """With one more term of anti-affinity, likewise."""
        affinity = self._pod.spec.affinity or Affinity()
        known = affinity.pod_anti_affinity or PodAntiAffinity()
        term = _pod_term(topology_key, labels, namespaces, namespace_selector)
        added = _with_term(known, term, weight)
        return self._spec(affinity=replace(affinity, pod_anti_affinity=added))

    def spread(
        self,
        topology_key: str,
        *,
        max_skew: int = 1,
        when_unsatisfiable: str = "DoNotSchedule",
        selector: LabelSelector | None = None,
        min_domains: int | None = None,
        node_affinity_policy: str | None = None,
        node_taints_policy: str | None = None,
        match_label_keys: Sequence[str] = (),
    ) -> PodBuilder:
        """With one more topology spread constraint, over pods of its own labels unless given."""
        added = TopologySpreadConstraint(
            max_skew=max_skew,
            topology_key=topology_key,
            when_unsatisfiable=when_unsatisfiable,
            label_selector=selector or LabelSelector(match_labels=self._pod.labels),
            min_domains=min_domains,
            node_affinity_policy=node_affinity_policy,
            node_taints_policy=node_taints_policy,
            match_label_keys=tuple(match_label_keys),
        )
        return self.spread_by(added)

    def spread_by(self, constraint: TopologySpreadConstraint) -> PodBuilder:
        """With that topology spread constraint besides those it has."""
        constraints = (*self._pod.spec.topology_spread_constraints, constraint)
        return self._spec(topology_spread_constraints=constraints)

    def claim(self, claim_name: str) -> PodBuilder:
        """With a volume of that persistent volume claim."""
        source = PersistentVolumeClaimVolumeSource(claim_name=claim_name)
        return self._volume(persistent_volume_claim=source)

    def ephemeral_volume(self) -> PodBuilder:
        """With a volume whose claim is made for it."""
        return self._volume(ephemeral=EphemeralVolumeSource())

    def volume(self, volume: Volume) -> PodBuilder:
        """With that volume."""
        return self._spec(volumes=(*self._pod.spec.volumes, volume))

    def resource_claim(self, name: str) -> PodBuilder:
        """With a resource claim of that name."""
        added = PodResourceClaim(name=name, resource_claim_name=name)
        return self._spec(resource_claims=(*self._pod.spec.resource_claims, added))

    # --- how it is scheduled ---

    def priority(self, priority: int) -> PodBuilder:
        """With that priority."""
        return self._spec(priority=priority)

    def preemption_policy(self, policy: str) -> PodBuilder:
        """With that policy: ``Never``, or ``PreemptLowerPriority``, which is the default."""
        return self._spec(preemption_policy=policy)

    def grace_period(self, seconds: int) -> PodBuilder:
        """With so much time to go once it is deleted."""
        return self._spec(termination_grace_period_seconds=seconds)

    def scheduler_name(self, name: str) -> PodBuilder:
        """For that scheduler."""
        return self._spec(scheduler_name=name)

    def gate(self, name: str) -> PodBuilder:
        """With one more scheduling gate."""
        gates = (*self._pod.spec.scheduling_gates, PodSchedulingGate(name=name))
        return self._spec(scheduling_gates=gates)

    # --- what became of it ---

    def phase(self, phase: str) -> PodBuilder:
        """In that phase."""
        return self._status(phase=phase)

    def started(self, since: str) -> PodBuilder:
        """Running since that moment."""
        return self._status(start_time=since)

    def condition(self, condition_type: str, status: str, *, reason: str = "") -> PodBuilder:
        """With one more condition."""
        added = PodCondition(type=condition_type, status=status, reason=reason)
        return self._status(conditions=(*self._pod.status.conditions, added))

    # --- inside ---

    @property
    def _node_affinity(self) -> NodeAffinity:
        affinity = self._pod.spec.affinity
        return (affinity.node_affinity if affinity is not None else None) or NodeAffinity()

    def _with_node_affinity(self, node_affinity: NodeAffinity) -> PodBuilder:
        affinity = self._pod.spec.affinity or Affinity()
        return self._spec(affinity=replace(affinity, node_affinity=node_affinity))

    def _container(self, field: str, requests: Mapping[str, str], **changes: Any) -> PodBuilder:
        known: tuple[Container, ...] = getattr(self._pod.spec, field)
        added = Container(
            name=f"{'init-' if field == 'init_containers' else ''}c{len(known)}",
            resources=ResourceRequirements(requests=FrozenMap(requests)),
            **changes,
        )
        return self._spec(**{field: (*known, added)})

    def _volume(self, **source: Any) -> PodBuilder:
        return self.volume(Volume(name=f"v{len(self._pod.spec.volumes)}", **source))

    def _meta(self, **changes: Any) -> PodBuilder:
        return PodBuilder(replace(self._pod, metadata=replace(self._pod.metadata, **changes)))

    def _spec(self, **changes: Any) -> PodBuilder:
        return PodBuilder(replace(self._pod, spec=replace(self._pod.spec, **changes)))

    def _status(self, **changes: Any) -> PodBuilder:
        return PodBuilder(replace(self._pod, status=replace(self._pod.status, **changes)))


class NodeBuilder:
    """Builds a `Node`; ``obj()`` gives it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def obj(self) -> Node:
        """The node."""
        return self._node

    def capacity(self, capacity: Mapping[str, str]) -> NodeBuilder:
        """With that capacity, all of it allocatable; 110 pods unless given."""
        amounts: StringMap = FrozenMap({"pods": "110", **capacity})
        return self._status(capacity=amounts, allocatable=amounts)

    def allocatable(self, allocatable: Mapping[str, str]) -> NodeBuilder:
        """With exactly that allocatable."""
        return self._status(allocatable=FrozenMap(allocatable))

    def label(self, key: str, value: str) -> NodeBuilder:
        """With one more label."""
        return self._meta(labels=FrozenMap({**self._node.labels, key: value}))

    def annotation(self, key: str, value: str) -> NodeBuilder:
        """With one more annotation."""
        return self._meta(annotations=FrozenMap({**self._node.annotations, key: value}))

    def taint(self, key: str, value: str = "", effect: str = "NoSchedule") -> NodeBuilder:
        """With one more taint."""
        added = Taint(key=key, value=value, effect=effect)
        return self._spec(taints=(*self._node.taints, added))

    def unschedulable(self) -> NodeBuilder:
        """Cordoned."""
        return self._spec(unschedulable=True)

    def image(self, *names: str, size_bytes: int) -> NodeBuilder:
        """With one more image, under all of ``names``."""
        added = ContainerImage(names=names, size_bytes=size_bytes)
        return self._status(images=(*self._node.status.images, added))

    def declared_feature(self, *names: str) -> NodeBuilder:
        """With more features that its kubelet declares."""
        known = self._node.status.declared_features
        return self._status(declared_features=(*known, *names))

    def condition(self, condition_type: str, status: str) -> NodeBuilder:
        """With one more condition."""
        added = NodeCondition(type=condition_type, status=status)
        return self._status(conditions=(*self._node.status.conditions, added))

    def _meta(self, **changes: Any) -> NodeBuilder:
        return NodeBuilder(replace(self._node, metadata=replace(self._node.metadata, **changes)))

    def _spec(self, **changes: Any) -> NodeBuilder:
        return NodeBuilder(replace(self._node, spec=replace(self._node.spec, **changes)))

    def _status(self, **changes: Any) -> NodeBuilder:
        return NodeBuilder(replace(self._node, status=replace(self._node.status, **changes)))


def make_pod(name: str) -> PodBuilder:
    """Starts a pod in namespace ``default`` that asks for nothing."""
    metadata = ObjectMeta(name=name, namespace="default", uid=f"uid-default-{name}")
    return PodBuilder(Pod(metadata=metadata))


def make_node(name: str) -> NodeBuilder:
    """Starts a node of `DEFAULT_CAPACITY` with its hostname label."""
    metadata = ObjectMeta(
        name=name, uid=f"uid-{name}", labels=FrozenMap({"kubernetes.io/hostname": name})
    )
    return NodeBuilder(Node(metadata=metadata)).capacity(DEFAULT_CAPACITY)


def _pod_term(
    topology_key: str,
    labels: Mapping[str, str] | LabelSelector | None,
    namespaces: Sequence[str],
    namespace_selector: LabelSelector | None,
) -> PodAffinityTerm:
    if isinstance(labels, Mapping):
        labels = LabelSelector(match_labels=FrozenMap(labels))
    return PodAffinityTerm(
        topology_key=topology_key,
        label_selector=labels,
        namespaces=tuple(namespaces),
        namespace_selector=namespace_selector,
    )


def _with_term(known: TermsT, term: PodAffinityTerm, weight: int | None) -> TermsT:
    if weight is None:
        return replace(known, required=(*known.required, term))
    preferred = WeightedPodAffinityTerm(weight=weight, pod_affinity_term=term)
    return replace(known, preferred=(*known.preferred, preferred))


def _term(
    expressions: Sequence[tuple[str, str, Sequence[str]]],
    fields: Sequence[tuple[str, str, Sequence[str]]],
) -> NodeSelectorTerm:
    return NodeSelectorTerm(
        match_expressions=_requirements(expressions), match_fields=_requirements(fields)
    )


def _requirements(
    wanted: Sequence[tuple[str, str, Sequence[str]]],
) -> tuple[NodeSelectorRequirement, ...]:
    return tuple(
        NodeSelectorRequirement(key=key, operator=operator, values=tuple(values))
        for key, operator, values in wanted
    )
