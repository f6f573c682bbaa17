"""All pods of the API server as the running workload sees them, by one watch.

    sync --> list --> watch --> (the stream ends) --> list again ...

Who counts pods looks here or listens; nobody else asks the server about pods.

Called by: ``workloads.execution`` and what waits for pods.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tests.controlplane.api_client import ApiClient, ApiError, Manifest

_PODS = "/api/v1/pods"


@dataclass(frozen=True, slots=True)
class SeenPod:
    """What matters about a pod."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    #: it has a node
    is_scheduled: bool
    #: somebody tried to find it one, or it is gated
    is_attempted: bool

    @classmethod
    def of(cls, pod: Manifest) -> SeenPod:
        """What is seen of a pod."""
        metadata = pod["metadata"]
        conditions = (pod.get("status") or {}).get("conditions") or ()
        return cls(
            metadata["namespace"],
            metadata["name"],
            metadata.get("labels") or {},
            bool(pod["spec"].get("nodeName")),
            any(condition["type"] == "PodScheduled" for condition in conditions),
        )

    def is_meant(self, namespaces: Collection[str], labels: Mapping[str, str]) -> bool:
        """Claims that it is in one of the namespaces and has all of the labels."""
        return self.namespace in namespaces and labels.items() <= self.labels.items()


@dataclass(frozen=True, slots=True)
class PodChange:
    """A pod came, changed or went."""

    #: None if it came
    old: SeenPod | None
    #: None if it went
    new: SeenPod | None
    #: as the server says it; of a pod that went while nobody watched, nothing
    manifest: Manifest

    @property
    def got_scheduled(self) -> bool:
        """Whether this is the moment at which its node became known."""
        return (
            self.new is not None
            and self.new.is_scheduled
            and not (self.old is not None and self.old.is_scheduled)
        )


class PodWatch:
    """Follows all pods."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._pods: dict[tuple[str, str], SeenPod] = {}
        self._listeners: list[Callable[[PodChange], None]] = []
        self._version = ""

    def listen(self, listener: Callable[[PodChange], None]) -> None:
        """The listener is told of every change from now on."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[PodChange], None]) -> None:
        """The listener is told nothing more."""
        self._listeners.remove(listener)

    def meant(self, namespaces: Collection[str], labels: Mapping[str, str]) -> list[SeenPod]:
        """Returns the pods in these namespaces with these labels."""
        return [pod for pod in self._pods.values() if pod.is_meant(namespaces, labels)]

    async def sync(self) -> None:
        """All pods are known."""
        self._version = await self._api.resource_version(_PODS)
        present = {}
        for pod in await self._api.list(_PODS):
            present[_key(pod)] = pod
        for key in set(self._pods) - set(present):
            self._change(key, None, {})
        for key, pod in present.items():
            self._change(key, SeenPod.of(pod), pod)

    async def follow(self) -> None:
        """Pods are followed until cancelled."""
        while True:
            try:
                events = self._api.watch(_PODS, resource_version=self._version)
                async for event in events:
                    self._take(event)
            except _StreamEnded:
                pass
            except ApiError as error:
                if error.status != 410:
                    raise
            await self.sync()

    def _take(self, event: Manifest) -> None:
        kind, pod = event["type"], event["object"]
        if kind == "ERROR":
            raise _StreamEnded
        if kind != "BOOKMARK":
            self._change(_key(pod), None if kind == "DELETED" else SeenPod.of(pod), pod)

    def _change(self, key: tuple[str, str], new: SeenPod | None, manifest: Manifest) -> None:
        old = self._pods.get(key)
        if new is None:
            self._pods.pop(key, None)
        else:
            self._pods[key] = new
        change = PodChange(old, new, manifest)
        for listener in tuple(self._listeners):
            listener(change)


class _StreamEnded(Exception):  # noqa: N818  # an event of the stream
    pass


def _key(pod: Manifest) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
