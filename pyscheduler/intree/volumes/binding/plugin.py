"""VolumeBinding: pods go where the volumes of their claims are, or can be.

    PreFilter   turns the pod away if a claim is not there, lost, being deleted, somebody else's, or
                to be bound at once and not bound yet (``sorting``); else prepares the search
    Filter      a node must reach the volumes of bound claims (``bound``), and the others must find
                or get a volume there (``search``: ``finding``, ``provisioning``)
    Score       how full the storage would be (``scoring``), with the gate StorageCapacityScoring
    Reserve     assumes what was decided for the node (``assuming``)
    PreBind     writes it (``writing``), and waits until the controller has bound the claims
                (``waiting``), for ``bindTimeoutSeconds``
    Unreserve   takes back what was not written

What was decided belongs to one pod, claims change without a node's changing: nothing is kept of
pods with claims. Without any a pod is skipped.

Objects that the pod refers to and that cannot be understood (a quantity, a selector's operator)
turn it away with a message that names object, field and value.

Source: kube-scheduler 1.37, ``plugins/volumebinding``. Knowing differences: each module names its
own; where no claim waits for its first pod, PreScore skips (upstream scores every node 0);
assumptions are seen by all profiles (upstream: by their own; the API server refuses the second).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.quantity import InvalidQuantity, nano_value, value
from pyscheduler.api.selectors import InvalidSelector
from pyscheduler.api.storage_v1 import StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.volumes.binding.annotations import SELECTED_NODE, is_bound
from pyscheduler.intree.volumes.binding.args import VolumeBindingArgs
from pyscheduler.intree.volumes.binding.assuming import Reservation, reserve
from pyscheduler.intree.volumes.binding.bound import (
    BoundVolume,
    BoundVolumes,
    bound_volume,
    objection,
    objections,
)
from pyscheduler.intree.volumes.binding.finding import STORAGE, Candidates
from pyscheduler.intree.volumes.binding.hints import EVENTS
from pyscheduler.intree.volumes.binding.known import known_storage
from pyscheduler.intree.volumes.binding.provisioning import Provisioner
from pyscheduler.intree.volumes.binding.reasons import (
    NO_ROOM,
    NO_VOLUME,
    NODE_CONFLICT,
    VOLUME_GONE,
)
from pyscheduler.intree.volumes.binding.scoring import curve_of, score_of
from pyscheduler.intree.volumes.binding.search import Unbound, VolumeSearch
from pyscheduler.intree.volumes.binding.sorting import sort_claims
from pyscheduler.intree.volumes.binding.waiting import BindingWait
from pyscheduler.intree.volumes.binding.writing import write
from pyscheduler.intree.volumes.claims import has_claims
from pyscheduler.intree.volumes.migration import CannotTranslate

_CAPACITY_SCORING: Final = "StorageCapacityScoring"
_IMMEDIATE: Final = "pod has unbound immediate PersistentVolumeClaims"


class NotUnderstood(PySchedulerError):  # noqa: N818  # says what it is
    """An object that the pod refers to; the message names it, the field and the value."""


@dataclass(frozen=True, slots=True)
class PodVolumes:
    """What is to be judged of a pod."""

    bound: BoundVolumes
    #: None when no claim waits for its first pod
    search: VolumeSearch | None


PREPARED = fwk.StateKey[PodVolumes]("VolumeBinding.prepared")
#: From Reserve on, if anything is left to be bound.
RESERVED = fwk.StateKey[Reservation | None]("VolumeBinding.reserved")


class VolumeBinding(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.ReservePlugin,
    fwk.PreBindPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[VolumeBindingArgs],
):
    """Binds the claims of pods where the pods go."""

    depends_on = (fwk.Aspect.LABELS,)
    signs_spec = True
    skips_unsigned = True

    def __init__(self, args: VolumeBindingArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._scores = handle.features[_CAPACITY_SCORING]
        if not self._scores and "shape" in args.model_fields_set:
            raise ValueError("shape: remove it, or turn on the feature gate StorageCapacityScoring")
        self._curve = curve_of(args.shape)
        self._known = known_storage(handle)
        self._wait = BindingWait(handle, self._known, timeout_s=args.bind_timeout_seconds)

    def sign_pod(self, pod: Pod) -> tuple[()] | None:
        """Pods without claims are alike; of others nothing is kept."""
        return None if pod.spec.volumes and has_claims(pod) else ()

    # --- where the pod can go ---

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Skips pods without claims; turns away those whose claims are not ready."""
        if not pod.spec.volumes or not has_claims(pod):
            return fwk.SKIP
        sorted_claims = sort_claims(pod, self._known.claims.get, self._known.classes.get)
        if isinstance(sorted_claims, fwk.Status):
            return sorted_claims
        if sorted_claims.immediate:
            return fwk.unresolvable(_IMMEDIATE)
        try:
            bound = [self._bound(claim) for claim in sorted_claims.bound]
            search = self._search(sorted_claims.waiting) if sorted_claims.waiting else None
        except NotUnderstood as error:
            return fwk.unresolvable(str(error))
        except CannotTranslate as error:  # as upstream, which tries again with backoff
            return fwk.Status(fwk.Code.ERROR, (str(error),))
        state.write(PREPARED, PodVolumes(bound, search))
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Judges bound volumes, then the search for the others."""
        prepared = state.read(PREPARED)
        reasons = {objection(prepared.bound, node.labels, node.name)}
        if prepared.search is not None:
            reasons.add(prepared.search.on(node).reason)
        said = [one for one in (NODE_CONFLICT, NO_VOLUME, NO_ROOM, VOLUME_GONE) if one in reasons]
        return fwk.unresolvable(*said) if said else None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes: by label value, and by combination of label values."""
        prepared = state.read(PREPARED)
        verdict = nodes.verdict()
        out_of_reach, gone = objections(prepared.bound, nodes)
        verdict.reject(out_of_reach, NODE_CONFLICT, unresolvable=True)
        if prepared.search is not None:
            outcomes, which = prepared.search.on_all(nodes)
            for reason in (NO_VOLUME, NO_ROOM):
                said = np.array([outcome.reason == reason for outcome in outcomes], dtype=np.bool_)
                verdict.reject(said[which], reason, unresolvable=True)
        return verdict.reject(gone, VOLUME_GONE, unresolvable=True)

    # --- where it had better go ---

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Skips pods without claims that wait for them, and all without the feature gate."""
        prepared = state.get(PREPARED)
        if not self._scores or prepared is None or prepared.search is None:
            return fwk.SKIP
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """By how full the storage would be."""
        search = state.read(PREPARED).search
        return 0 if search is None else score_of(search.on(node), self._curve)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes, by combination of label values."""
        search = state.read(PREPARED).search
        if search is None:
            return np.zeros(len(nodes), dtype=np.int64)
        outcomes, which = search.on_all(nodes)
        scores = [score_of(outcome, self._curve) for outcome in outcomes]
        return np.array(scores, dtype=np.int64)[which]

    # --- making it so ---

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        """Assumes what the claims get on the node."""
        state.write(RESERVED, None)
        prepared = state.get(PREPARED)
        if prepared is None or prepared.search is None or self._are_bound(prepared.search):
            return None
        nodes = self.handle.snapshot.nodes
        row = nodes.row_of(node_name)
        if row is None:
            return _no_volumes_for(node_name)
        outcome = prepared.search.on(nodes.node(row))
        if outcome.reason:
            return _no_volumes_for(node_name)
        try:
            reservation = reserve(outcome, node_name, known=self._known)
        except fwk.CannotAssume as error:
            return fwk.Status(fwk.Code.ERROR, (str(error),))
        state.write(RESERVED, reservation)
        return None

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        """Takes back what is not written."""
        reservation = state.get(RESERVED)
        if reservation is not None:
            reservation.revert(self._known)

    def pre_bind_pre_flight(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> fwk.PreBindPreFlightResult | fwk.Status | None:
        """No work when all claims are bound."""
        if state.get(RESERVED) is None:
            return fwk.SKIP
        return fwk.PreBindPreFlightResult(allow_parallel=True)

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        """Writes what was decided, and waits until the claims are bound."""
        reservation = state.get(RESERVED)
        if reservation is None:
            return None
        try:
            await write(reservation, self.handle.writes, known=self._known)
            await self._wait.until_bound(pod, node_name, reservation)
        except PySchedulerError as error:  # refused, or not bound: no fault of ours
            return fwk.Status(fwk.Code.ERROR, (str(error),))
        return None

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """What may help."""
        return EVENTS

    # --- inside ---

    def _bound(self, claim: PersistentVolumeClaim) -> BoundVolume | None:
        name = claim.spec.volume_name
        volume = self._known.volumes.get(name)
        if volume is None:
            return None
        try:
            return bound_volume(volume, self._known.csi_nodes.list())
        except InvalidSelector as error:
            raise NotUnderstood(
                f'persistentvolume "{name}": spec.nodeAffinity.required: {error}'
            ) from error

    def _search(
        self, waiting: Sequence[tuple[PersistentVolumeClaim, StorageClass]]
    ) -> VolumeSearch:
        unbound = [self._unbound(claim, storage_class) for claim, storage_class in waiting]
        unbound.sort(key=lambda one: (one[1].candidates is not None, one[0]))
        return VolumeSearch([one for _, one in unbound])

    def _unbound(
        self, claim: PersistentVolumeClaim, storage_class: StorageClass
    ) -> tuple[int, Unbound]:
        """The claim, behind how much it wants in billionths of bytes."""
        wanted = claim.spec.resources.requests.get(STORAGE)
        try:
            nanos = nano_value(wanted or "0")
            size = None if wanted is None else value(wanted)
        except InvalidQuantity as error:
            raise _claim_not_understood(claim, f"resources.requests.{STORAGE}", error) from error
        provisioner = Provisioner(
            claim,
            storage_class,
            driver=self._known.drivers.get(storage_class.provisioner),
            rooms=self._known.rooms(storage_class.name),
            size=size,
        )
        if SELECTED_NODE in claim.annotations:
            return 0, Unbound(claim, provisioner, None)
        candidates = Candidates(claim)
        try:
            candidates.collect(nanos, self._known.volumes, self._known.worth)
        except InvalidSelector as error:
            raise _claim_not_understood(claim, "selector", error) from error
        return nanos, Unbound(claim, provisioner, candidates)

    def _are_bound(self, search: VolumeSearch) -> bool:
        """True when a controller was faster."""
        current = [self._known.claims.get(claim.key) for claim in search.claims]
        return all(claim is not None and is_bound(claim) for claim in current)


def _no_volumes_for(node_name: str) -> fwk.Status:
    return fwk.Status(fwk.Code.ERROR, (f'no pod volume found for node "{node_name}"',))


def _claim_not_understood(
    claim: PersistentVolumeClaim, field: str, error: Exception
) -> NotUnderstood:
    return NotUnderstood(f'persistentvolumeclaim "{claim.name}": spec.{field}: {error}')
