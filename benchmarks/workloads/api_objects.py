"""Objects of any kind at an API server: where they are, and how they are written.

What upstream's servers take, which have no admission and serve every version, and others refuse, is
put right here: a bare ``priority`` becomes a PriorityClass of that value, a new namespace gets
its ServiceAccount, an object of a beta version is written as v1.

Called by: the operations in ``workloads``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

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
        return await self._api.create(await self.collection(ready, namespace), ready)

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
        """Returns the object as a server takes it; what it refers to for that exists."""
        manifest = as_v1(typed(manifest))
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


#: Versions that servers do not serve unless told to, and the one that says the same.
_SAME_AS = {"resource.k8s.io/v1beta2": "resource.k8s.io/v1"}


def as_v1(manifest: Manifest) -> Manifest:
    """Returns the object in the version that every server has."""
    version = manifest["apiVersion"]
    return {**manifest, "apiVersion": _SAME_AS.get(version, version)}


def typed(manifest: Manifest) -> Manifest:
    """Returns the object as a client with types would send it.

    Quantities are texts, though YAML has some of them as numbers, and a node can allocate what its
    capacity is.
    """
    match manifest["kind"]:
        case "Node" if "status" in manifest:
            status = _texts_in(manifest["status"], ("capacity", "allocatable"))
            if "capacity" in status:
                status.setdefault("allocatable", status["capacity"])
            return {**manifest, "status": status}
        case "Pod":
            spec = dict(manifest["spec"])
            for name in ("containers", "initContainers"):
                if name in spec:
                    spec[name] = [_with_text_resources(container) for container in spec[name]]
            return {**manifest, "spec": _with_text_resources(spec)}
        case "ResourceSlice":
            return {**manifest, "spec": _with_texts(manifest["spec"])}
    return manifest


#: Fields of a ResourceSlice that are quantities, whatever they are part of.
_QUANTITIES = frozenset({"value", "default", "min", "max", "step"})


def _with_texts(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_texts(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: str(value) if name in _QUANTITIES and isinstance(value, int) else _with_texts(value)
        for name, value in part.items()
    }


def _with_text_resources(holder: Manifest) -> Manifest:
    if not holder.get("resources"):
        return holder
    return {**holder, "resources": _texts_in(holder["resources"], ("requests", "limits"))}


def _texts_in(holder: Manifest, names: Iterable[str]) -> Manifest:
    texts = {
        name: {resource: str(quantity) for resource, quantity in holder[name].items()}
        for name in names
        if holder.get(name)
    }
    return {**holder, **texts}


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
