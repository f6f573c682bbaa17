"""Which events may help a pod that waits for claims or devices.

Nodes, classes and slices that come or change always may. A claim may if it gave its devices back,
or if it is the pod's own and is new or changed in its status. The pod's own status may once it
names all the claims that were made for it. A pod that leaves its node may if it was not bound and
had devices in memory alone.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``dynamicresources.go`` EventsToRegister.
Knowing differences: events of claims come from the watch, not from what is assumed, so others hear
of an allocation when the API server has it; a changed taint rule wakes all pods that wait here,
where upstream wakes them if it changes a slice. Upstream leaves two to the flush: who waits for a
claim or device of a pod that fails before these are written; and the pod whose claim for extended
resources, which never got any, is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import DeviceTaintRule, ResourceClaim
from pyscheduler.framework import ActionType, EventResource, QueueingHint
from pyscheduler.intree.dynamic_resources.claim_tracker import ClaimTracker
from pyscheduler.intree.dynamic_resources.claims import (
    ClaimUnusable,
    claim_keys,
    claims_of,
    extended_resource_owner,
)
from pyscheduler.intree.dynamic_resources.cluster_devices import DEVICE_TAINT_RULES


class ClaimHints:
    """The plugin's events and hints.

    Args:
        tracker: knows all claims.
        pods: which pods name which claim; None if nobody will ask.
    """

    def __init__(self, tracker: ClaimTracker, pods: PodsByClaim | None) -> None:
        self._tracker = tracker
        self._pods = pods

    def events(self) -> Sequence[fwk.ClusterEventWithHint]:
        """What is to be registered."""
        node_change = (
            ActionType.ADD | ActionType.UPDATE_NODE_LABEL | ActionType.UPDATE_NODE_ALLOCATABLE
        )
        claim_change = ActionType.ADD | ActionType.UPDATE | ActionType.DELETE
        added_or_changed = ActionType.ADD | ActionType.UPDATE
        return [
            fwk.ClusterEventWithHint(fwk.ClusterEvent(EventResource.NODE, node_change)),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(EventResource.RESOURCE_CLAIM, claim_change),
                self.after_claim_change,
                self.pods_after_claim_change,
            ),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(
                    EventResource.TARGET_POD, ActionType.UPDATE_POD_GENERATED_RESOURCE_CLAIM
                ),
                self.after_own_change,
            ),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(EventResource.DEVICE_CLASS, added_or_changed)
            ),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(EventResource.RESOURCE_SLICE, added_or_changed)
            ),
            fwk.ClusterEventWithHint(fwk.ASSIGNED_POD_DELETED, self.after_pod_left),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(DEVICE_TAINT_RULES, claim_change), self.after_rule_change
            ),
        ]

    def after_claim_change(self, pod: Pod, old: object, new: object) -> QueueingHint:
        """QUEUE when devices became free, or the pod's own claim is new or has another status."""
        if not isinstance(new, ResourceClaim):
            helps = isinstance(old, ResourceClaim) and (
                _is_allocated(old) or extended_resource_owner(old) == pod.uid
            )
            return _queue_if(helps)
        try:
            claims = claims_of(pod, self._tracker.get)
        except ClaimUnusable:
            return QueueingHint.SKIP
        if not isinstance(old, ResourceClaim):
            return _queue_if(_has(claims, new))
        if _is_allocated(old) and not _is_allocated(new):
            return QueueingHint.QUEUE
        return _queue_if(_has(claims, new) and old.status != new.status)

    def pods_after_claim_change(self, old: object, new: object) -> Collection[str] | None:
        """The pods that name the claim; all when it gave its devices back."""
        before = old if isinstance(old, ResourceClaim) else None
        after = new if isinstance(new, ResourceClaim) else None
        gave_back = (
            before is not None
            and _is_allocated(before)
            and (after is None or not _is_allocated(after))
        )
        claim = after or before
        if gave_back or claim is None or self._pods is None:
            return None
        if extended_resource_owner(claim) is not None:
            return None  # its pod does not name it
        return self._pods.naming(key_of(claim))

    def after_own_change(self, pod: Pod, old: object, new: object) -> QueueingHint:
        """QUEUE when all the pod's claims are there."""
        try:
            claims_of(new if isinstance(new, Pod) else pod, self._tracker.get)
        except ClaimUnusable:
            return QueueingHint.SKIP
        return QueueingHint.QUEUE

    def after_pod_left(self, pod: Pod, old: object, new: object) -> QueueingHint:
        """QUEUE when it had claims or devices that were never written."""
        return _queue_if(isinstance(old, Pod) and self._tracker.has_given_up(old))

    def after_rule_change(self, pod: Pod, old: object, new: object) -> QueueingHint:
        """QUEUE unless only something besides the rule itself changed."""
        is_same = (
            isinstance(old, DeviceTaintRule)
            and isinstance(new, DeviceTaintRule)
            and old.spec == new.spec
        )
        return _queue_if(not is_same)


class PodsByClaim:
    """Which pods name which claim, by their keys."""

    def __init__(self, pods: fwk.Informer[Pod]) -> None:
        self._pods: dict[str, set[str]] = {}
        pods.add_handler(self)

    def naming(self, claim_key: str) -> Collection[str]:
        """The pods that name that claim."""
        return self._pods.get(claim_key, ())

    # what the informer calls

    def on_add(self, added: Pod, initial: bool) -> None:  # the informer's own signature
        """A pod is there."""
        for key in claim_keys(added):
            self._pods.setdefault(key, set()).add(added.key)

    def on_update(self, old: Pod, new: Pod) -> None:
        """A pod changed, perhaps in the claims that were made for it."""
        if old.spec.resource_claims or new.spec.resource_claims:
            self.on_delete(old)
            self.on_add(new, False)

    def on_delete(self, deleted: Pod) -> None:
        """A pod is gone."""
        for key in claim_keys(deleted):
            pods = self._pods.get(key)
            if pods is not None:
                pods.discard(deleted.key)
                if not pods:
                    del self._pods[key]


def _has(claims: Sequence[ResourceClaim], claim: ResourceClaim) -> bool:
    return any(own.metadata.uid == claim.metadata.uid for own in claims)


def _is_allocated(claim: ResourceClaim) -> bool:
    return claim.status.allocation is not None


def _queue_if(helps: bool) -> QueueingHint:
    return QueueingHint.QUEUE if helps else QueueingHint.SKIP
