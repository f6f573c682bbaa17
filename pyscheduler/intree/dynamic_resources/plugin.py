"""DynamicResources: the devices that a pod's claims ask for, allocated with the choice of a node.

The rule. A pod names claims (or templates, of which a controller makes claims). A claim that has
its devices already binds the pod to the nodes where these can be used. A claim that has none gets
them on the node that is chosen: Filter searches, on each node, for devices that serve all of the
pod's unallocated claims together; Score prefers nodes where the first of several alternatives could
be had; Reserve keeps what was found in memory; PreBind writes it. Extended resources that a device
class provides become one more claim on nodes that have none of them to allocate themselves.

Per claim, in one attempt:

    allocated    PreFilter: its node selector, unless others use it up
                 Filter: does the selector match, are its devices ready or still in time
                 PostFilter: one that is of no use anywhere, and nobody else's, is deallocated
                 PreBind: the pod is added to ``reservedFor``
    unallocated  PreFilter: its classes must exist; nobody else may be allocating it
                 Filter: the search     Reserve: in flight     PreBind: written and reserved

The score of a node is the sum, over all requests with alternatives, of 8 minus the place of the
alternative that was chosen; scaled so that the best node has 100.

The forms. Filter has only the per-node form, since the search is a search per node: the runtime
calls it lazily, in the order of the search, no more often than needed to find enough nodes (which
is upstream's sampling, to the number), and offers the event loop to others in between. All parts
that could be judged for all nodes at once are cheaper than that search. As Filter holds the loop,
a node's search ends after half a second even if ``filterTimeout`` allows more, in the same way: the
attempt fails with an error that names the node, and is made again after the pod's backoff. Nothing
is kept of pods with claims: each pod's claims are objects of its own, and devices change hands
without any node changing.

The modules. ``claims``: which claims a pod has; ``claim_tracker``: all claims, and what is taken;
``cluster_devices``: slices, rules and classes; ``allocation`` and ``cel``: the search; here: the
order of things. ``pod_claims``: what is remembered of a pod; ``reserving`` and ``writing``: from
Reserve on; ``binding_conditions``; ``extended_resources``; ``hints``.

Source: kube-scheduler 1.37, ``plugins/dynamicresources/dynamicresources.go`` and
``extendeddynamicresources.go``. Knowing differences, besides those named in the modules: what is
alpha or off by default in 1.37 is not there (claims of pod groups, DRANodeAllocatableResources,
DRAOptionalNodeOperations); a claim whose node selector cannot be understood makes its pod wait for
the claim, where upstream tries it again and again; on a node whose device plugin provides all of a
pod's extended resources, the pod's other claims are allocated without an empty claim beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import AllocationResult, ResourceClaim
from pyscheduler.api.resources import pod_requests
from pyscheduler.api.selectors import InvalidSelector, node_selector
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.extended_resources import ExtendedResources
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.dynamic_resources import binding_conditions
from pyscheduler.intree.dynamic_resources.allocation import (
    AllocationAborted,
    AllocationFailed,
    NodeAllocationFailed,
)
from pyscheduler.intree.dynamic_resources.args import DynamicResourcesArgs
from pyscheduler.intree.dynamic_resources.cel.declarations import CelMissing
from pyscheduler.intree.dynamic_resources.claims import (
    ClaimUnusable,
    claims_of,
    is_in_use_by_others,
)
from pyscheduler.intree.dynamic_resources.cluster_devices import CLUSTER, ClusterDevices
from pyscheduler.intree.dynamic_resources.extended_resources import (
    DeviceNeeds,
    claim_in_memory,
    is_in_memory,
    wanted,
)
from pyscheduler.intree.dynamic_resources.hints import ClaimHints, PodsByClaim
from pyscheduler.intree.dynamic_resources.pod_claims import FoundOnNode, PodClaims
from pyscheduler.intree.dynamic_resources.reserving import Reserving

#: Seconds that the search on one node may hold the event loop, whatever ``filterTimeout`` says:
#: half of what the runtime takes for a plugin that hangs.
_LONGEST_SEARCH_S: Final = 0.5

CLAIMS = fwk.StateKey[PodClaims]("DynamicResources.claims")
#: True once PreFilter was asked about the pod, whatever it found
HAS_LOOKED = fwk.StateKey[bool]("DynamicResources.has_looked")


class DynamicResources(
    fwk.PreEnqueuePlugin,
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PostFilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.ReservePlugin,
    fwk.PreBindPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[DynamicResourcesArgs],
):
    """Allocates devices to the claims of pods."""

    # of the pods that it has no say about; nothing is kept of the others
    depends_on = ()
    skips_unsigned = True

    def __init__(self, args: DynamicResourcesArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._cluster = handle.shared.of(CLUSTER, lambda: ClusterDevices(handle))
        self._tracker = self._cluster.claims
        self._extended = ExtendedResources(handle)
        has_timeout = handle.features.get("DRASchedulerFilterTimeout", True)
        self._search_s = min(
            (args.filter_timeout if has_timeout else 0) or _LONGEST_SEARCH_S, _LONGEST_SEARCH_S
        )
        self._timeouts = handle.metrics.counter(
            "dra_filter_timeouts_total", "Searches for devices on a node that took too long."
        )
        self._checks_conditions = self._cluster.features.binding_conditions
        self._reserving = Reserving(
            handle,
            self._tracker,
            binding_timeout_s=args.binding_timeout if self._checks_conditions else None,
        )
        uses_pre_hints = handle.features.get("SchedulerPreQueueingHints", False)
        pods = PodsByClaim(handle.informers.of("pods.v1", Pod)) if uses_pre_hints else None
        self._hints = ClaimHints(self._tracker, pods)

    def sign_pod(self, pod: Pod) -> tuple[()] | None:
        """Nothing is kept of pods with claims, or with extended resources that become one."""
        return None if pod.spec.resource_claims or self._extended_of(pod) else ()

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """See ``hints``."""
        return self._hints.events()

    # --- before the node is chosen ---

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        """Lets a pod in once all its claims are there, and its own."""
        if not pod.spec.resource_claims:
            return None
        try:
            claims_of(pod, self._tracker.get)
        except ClaimUnusable as error:
            return fwk.unresolvable(str(error))
        return None

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Looks up the claims, and prepares the search if any of them has to be allocated."""
        state.write(HAS_LOOKED, True)
        extended = self._extended_of(pod)
        if not pod.spec.resource_claims and not extended:
            return fwk.SKIP
        try:
            claims = claims_of(pod, self._tracker.get)
        except ClaimUnusable as error:
            return fwk.unresolvable(str(error))
        held = PodClaims(claims)
        if extended:
            held.extended, held.special = extended, len(claims)
            claims.append(self._tracker.made_for(pod) or claim_in_memory(pod))
        if not claims:
            return fwk.SKIP
        for i, claim in enumerate(claims):
            objection = self._prepare(held, i, claim)
            if objection is not None:
                return objection
        if any(True for _ in held.unallocated()):
            try:
                held.allocator = self._cluster.allocator()
            except AllocationFailed as error:
                return _error(str(error))
        state.write(CLAIMS, held)
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects nodes where a claim cannot be used, or where there is no device for one."""
        held = state.read(CLAIMS)
        needs: DeviceNeeds | None = None
        to_allocate = dict(held.unallocated())
        if held.special is not None:
            variant = self._special_variant(held, pod, node)
            if isinstance(variant, fwk.Status):
                return variant
            to_allocate.pop(held.special, None)
            if variant is not None:
                needs, to_allocate[held.special] = variant
            elif held.special == 0:
                return None  # all of it is the device plugin's affair
        unavailable = {i for i, c in held.named() if not self._is_available(held, i, c, node)}
        found: FoundOnNode | None = None
        if held.allocator is not None:
            answer = self._search(held, to_allocate, node)
            if isinstance(answer, fwk.Status):
                return answer
            found = FoundOnNode(answer, needs)
        if unavailable:
            held.unavailable |= unavailable
            return fwk.unresolvable("resourceclaim not available on the node")
        if found is not None:
            held.found[node.name] = found
        return None

    async def post_filter(
        self, state: fwk.CycleState, pod: Pod, statuses: fwk.NodeStatuses
    ) -> tuple[fwk.PostFilterResult | None, fwk.Status | None]:
        """Takes the devices from one claim that is of no use anywhere, so that it gets others."""
        if not state.get(HAS_LOOKED) and self.name not in state.skipped_filters:
            # a PreFilter in front of this one turned the pod away: upstream misses its own state,
            # says so, and no plugin behind it is asked
            return None, fwk.unresolvable("not found")
        held = state.get(CLAIMS)
        if held is None:
            return None, fwk.unschedulable()
        special = held.special_claim
        if special is not None and not is_in_memory(special):
            await self._reserving.writes.delete(special)
            return None, fwk.unschedulable("deletion of ResourceClaim completed")
        useless = [
            claim
            for i in sorted(held.unavailable)
            if not is_in_use_by_others(claim := held.claims[i], pod)
        ]
        if not useless:
            return None, fwk.unschedulable()
        # any of them: there is no telling which one would help
        await self._reserving.writes.deallocate(useless[self.handle.rng.randrange(len(useless))])
        return None, fwk.unschedulable("deallocation of ResourceClaim completed")

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Skips pods without alternatives: all nodes would score 0."""
        held = state.get(CLAIMS)
        if held is None or not any(
            request.first_available
            for claim in held.claims
            for request in claim.spec.devices.requests
        ):
            return fwk.SKIP
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """How far up in their lists the alternatives stand that were found on the node."""
        return state.read(CLAIMS).score(node.name)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes, of which only those that were searched are looked at."""
        held = state.read(CLAIMS)
        scores = np.zeros(len(nodes), dtype=np.int64)
        for name in held.found:
            row = nodes.row_of(name)
            if row is not None:
                scores[row] = held.score(name)
        return scores

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        """The best node has 100."""
        return fwk.default_normalize(scores)

    # --- from the chosen node on ---

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        """What was found on the node is nobody else's."""
        held = state.get(CLAIMS)
        if held is None:
            return None
        try:
            self._reserving.reserve(held, node_name)
        except PySchedulerError as error:
            return _error(str(error))
        return None

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        """What was reserved is given back."""
        held = state.get(CLAIMS)
        if held is not None:
            self._reserving.unreserve(held, pod)

    def pre_bind_pre_flight(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> fwk.PreBindPreFlightResult | fwk.Status | None:
        """There is work for every pod with claims."""
        if state.get(CLAIMS) is None:
            return fwk.SKIP
        return fwk.PreBindPreFlightResult(allow_parallel=True)

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        """Writes allocations and reservations; waits until the devices are ready."""
        held = state.get(CLAIMS)
        if held is None:
            return None
        try:
            await self._reserving.pre_bind(held, pod, node_name)
        except PySchedulerError as error:
            return _error(str(error))
        return None

    # --- inside ---

    def _extended_of(self, pod: Pod) -> dict[str, int]:
        """The pod's extended resources, if a device class provides one of them."""
        if not len(self._extended):
            return {}
        return wanted(pod_requests(pod).requests, self._extended)

    def _prepare(self, held: PodClaims, index: int, claim: ResourceClaim) -> fwk.Status | None:
        """What PreFilter asks of one claim."""
        allocation = claim.status.allocation
        held.selectors.append(None)
        if allocation is not None:
            if allocation.node_selector is None:
                return None
            try:
                held.selectors[index] = node_selector(allocation.node_selector)
            except InvalidSelector as error:
                return fwk.unresolvable(
                    f"resourceclaim {key_of(claim)}: status.allocation.nodeSelector: {error}"
                )
            return None
        if self._tracker.is_in_flight(claim.metadata.uid):
            return fwk.unresolvable(
                f"resource claim {key_of(claim)} is in the process of being allocated"
            )
        # what the claim for extended resources asks for is not known before Filter
        return None if index == held.special else self._check_classes(claim)

    def _check_classes(self, claim: ResourceClaim) -> fwk.Status | None:
        """Every request must say what it wants, of a class that exists."""
        for request in claim.spec.devices.requests:
            if request.exactly is not None:
                named = [(request.name, request.exactly.device_class_name)]
            elif request.first_available:
                named = [
                    (f"{request.name}/{alternative.name}", alternative.device_class_name)
                    for alternative in request.first_available
                ]
            else:
                return fwk.unresolvable(
                    f"resource claim {key_of(claim)}, request {request.name}: unknown request type"
                )
            for name, class_name in named:
                if not class_name:
                    return _error(f"request {name}: unsupported request type")
                if self._cluster.device_class(class_name) is None:
                    return fwk.unresolvable(
                        f"request {name}: device class {class_name} does not exist"
                    )
        return None

    def _special_variant(
        self, held: PodClaims, pod: Pod, node: fwk.NodeInfo
    ) -> tuple[DeviceNeeds, ResourceClaim] | fwk.Status | None:
        """The claim for the extended resources that the node lacks; None if it lacks none."""
        special = held.special_claim
        if special is not None and special.spec.devices.requests:
            # of an earlier attempt, for another node perhaps: PostFilter removes it
            return fwk.unresolvable("cannot schedule extended resource claim")
        class_names = {}
        for resource in held.extended:
            provider = self._extended.class_of(resource)
            if provider is not None and not node.allocatable.get(resource, 0):
                class_names[resource] = provider.metadata.name
            elif resource not in node.allocatable:
                return fwk.unresolvable("cannot fit resource")
        return held.variant(pod, class_names) if class_names else None

    def _is_available(
        self, held: PodClaims, index: int, claim: ResourceClaim, node: fwk.NodeInfo
    ) -> bool:
        """Whether an allocated claim can be used on the node; True for others."""
        terms = held.selectors[index]
        if terms is not None and not any(term.matches(node.labels, node.name) for term in terms):
            return False
        if claim.status.allocation is None or not self._checks_conditions:
            return True
        try:
            return binding_conditions.is_ready(claim) or not binding_conditions.is_too_late(
                claim, now_s=self.handle.clock.now(), timeout_s=self.args.binding_timeout
            )
        except binding_conditions.DeviceBindingFailed:
            return False

    def _search(
        self, held: PodClaims, claims: dict[int, ResourceClaim], node: fwk.NodeInfo
    ) -> dict[int, AllocationResult] | fwk.Status:
        """What each of the claims would get on the node, by index."""
        allocator, monotonic = held.allocator, self.handle.clock.monotonic
        assert allocator is not None, "only asked when something has to be allocated"
        end = monotonic() + self._search_s
        try:
            found = allocator.allocate(
                node.node, list(claims.values()), is_expired=lambda: monotonic() >= end
            )
        except AllocationAborted:
            self._timeouts.inc()
            return _error(f"node {node.name}: timed out trying to allocate devices")
        except NodeAllocationFailed as error:
            return fwk.unresolvable(str(error))
        except AllocationFailed as error:
            # trying again does not install it
            return fwk.unresolvable(str(error)) if _lacks_cel(error) else _error(str(error))
        if found is None:
            return fwk.unresolvable("cannot allocate all claims")
        return dict(zip(claims, found, strict=True))


def _error(text: str) -> fwk.Status:
    """Ends the attempt; the pod is tried again after its backoff."""
    return fwk.Status(fwk.Code.ERROR, (text,))


def _lacks_cel(error: BaseException) -> bool:
    """True when an allocation failed because the extra ``dra`` is not installed."""
    cause = error.__cause__
    return isinstance(error, CelMissing) or (cause is not None and _lacks_cel(cause))
