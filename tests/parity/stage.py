"""The real API server on which worlds are built, and taken away again.

One stage for one control plane. It knows nothing of schedulers: it makes objects, gives them their
status, puts back what a preemption took away, and follows all pods with one watch, so that what
became of a pod is known without asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from tests.controlplane.api_client import ApiError, in_parallel
from tests.parity.paths import collection_path, object_path, status_of
from tests.parity.worlds import GROUND, Event, Manifest, World, key_of, reference_of, with_uids

#: Objects of a kind are made in parallel, the kinds in this order; others follow one by one.
_PARALLEL = ("Node", "Pod", "CSINode")
_PODS = "/api/v1/pods"
#: Of a deletion: no grace, and no finalizer that only a controller would take off.
_AT_ONCE = {"gracePeriodSeconds": "0", "propagationPolicy": "Background"}
#: Kinds on which schedulers or the API server put finalizers.
_HELD = frozenset({"ResourceClaim", "PersistentVolumeClaim", "PersistentVolume"})
#: Seconds in which watch events arrive; tens of times what they take on an idle machine. Too short
#: shows as a difference that does not come again.
SETTLE_S = 0.1


class Api(Protocol):
    """What a stage needs of an API server's client."""

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Returns the answer; raises `ApiError`."""

    def watch(self, path: str, *, resource_version: str) -> AsyncIterator[Manifest]:
        """Yields watch events."""


class Stage:
    """Holds one world at a time.

    Fields of state:
        pods: every pod as the watch last told, by ``namespace/name``.
    """

    def __init__(self, api: Api, *, settle_s: float) -> None:
        self.api = api
        self._settle_s = settle_s
        self.pods: dict[str, Manifest] = {}
        #: what the server made of each object of the world, by ``Kind/namespace/name``
        self.stored: dict[str, Manifest] = {}
        self._changed = asyncio.Event()
        self._uids: dict[str, str] = {}
        self._made: list[Manifest] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, api: Api, *, settle_s: float = SETTLE_S) -> AsyncIterator[Stage]:
        """Yields a stage with the ground laid, whose watch follows all pods."""
        stage = cls(api, settle_s=settle_s)
        for manifest in GROUND:
            await api.request("POST", collection_path(manifest), manifest)
        pods = await api.request("GET", _PODS)
        version = str(pods["metadata"]["resourceVersion"])
        watching = asyncio.create_task(stage._follow(version))
        try:
            yield stage
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _follow(self, version: str) -> None:
        async for event in self.api.watch(_PODS, resource_version=version):
            pod = event["object"]
            if event["type"] == "DELETED":
                self.pods.pop(key_of(pod), None)
            else:
                self.pods[key_of(pod)] = pod
            self._changed.set()

    async def until(self, claim: Callable[[], bool], *, timeout_s: float, poll_s: float) -> bool:
        """Waits for a change of pods, and looks now and then anyway; False: not in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not claim():
            if loop.time() > deadline:
                return False
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), poll_s)
        return True

    # --- a world ---

    async def build(self, world: World, nominated: Iterable[Manifest] = ()) -> None:
        """The world's objects exist, and its nominated pods as given."""
        self.stored.clear()
        batches: dict[str, list[Manifest]] = {}
        for manifest in [*world.objects, *nominated]:
            batches.setdefault(manifest["kind"], []).append(manifest)
        for kind, manifests in batches.items():
            if kind in _PARALLEL:
                await in_parallel(
                    [functools.partial(self.make, manifest) for manifest in manifests]
                )
            else:
                for manifest in manifests:
                    await self.make(manifest)

    async def clear(self) -> None:
        """Nothing of the world is left."""
        made, self._made = self._made, []
        pods = [manifest for manifest in made if manifest["kind"] == "Pod"]
        others = [manifest for manifest in made if manifest["kind"] != "Pod"]
        for manifests in (pods, others):
            await in_parallel([functools.partial(self._delete, one) for one in manifests])
        self._uids.clear()
        await self.until(lambda: not self.pods, timeout_s=10, poll_s=0.05)

    @property
    def residents(self) -> dict[str, Manifest]:
        """The world's own pods, as they are now."""
        own = {key_of(made) for made in self._made if made["kind"] == "Pod"}
        return {key: pod for key, pod in self.pods.items() if key in own}

    async def look(self) -> dict[str, Manifest]:
        """All pods as they are at this moment, whatever the watch has told yet."""
        answer = await self.api.request("GET", _PODS)
        return {key_of(pod): pod for pod in answer.get("items") or ()}

    async def choices(self, companions: Sequence[Manifest]) -> dict[str, Any]:
        """What schedulers wrote into claims and volumes of one pod, by kind and name."""
        found = {}
        for companion in companions:
            if companion["kind"] in _CHOSEN_OF:
                now = await self.api.request("GET", object_path(companion))
                if chosen := _CHOSEN_OF[companion["kind"]](now):
                    found[f"{companion['kind']}/{companion['metadata']['name']}"] = chosen
        return found

    # --- one object ---

    async def make(self, manifest: Manifest) -> Manifest:
        """The object exists with its status; returns it as the server has it."""
        resolved = with_uids(manifest, self._uids)
        self._made.append(manifest)  # before it is: a cancelled request may still succeed
        made = await self.api.request("POST", collection_path(resolved), resolved)
        self._uids[reference_of(manifest)] = made["metadata"]["uid"]
        self.stored[reference_of(manifest)] = made
        status = status_of(resolved)
        if status is not None:
            made = await self._patch(f"{object_path(resolved)}/status", status)
        return made

    async def remove(self, manifest: Manifest) -> None:
        """The object is gone, at once."""
        await self._delete(manifest)
        reference = reference_of(manifest)
        self._made = [made for made in self._made if reference_of(made) != reference]

    async def ungate(self, pod: Manifest, gates: Sequence[Manifest]) -> None:
        """The pod has only these scheduling gates left."""
        change = {"spec": {"schedulingGates": list(gates) or None}}
        self.stored[reference_of(pod)] = await self._patch(object_path(pod), change)

    async def put_back(self, keys: Sequence[str]) -> None:
        """Pods of the world that have left, or are leaving, are there again."""
        by_key = {key_of(made): made for made in self._made if made["kind"] == "Pod"}
        uids = {}
        for key in keys:
            await self.remove(by_key[key])
            uids[key] = (await self.make(by_key[key]))["metadata"]["uid"]
        await self.until(
            lambda: all(self._uid_of(key) == uid for key, uid in uids.items()),
            timeout_s=10,
            poll_s=0.05,
        )

    async def apply(self, event: Event) -> None:
        """The event has happened."""
        match event.verb:
            case "create":
                await self.make(event.manifest)
            case "delete":
                await self._delete(event.manifest)
            case "change":
                await self._turn(self._of_world(event.manifest), event.manifest)

    async def undo(self, event: Event) -> None:
        """The world is as it was before the event."""
        match event.verb:
            case "create":
                await self.remove(event.manifest)
            case "delete" if event.manifest["kind"] == "Pod":
                await self.put_back([key_of(event.manifest)])
            case "delete":
                await self.remove(event.manifest)
                await self.make(event.manifest)
            case "change":
                await self._turn(event.manifest, self._of_world(event.manifest))
        await self.settle()

    def _of_world(self, manifest: Manifest) -> Manifest:
        reference = reference_of(manifest)
        return next(made for made in self._made if reference_of(made) == reference)

    async def _turn(self, old: Manifest, new: Manifest) -> None:
        """What differs between the two is changed; the status apart from the rest."""
        change = _merge_patch(old, new)
        status = change.pop("status", None)
        if change:
            await self._patch(object_path(new), change)
        if status:
            await self._patch(f"{object_path(new)}/status", {"status": status})

    async def settle(self) -> None:
        """Whoever watches has very likely seen what was made."""
        await asyncio.sleep(self._settle_s)

    def _uid_of(self, key: str) -> str:
        return str(self.pods.get(key, {}).get("metadata", {}).get("uid", ""))

    async def _patch(self, path: str, change: Manifest) -> Manifest:
        return await self.api.request(
            "PATCH", path, change, content_type="application/merge-patch+json"
        )

    async def _delete(self, manifest: Manifest) -> Manifest:
        with contextlib.suppress(ApiError):
            if manifest["kind"] in _HELD:
                await self._patch(object_path(manifest), {"metadata": {"finalizers": None}})
            await self.api.request("DELETE", object_path(manifest), params=_AT_ONCE)
        return {}


def _merge_patch(old: Manifest, new: Manifest) -> Manifest:
    """The JSON merge patch that turns one into the other."""
    patch: Manifest = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := _merge_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


def _chosen_devices(claim: Manifest) -> Any:
    allocation = (claim.get("status") or {}).get("allocation")
    if not allocation:
        return None
    results = (allocation.get("devices") or {}).get("results") or []
    return {
        "devices": [
            "/".join(result[field] for field in ("request", "driver", "pool", "device"))
            for result in results
        ],
        "consumed": [result.get("consumedCapacity") for result in results],
        "nodeSelector": allocation.get("nodeSelector"),
        "reservedFor": [one["name"] for one in claim["status"].get("reservedFor") or ()],
    }


def _chosen_node(claim: Manifest) -> Any:
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get("volume.kubernetes.io/selected-node")


def _chosen_claim(volume: Manifest) -> Any:
    return (volume["spec"].get("claimRef") or {}).get("name")


#: How to read what was decided for an object of each kind; None while nothing was.
_CHOSEN_OF: Mapping[str, Callable[[Manifest], Any]] = {
    "ResourceClaim": _chosen_devices,
    "PersistentVolumeClaim": _chosen_node,
    "PersistentVolume": _chosen_claim,
}
