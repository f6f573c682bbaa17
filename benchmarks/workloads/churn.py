"""``churn``: objects that come, and go again, beside everything that follows.

    create:    one object of each template every interval, `number` times
    recreate:  `number` intervals in which objects come, as many in which they go, and again

Called by: ``workloads.execution``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from benchmarks.workloads.operations import Churn
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.templates import Template, template_at
from tests.controlplane.api_client import ApiError

#: Upstream's, if the file names none.
_INTERVAL_MS = 500


async def churn(operation: Churn, stage: Stage) -> None:
    """Objects come and go until the execution ends."""
    await stage.objects.ensure_namespace(operation.target)
    work = _create if operation.mode == "create" else _recreate
    stage.beside(work(operation, stage), name="churn")


async def _create(operation: Churn, stage: Stage) -> None:
    templates = _templates(operation)
    done = count(1)
    async for _ in stage.ticks(_interval_s(operation)):
        for template in templates:
            await _make(template, operation.target, stage)
        if next(done) == operation.number:
            return


async def _recreate(operation: Churn, stage: Stage) -> None:
    templates = _templates(operation)
    #: for each template, the paths of what is there now
    present = [[""] * operation.number for _ in templates]
    turns = count()
    async for _ in stage.ticks(_interval_s(operation)):
        turn = next(turns) % operation.number
        for template, paths in zip(templates, present, strict=True):
            if paths[turn]:
                await stage.api.delete(paths[turn])
                paths[turn] = ""
            else:
                paths[turn] = await _make(template, operation.target, stage)


async def _make(template: Template, namespace: str, stage: Stage) -> str:
    """Returns the path of a new object; empty if the server would not have it, as upstream."""
    manifest = template.render({})
    if manifest["kind"] == "Pod":
        manifest["spec"].setdefault("schedulerName", stage.cluster.scheduler_name)
    try:
        stored = await stage.objects.create(manifest, namespace)
    except ApiError:
        return ""
    collection = await stage.objects.collection(manifest, namespace)
    return f"{collection}/{stored['metadata']['name']}"


def _templates(operation: Churn) -> Sequence[Template]:
    return [template_at(path) for path in operation.template_paths]


def _interval_s(operation: Churn) -> float:
    return (operation.interval_milliseconds or _INTERVAL_MS) / 1000
