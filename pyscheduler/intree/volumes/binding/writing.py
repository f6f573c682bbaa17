"""PreBind's writes: a reservation becomes true on the API server.

Volumes first, then claims, one after the other, each on the condition that it is still of the
version that was decided on. The first refusal ends it: what was not written is no longer assumed,
and what was written stays, as nobody could take it back safely.

Called by: ``plugin`` (PreBind). Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go``
bindAPIUpdate. Knowing difference: patches of what changes, on the condition of the version, where
upstream sends whole objects; a volume that has the claim's reference already is not sent at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyscheduler.api.meta import ObjectMeta
from pyscheduler.framework.handle import Writes
from pyscheduler.intree.volumes.binding.assuming import Reservation
from pyscheduler.intree.volumes.binding.known import KnownStorage


async def write(reservation: Reservation, writes: Writes, *, known: KnownStorage) -> None:
    """All of the reservation is written; whatever a refused write raises is raised."""
    try:
        for binding in reservation.bindings:
            volume = binding.volume
            path = f"/api/v1/persistentvolumes/{volume.name}"
            binding.written = await _patch(writes, path, volume.metadata, binding.patch)
        for selection in reservation.selections:
            claim = selection.claim
            path = f"/api/v1/namespaces/{claim.namespace}/persistentvolumeclaims/{claim.name}"
            selection.written = await _patch(writes, path, claim.metadata, selection.patch)
    finally:
        reservation.revert(known)


async def _patch(writes: Writes, path: str, metadata: ObjectMeta, patch: Mapping[str, Any]) -> str:
    """The version that the object has afterwards."""
    decided_on = metadata.resource_version
    if not patch:
        return decided_on
    condition = {"resourceVersion": decided_on, **patch.get("metadata", {})}
    answer = await writes.request("PATCH", path, {**patch, "metadata": condition})
    version: str = answer["metadata"]["resourceVersion"]
    return version
