"""Objects of any kind at an API server: where they are, and how they are written.

What a server's admission would refuse and upstream's, which has none, takes is put right here: a
pod's bare ``priority`` becomes a PriorityClass of that value, and a new namespace gets its
ServiceAccount.

Called by: the operations in ``workloads``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from tests.controlplane.api_client import ApiClient, ApiError, Manifest, Manifests, in_parallel


class ApiObjects:
    """Writes objects that say of which kind they are."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        #: (apiVersion, kind) -> plural, whether it is in namespaces
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}
        self._namespaces: set[str] = set()
        self._priorities: set[int] = set()

    async def collection(self, manifest: Manifest, namespace: str) -> str:
        """Returns the path of the objects of the manifest's kind, as far as in the namespace.

        Raises:
            ValueError: no such kind is served.
        """
        version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._kinds:
            for served in (await self._api.get(root))["resources"]:
                if "/" not in served["name"]:
                    entry = (served["name"], served["namespaced"])
                    self._kinds[version, served["kind"]] = entry
        if (version, kind) not in self._kinds:
            raise ValueError(f"the server has no {version} {kind}")
        plural, namespaced = self._kinds[version, kind]
        inside = namespace or (manifest.get("metadata") or {}).get("namespace") or "default"
        return f"{root}/namespaces/{inside}/{plural}" if namespaced else f"{root}/{plural}"

    async def create(self, manifest: Manifest, namespace: str = "") -> Manifest:
        """The object exists; returns it as stored."""
        ready = await self.admissible(manifest)
        return await self._api.create(await self.collection(manifest, namespace), ready)

    async def create_all(self, manifests: Iterable[Manifest], namespace: str = "") -> Manifests:
        """The objects exist, made by several writers at once; returned in order."""
        return await in_parallel(
            functools.partial(self.create, manifest, namespace) for manifest in manifests
        )

    async def ensure(self, manifest: Manifest, namespace: str = "") -> None:
        """An object of that name exists."""
        try:
            await self.create(manifest, namespace)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def ensure_namespace(self, name: str, template: Manifest | None = None) -> None:
        """The namespace exists, and pods are admitted there."""
        if name in self._namespaces:
            return
        manifest = template or {"apiVersion": "v1", "kind": "Namespace"}
        metadata = {**(manifest.get("metadata") or {}), "name": name}
        await self.ensure({**manifest, "metadata": metadata})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await self.ensure(account, name)
        self._namespaces.add(name)

    async def admissible(self, manifest: Manifest) -> Manifest:
        """Returns the object as admission takes it; what it refers to for that exists."""
        if manifest["kind"] != "Pod" or not is_bare_priority(manifest):
            return manifest
        value = manifest["spec"]["priority"]
        if value not in self._priorities:
            await self.ensure(
                {
                    "apiVersion": "scheduling.k8s.io/v1",
                    "kind": "PriorityClass",
                    "metadata": {"name": priority_class(value)},
                    "value": value,
                }
            )
            self._priorities.add(value)
        return with_priority_class(manifest)


def is_bare_priority(pod: Manifest) -> bool:
    """Claims that the pod says a priority and no class."""
    return pod["spec"].get("priority") is not None and not pod["spec"].get("priorityClassName")


def with_priority_class(pod: Manifest) -> Manifest:
    """Returns the pod with the class of its priority in place of the number."""
    if not is_bare_priority(pod):
        return pod
    spec = {**pod["spec"], "priorityClassName": priority_class(pod["spec"]["priority"])}
    del spec["priority"]
    return {**pod, "spec": spec}


def priority_class(value: int) -> str:
    """The name of the class that stands for a priority."""
    return f"priority-{value}" if value >= 0 else f"priority-minus-{-value}"
