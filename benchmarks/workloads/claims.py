"""``createResourceClaims`` and ``allocResourceClaims``: claims in use without a pod.

Claims are allocated one after the other on nodes picked at random, by the allocator of our own
DynamicResources plugin: it is only how the cluster got to be as full as the workload wants it.

Called by: ``workloads.execution``.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from random import Random

import msgspec

from benchmarks.workloads.operations import AllocResourceClaims, CreateResourceClaims
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.templates import template_at
from pyscheduler.api.codec import from_builtins
from pyscheduler.api.core_v1 import Node
from pyscheduler.api.resource_v1 import DeviceClass, ResourceClaim, ResourceSlice
from pyscheduler.intree.dynamic_resources.allocation import (
    AllocatedDevices,
    Allocator,
    Features,
    Inventory,
)
from pyscheduler.intree.dynamic_resources.cel import DeviceSelectors
from tests.controlplane.api_client import Manifest

_GROUP = "/apis/resource.k8s.io/v1"
#: Kept by whoever allocates a claim, so that it is not gone before its devices are given back.
_FINALIZER = "resource.kubernetes.io/delete-protection"


async def create_resource_claims(operation: CreateResourceClaims, stage: Stage) -> None:
    """The claims exist."""
    await stage.objects.ensure_namespace(operation.namespace)
    template = template_at(operation.template_path)
    claims = [template.render({"Index": index}) for index in range(operation.count)]
    await stage.objects.create_all(claims, operation.namespace)


async def alloc_resource_claims(operation: AllocResourceClaims, stage: Stage) -> None:
    """Every claim of the namespace, or of all, has devices.

    Raises:
        ValueError: there are not enough.
    """
    scope = f"/namespaces/{operation.namespace}" if operation.namespace else ""
    claims = await stage.api.list(f"{_GROUP}{scope}/resourceclaims")
    waiting = [claim for claim in claims if not (claim.get("status") or {}).get("allocation")]
    if not waiting:
        return
    stage.progress(f"{len(waiting)} claims get devices")
    cluster = _Devices(
        nodes=await stage.api.list("/api/v1/nodes"),
        slices=await stage.api.list(f"{_GROUP}/resourceslices"),
        classes=await stage.api.list(f"{_GROUP}/deviceclasses"),
        claims=await stage.api.list(f"{_GROUP}/resourceclaims"),
    )
    for claim in waiting:
        await _store(claim, cluster.allocate(claim), stage)


class _Devices:
    """The devices of a cluster in which nobody else allocates."""

    def __init__(
        self,
        *,
        nodes: Sequence[Manifest],
        slices: Sequence[Manifest],
        classes: Sequence[Manifest],
        claims: Sequence[Manifest],
    ) -> None:
        self._rng = Random(1)  # the same cluster in every run
        self._nodes = [from_builtins(node, Node) for node in nodes]
        self._classes = {
            one["metadata"]["name"]: from_builtins(one, DeviceClass) for one in classes
        }
        self._features = Features()
        self._selectors = DeviceSelectors()
        self._inventory = Inventory(features=self._features)
        for slice_ in slices:
            self._inventory.put_slice(from_builtins(slice_, ResourceSlice))
        self._allocated = AllocatedDevices()
        for claim in claims:
            self._allocated.add(from_builtins(claim, ResourceClaim))

    def allocate(self, manifest: Manifest) -> Manifest:
        """Returns the claim with devices.

        Raises:
            ValueError: no node has what it wants.
        """
        claim = from_builtins(manifest, ResourceClaim)
        allocator = Allocator(
            features=self._features,
            pools=self._inventory.snapshot(),
            allocated=self._allocated.snapshot(),
            get_class=self._classes.get,
            selectors=self._selectors,
            new_share_id=lambda: str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
        )
        for node in self._rng.sample(self._nodes, len(self._nodes)):
            results = allocator.allocate(node, [claim])
            if results is not None:
                allocation = msgspec.json.decode(msgspec.json.encode(results[0]))
                status = {**(manifest.get("status") or {}), "allocation": allocation}
                full = {**manifest, "status": status}
                self._allocated.add(from_builtins(full, ResourceClaim))
                return full
        raise ValueError(f"allocResourceClaims: no devices for {manifest['metadata']['name']}")


async def _store(claim: Manifest, full: Manifest, stage: Stage) -> None:
    metadata = claim["metadata"]
    path = f"{_GROUP}/namespaces/{metadata['namespace']}/resourceclaims/{metadata['name']}"
    await stage.api.patch(path, {"metadata": {"finalizers": [_FINALIZER]}}, kind="merge-patch")
    await stage.api.patch(
        f"{path}/status",
        {"status": {"allocation": full["status"]["allocation"]}},
        kind="merge-patch",
    )
