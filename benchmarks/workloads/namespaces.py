"""``createNamespaces``.

Called by: ``workloads.execution``.
"""

from __future__ import annotations

from benchmarks.workloads.operations import CreateNamespaces
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.templates import template_at


async def create_namespaces(operation: CreateNamespaces, stage: Stage) -> None:
    """The namespaces exist, and pods are admitted there."""
    path = operation.namespace_template_path
    for index in range(operation.count):
        template = template_at(path).render({"Index": index}) if path is not None else None
        name = f"{operation.prefix}-{index}"
        await stage.objects.ensure_namespace(name, template)
        stage.awaited[name] += 0  # a barrier may name it from now on
