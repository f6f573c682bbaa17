"""An independent check of what a scheduler did, with the official client's typed models.

It shares no code with the scheduler: requests are added up anew here from upstream's rules, with
the official client's quantities, so that a fault in our arithmetic cannot agree with itself.

    verdict = await examine(plane.kubeconfig(), namespace="default", scheduler_name="pyscheduler")
    assert verdict.problems == []
    assert verdict.bound == 2000
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.utils.quantity import parse_quantity

Amounts = dict[str, Decimal]

#: Resources that a pod may ask for as a whole, in place of its containers' sum.
_POD_LEVEL = ("cpu", "memory", "hugepages-")

#: Problems of one kind that are spelled out; more are counted.
_SPELLED_OUT = 10


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        bound: pods of the scheduler that have a node.
        unbound: "namespace/name" of its pods that have none.
        problems: every violation, in words; empty is what a test wants, except `unbound`.
    """

    bound: int = 0
    unbound: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, kind: str, subjects: Iterable[str]) -> None:
        """Adds a problem that concerns these subjects, if there are any."""
        found = sorted(subjects)
        if found:
            rest = f" and {len(found) - _SPELLED_OUT} more" if len(found) > _SPELLED_OUT else ""
            self.problems.append(f"{len(found)} {kind}: " + ", ".join(found[:_SPELLED_OUT]) + rest)


async def examine(
    kubeconfig: Path,
    *,
    scheduler_name: str = "pyscheduler",
    namespace: str | None = None,
    expect_all_bound: bool = True,
    expect_events: bool = True,
) -> Verdict:
    """Returns what became of a scheduler's pods, and whether any node holds too much.

    Nodes are judged by all pods on them, whoever bound those.

    Args:
        namespace: only pods in it must be bound; None for all.
        expect_all_bound: a pod without a node is a problem.
        expect_events: a bound pod without its Scheduled event is a problem.
    """
    return await asyncio.to_thread(
        _examine, kubeconfig, scheduler_name, namespace, expect_all_bound, expect_events
    )


def _examine(
    kubeconfig: Path,
    scheduler_name: str,
    namespace: str | None,
    expect_all_bound: bool,
    expect_events: bool,
) -> Verdict:
    with config.new_client_from_config(config_file=str(kubeconfig)) as connection:
        core = client.CoreV1Api(connection)
        nodes = list(_pages(core.list_node))
        pods = list(_pages(core.list_pod_for_all_namespaces))
        scheduled = {
            event.involved_object.uid
            for event in _pages(
                core.list_event_for_all_namespaces, field_selector="reason=Scheduled"
            )
        }
    verdict = Verdict()
    verdict.note("nodes hold more than they can", _overfull(nodes, pods))
    ours = [
        pod
        for pod in pods
        if pod.spec.scheduler_name == scheduler_name and namespace in (None, pod.metadata.namespace)
    ]
    bound = [pod for pod in ours if pod.spec.node_name]
    verdict.bound = len(bound)
    verdict.unbound = [_key(pod) for pod in ours if not pod.spec.node_name]
    if expect_all_bound:
        verdict.note("pods without a node", verdict.unbound)
    known = {node.metadata.name for node in nodes}
    verdict.note(
        "pods on a node that is not there",
        (_key(pod) for pod in bound if pod.spec.node_name not in known),
    )
    verdict.note(
        "bound pods without condition PodScheduled",
        (_key(pod) for pod in bound if not _is_condition_true(pod, "PodScheduled")),
    )
    if expect_events:
        verdict.note(
            "bound pods without event Scheduled",
            (_key(pod) for pod in bound if pod.metadata.uid not in scheduled),
        )
    return verdict


def _overfull(nodes: Iterable[Any], pods: Iterable[Any]) -> Iterator[str]:
    used: defaultdict[str, Amounts] = defaultdict(lambda: defaultdict(Decimal))
    for pod in pods:
        if pod.spec.node_name and pod.status.phase not in ("Succeeded", "Failed"):
            for resource, amount in effective_requests(pod).items():
                used[pod.spec.node_name][resource] += amount
            used[pod.spec.node_name]["pods"] += 1
    for node in nodes:
        allocatable = _amounts(node.status.allocatable)
        for resource, amount in used[node.metadata.name].items():
            offered = allocatable.get(resource, Decimal(0))
            if amount > offered:
                yield (
                    f"{node.metadata.name} "
                    f"({amount.normalize():f} {resource} of {offered.normalize():f})"
                )


def effective_requests(pod: Any) -> Amounts:
    """Returns what a pod takes of its node, from a typed pod.

    Init containers run one after another, each beside the sidecars started before it; then the
    containers run, beside all sidecars. The pod takes the largest of these moments, with what it
    asks for as a whole in place of the sum, plus its overhead.
    """
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in pod.spec.init_containers or ():
        requests = _requests_of(container.resources)
        moment = _sum(sidecars, requests)
        peak = _largest(peak, moment)
        if container.restart_policy == "Always":
            sidecars = moment
    running = sidecars
    for container in pod.spec.containers:
        running = _sum(running, _requests_of(container.resources))
    total = _largest(peak, running)
    for resource, amount in _requests_of(getattr(pod.spec, "resources", None)).items():
        if resource.startswith(_POD_LEVEL):
            total[resource] = amount
    return _sum(total, _amounts(pod.spec.overhead))


def _requests_of(resources: Any) -> Amounts:
    return _amounts(resources.requests if resources is not None else None)


def _amounts(quantities: Mapping[str, str] | None) -> Amounts:
    return {resource: parse_quantity(text) for resource, text in (quantities or {}).items()}


def _sum(left: Amounts, right: Amounts) -> Amounts:
    return {
        resource: left.get(resource, Decimal(0)) + right.get(resource, Decimal(0))
        for resource in left.keys() | right.keys()
    }


def _largest(left: Amounts, right: Amounts) -> Amounts:
    return {
        resource: max(left.get(resource, Decimal(0)), right.get(resource, Decimal(0)))
        for resource in left.keys() | right.keys()
    }


def _is_condition_true(pod: Any, kind: str) -> bool:
    return any(
        condition.type == kind and condition.status == "True"
        for condition in pod.status.conditions or ()
    )


def _key(pod: Any) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _pages(list_method: Callable[..., Any], **selectors: str) -> Iterator[Any]:
    """Yields all objects of a collection, read in pages."""
    token = None
    while True:
        page = list_method(limit=500, _continue=token, **selectors)
        yield from page.items
        token = page.metadata._continue
        if not token:
            return
