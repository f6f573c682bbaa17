"""ResourceClaims from the pods' claim templates, where no kube-controller-manager makes them.

    a pod with a claim template comes --> its claim is made --> the pod's status names it
    the pod goes                      --> the claim gives its devices back and goes

As little of the resource claim controller as workloads need.

Called by: ``workloads.execution``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from benchmarks.workloads.pod_watch import PodChange
from tests.controlplane.api_client import PARALLEL_WRITES, ApiClient, ApiError, Manifest

_GROUP = "/apis/resource.k8s.io/v1"


class ClaimMaker:
    """Follows pods, and makes their claims."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._work: asyncio.Queue[Callable[[], Coroutine[None, None, None]]] = asyncio.Queue()
        #: path of a template -> what its claims say
        self._templates: dict[str, Manifest] = {}

    def notice(self, change: PodChange) -> None:
        """A pod came, changed or went."""
        pod = change.manifest
        if not _templated(pod):
            return
        if change.old is None and change.new is not None:
            self._work.put_nowait(lambda: self._make(pod))
        elif change.new is None:
            self._work.put_nowait(lambda: self._drop(pod))

    async def work(self) -> None:
        """Claims are made and dropped until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_WRITES):
                group.create_task(self._work_off())

    async def _work_off(self) -> None:
        while True:
            await (await self._work.get())()

    async def _make(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        claims = f"{_GROUP}/namespaces/{metadata['namespace']}/resourceclaims"
        owner = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        statuses = []
        for reference, template in _templated(pod):
            path = f"{_GROUP}/namespaces/{metadata['namespace']}/resourceclaimtemplates/{template}"
            if path not in self._templates:
                self._templates[path] = (await self._api.get(path))["spec"]
            name = f"{metadata['name']}-{reference}"
            claim = {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceClaim",
                "metadata": {
                    **(self._templates[path].get("metadata") or {}),
                    "name": name,
                    "annotations": {"resource.kubernetes.io/pod-claim-name": reference},
                    "ownerReferences": [owner],
                },
                "spec": self._templates[path]["spec"],
            }
            await self._api.create(claims, claim)
            statuses.append({"name": reference, "resourceClaimName": name})
        status = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        change = {"status": {"resourceClaimStatuses": statuses}}
        await _unless_gone(self._api.patch(status, change, kind="strategic-merge-patch"))

    async def _drop(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        for reference, _ in _templated(pod):
            name = f"{metadata['name']}-{reference}"
            path = f"{_GROUP}/namespaces/{metadata['namespace']}/resourceclaims/{name}"
            given_back = {"status": {"allocation": None, "reservedFor": None}}
            await self._api.delete(path)
            await _unless_gone(self._api.patch(f"{path}/status", given_back, kind="merge-patch"))
            unprotected = {"metadata": {"finalizers": None}}
            await _unless_gone(self._api.patch(path, unprotected, kind="merge-patch"))


def _templated(pod: Manifest) -> list[tuple[str, str]]:
    """Returns the pod's names for claims it wants made, each with the template's name."""
    references = (pod.get("spec") or {}).get("resourceClaims") or ()
    return [
        (reference["name"], reference["resourceClaimTemplateName"])
        for reference in references
        if reference.get("resourceClaimTemplateName")
    ]


async def _unless_gone(call: Coroutine[None, None, Manifest]) -> None:
    try:
        await call
    except ApiError as error:
        if error.status != 404:
            raise
