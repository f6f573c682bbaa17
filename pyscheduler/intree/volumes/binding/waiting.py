"""PreBind's wait: until a controller has bound the claims, or it is clear that it never will.

Whether all is done is asked when something happens to the volumes, claims, node or pod concerned,
until the time is up. It is asked of what the watch told, never of what is assumed: the controller
and whoever makes volumes see no more.

    not yet   the watch has not told our own write yet; the claim is not bound yet
    failed    the pod is gone; a volume, claim or the node is; a volume cannot be reached from the
              node; the claim's reference was taken off a volume; the selected node was taken off a
              claim: making a volume failed, and the pod must be scheduled again

Called by: ``plugin`` (PreBind).
Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go`` BindPodVolumes and checkBindings.
Knowing difference: upstream asks once a second, so that what lasts less may escape it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.keys import key_of
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.assumed_objects import is_newer_version
from pyscheduler.intree.volumes.binding.annotations import SELECTED_NODE, is_bound
from pyscheduler.intree.volumes.binding.assuming import Binding, Reservation, Selection
from pyscheduler.intree.volumes.binding.bound import why_unreachable
from pyscheduler.intree.volumes.binding.known import KnownStorage
from pyscheduler.intree.volumes.claims import CLAIMS, VOLUMES
from pyscheduler.intree.volumes.migration import CannotTranslate

_PODS = "pods.v1"
_NODES = "nodes.v1"

#: What was changed: a resource, and a key in it.
_Key = tuple[str, str]


class BindingFailed(PySchedulerError):  # noqa: N818  # says what failed
    """The claims will not be bound; in kube-scheduler's words."""


class BindingWait:
    """Waits for the bindings of all pods of a profile.

    Args:
        handle: the scheduler.
        known: what the watch told of volumes and claims.
        timeout_s: how long a pod waits.
    """

    def __init__(self, handle: fwk.Handle, known: KnownStorage, *, timeout_s: float) -> None:
        self._clock = handle.clock
        self._known = known
        self._timeout_s = timeout_s
        self._pods = handle.listers.of(_PODS, Pod)
        self._nodes = handle.listers.of(_NODES, Node)
        #: who waits for news of what
        self._waiting: dict[_Key, set[asyncio.Event]] = {}
        for resource, model in (
            (_PODS, Pod),
            (_NODES, Node),
            (CLAIMS, PersistentVolumeClaim),
            (VOLUMES, PersistentVolume),
        ):
            handle.informers.of(resource, model).add_handler(_Bell(resource, self._waiting))

    async def until_bound(self, pod: Pod, node_name: str, reservation: Reservation) -> None:
        """Returns when all claims are bound.

        Raises:
            BindingFailed: they will not be, or not in time.
        """
        news = asyncio.Event()
        keys = _keys(pod, node_name, reservation)
        for key in keys:
            self._waiting.setdefault(key, set()).add(news)
        timer = asyncio.ensure_future(self._clock.sleep(self._timeout_s))
        try:
            while not self._are_bound(pod, node_name, reservation):
                news.clear()
                await _either(news, timer)
                if not news.is_set():
                    raise BindingFailed("binding volumes: context deadline exceeded")
        except CannotTranslate as error:
            raise BindingFailed(f"binding volumes: {error}") from error
        finally:
            timer.cancel()
            for key in keys:
                waiting = self._waiting[key]
                waiting.discard(news)
                if not waiting:
                    del self._waiting[key]

    def _are_bound(self, pod: Pod, node_name: str, reservation: Reservation) -> bool:
        """True when all is done; False: not yet.

        Raises:
            BindingFailed: it never will be.
            CannotTranslate: a volume's topology cannot be put in its driver's terms.
        """
        node = self._nodes.get(node_name)
        if node is None:
            raise _failed(f'failed to get node "{node_name}": node "{node_name}" not found')
        if self._pods.get(pod.key) is None:
            raise _failed(f'pod does not exist any more: pod "{pod.name}" not found')
        return all(self._is_bound(one, node) for one in reservation.bindings) and all(
            self._is_made(one, node) for one in reservation.selections
        )

    def _is_bound(self, binding: Binding, node: Node) -> bool:
        volume = self._known.volumes.told(binding.volume.name)
        if volume is None:
            raise _failed(
                f'failed to check binding: persistentvolumes "{binding.volume.name}" not found'
            )
        claim = self._known.claims.told(binding.claim.key)
        if claim is None:
            raise _failed(
                f'failed to check binding: persistentvolumeclaims "{binding.claim.key}" not found'
            )
        if is_newer_version(binding.written, volume.metadata.resource_version):
            return False
        try:
            self._must_reach(volume, node)
        except CannotTranslate as error:
            raise _failed(f"failed to translate pv to csi: {error}") from error
        reference = volume.spec.claim_ref
        if reference is None or not reference.uid:
            raise _failed(f'ClaimRef got reset for pv "{volume.name}"')
        return is_bound(claim)

    def _is_made(self, selection: Selection, node: Node) -> bool:
        key = selection.claim.key
        claim = self._known.claims.told(key)
        if claim is None:
            raise _failed(
                f'failed to check provisioning pvc: persistentvolumeclaims "{key}" not found'
            )
        if is_newer_version(selection.written, claim.metadata.resource_version):
            return False
        if not claim.annotations:
            raise _failed(f'selectedNode annotation reset for PVC "{claim.name}"')
        if claim.annotations.get(SELECTED_NODE) != node.name:
            raise _failed(f'provisioning failed for PVC "{claim.name}"')
        if claim.spec.volume_name:
            volume = self._known.volumes.told(claim.spec.volume_name)
            if volume is None:
                return False  # the watch of volumes may be behind that of claims
            self._must_reach(volume, node)
        return is_bound(claim)

    def _must_reach(self, volume: PersistentVolume, node: Node) -> None:
        reason = why_unreachable(volume, node.labels, self._known.csi_nodes.get(node.name))
        if reason:
            raise _failed(
                f'pv "{volume.name}" node affinity doesn\'t match node "{node.name}": {reason}'
            )


class _Bell:
    """A handler that tells those who wait for news of an object."""

    def __init__(self, resource: str, waiting: Mapping[_Key, set[asyncio.Event]]) -> None:
        self._resource = resource
        self._waiting = waiting

    def on_add(self, added: Any, initial: bool) -> None:  # the informer's own signature
        if self._waiting:
            self._ring(added)

    def on_update(self, old: Any, new: Any) -> None:
        if self._waiting:
            self._ring(new)

    def on_delete(self, deleted: Any) -> None:
        if self._waiting:
            self._ring(deleted)

    def _ring(self, changed: Any) -> None:
        keys = [(self._resource, key_of(changed))]
        if isinstance(changed, PersistentVolume) and changed.spec.claim_ref is not None:
            # one that was made for a claim has a name that nobody could know before
            reference = changed.spec.claim_ref
            keys.append((CLAIMS, f"{reference.namespace}/{reference.name}"))
        for key in keys:
            for news in self._waiting.get(key, ()):
                news.set()


async def _either(news: asyncio.Event, timer: asyncio.Future[None]) -> None:
    """Returns when there is news, or the time is up."""
    heard = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait((heard, timer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        heard.cancel()


def _keys(pod: Pod, node_name: str, reservation: Reservation) -> set[_Key]:
    keys = {(_PODS, pod.key), (_NODES, node_name)}
    for binding in reservation.bindings:
        keys |= {(VOLUMES, binding.volume.name), (CLAIMS, binding.claim.key)}
    return keys | {(CLAIMS, selection.claim.key) for selection in reservation.selections}


def _failed(what: str) -> BindingFailed:
    return BindingFailed(f"binding volumes: {what}")
