"""What several end-to-end tests claim about an outcome, each with its own witness.

Bindings come from kube-apiserver's audit log, the state of the cluster from the official client's
models. The scheduler's own metrics are read for what nobody else can see, such as why it acted.
"""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.controlplane.audit import AuditLog
from tests.controlplane.waiting import eventually
from tests.controlplane.witness import examine
from tests.e2e.providers.base import SCHEDULER_NAME, Provider

#: Seconds for thousands of pods on a machine that has other things to do.
LOAD_TIMEOUT_S = 300


async def all_bound(provider: Provider, *, timeout_s: float = LOAD_TIMEOUT_S) -> None:
    """Every pod of the tests' namespace has a node."""

    async def none_waits() -> bool:
        path = f"/api/v1/namespaces/{provider.test_namespace}/pods"
        return not await provider.api.list(path, field_selector="spec.nodeName=")

    await eventually(none_waits, what="all pods to be bound", timeout_s=timeout_s, interval_s=0.5)


async def witness_is_content(provider: Provider, *, bound: int) -> None:
    """That many pods are bound, each with condition and event, and no node holds too much."""

    async def no_complaints() -> list[str]:
        verdict = await examine(provider.kubeconfig, namespace=provider.test_namespace)
        # The last events and conditions may still be on their way, so only time makes it wrong.
        complete = verdict.bound == bound and not verdict.problems
        return [] if complete else [f"{verdict.bound} bound", *verdict.problems]

    complaints: list[str] = []

    async def content() -> bool:
        complaints[:] = await no_complaints()
        return not complaints

    try:
        await eventually(content, what="a content witness", timeout_s=60, interval_s=1)
    except TimeoutError:
        raise AssertionError("; ".join(complaints)) from None


async def scheduler_audit(provider: Provider) -> AuditLog:
    """Returns what the API server saw of our scheduler."""
    return (await provider.audit()).of_user(scheduler_user(provider))


def scheduler_user(provider: Provider) -> str:
    return f"system:serviceaccount:{provider.namespace}:{SCHEDULER_NAME}"


async def assert_bound_once(provider: Provider, *, pods: int) -> None:
    """So many pods were bound, each by one successful binding, and all of it was permitted."""
    audit = await scheduler_audit(provider)
    bindings = audit.bindings_by_pod()
    assert {pod: len(of_pod) for pod, of_pod in bindings.items() if len(of_pod) != 1} == {}
    assert len(bindings) == pods
    assert_nothing_forbidden(audit)


def assert_nothing_forbidden(audit: AuditLog) -> None:
    """The permissions of `manifests/` were enough."""
    assert audit.entries, "the scheduler was never seen by the API server"
    assert [str(entry) for entry in audit.forbidden()] == []


def metric(text: str, name: str, **labels: str) -> float:
    """Returns the sum of a metric's samples that have these labels; 0 without any."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
