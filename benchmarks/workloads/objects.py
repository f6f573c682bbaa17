"""``createAny`` and ``updateAny``: objects of any kind from templates.

Called by: ``workloads.execution``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from benchmarks.workloads.operations import CreateAny, UpdateAny
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.templates import template_at
from tests.controlplane.api_client import Manifest, Manifests, in_parallel

#: How the volume begins that ServiceAccount admission adds to every pod.
_TOKEN_VOLUME = "kube-api-access-"


async def create_any(operation: CreateAny, stage: Stage) -> None:
    """The objects exist."""
    if operation.namespace:
        await stage.objects.ensure_namespace(operation.namespace)
    stage.progress(f"{operation.count} from {operation.template_path.name}")
    await stage.objects.create_all(_rendered(operation), operation.namespace)


async def update_any(operation: UpdateAny, stage: Stage) -> None:
    """The objects and their status are as the template says."""
    stage.progress(f"{operation.count} become {operation.template_path.name}")
    updates = [
        functools.partial(_update, manifest, operation, stage) for manifest in _rendered(operation)
    ]
    if not operation.update_per_second:
        await in_parallel(updates)
        return
    remaining = iter(updates)
    async for _ in stage.ticks(1 / operation.update_per_second):
        update = next(remaining, None)
        if update is None:
            return
        await update()


def _rendered(operation: CreateAny | UpdateAny) -> Iterator[Manifest]:
    given = operation.template_params if isinstance(operation, CreateAny) else {}
    template = template_at(operation.template_path)
    for index in range(operation.count):
        yield template.render({**given, "Index": index, "Count": operation.count})


async def _update(manifest: Manifest, operation: UpdateAny, stage: Stage) -> Manifest:
    manifest = await stage.objects.admissible(manifest)
    collection = await stage.objects.collection(manifest, operation.namespace)
    path = f"{collection}/{manifest['metadata']['name']}"
    if manifest["kind"] == "Pod":
        manifest = _as_admitted(manifest, await stage.api.get(path))
    await stage.api.request("PUT", "/".join((path, *operation.subresources)), manifest)
    if "status" not in manifest:
        return manifest
    return await stage.api.request("PUT", f"{path}/status", manifest)


def _as_admitted(pod: Manifest, stored: Manifest) -> Manifest:
    """Returns the pod with what defaults and admission added to it when it was made.

    Upstream's servers have no such admission, so its templates can be whole pods; here a PUT of
    them would take away what nobody may. Scheduling gates alone go if the template has none.
    """
    before = stored["spec"]
    kept = {name: value for name, value in before.items() if name != "schedulingGates"}
    spec = {**kept, **pod["spec"]}
    spec["tolerations"] = _together(pod["spec"].get("tolerations"), before.get("tolerations"))
    tokens = [
        volume for volume in before.get("volumes", ()) if volume["name"].startswith(_TOKEN_VOLUME)
    ]
    if tokens:
        spec["volumes"] = _together(pod["spec"].get("volumes"), tokens)
    spec["containers"] = [
        _container_as_admitted(container, old)
        for container, old in zip(spec["containers"], before["containers"], strict=True)
    ]
    return {**pod, "spec": spec}


def _together(ones: Manifests | None, others: Manifests | None) -> Manifests:
    return [*(others or ()), *(one for one in ones or () if one not in (others or ()))]


def _container_as_admitted(container: Manifest, stored: Manifest) -> Manifest:
    kept = {**stored, **container}
    tokens = [
        mount for mount in stored.get("volumeMounts", ()) if mount["name"].startswith(_TOKEN_VOLUME)
    ]
    if tokens:
        kept["volumeMounts"] = _together(container.get("volumeMounts"), tokens)
    return kept
