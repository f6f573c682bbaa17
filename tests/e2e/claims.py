"""What several end-to-end tests claim about an outcome, each with its own witness.

Bindings come from kube-apiserver's audit log, the state of the cluster from the official client's
models. The scheduler's own metrics are read for what nobody else can see, such as why it acted.
"""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.controlplane.api_client import ApiError, Manifest
from tests.controlplane.audit import AuditLog
from tests.controlplane.waiting import eventually
from tests.controlplane.witness import examine
from tests.e2e.providers.base import SCHEDULER_NAME, Provider, Replica

#: Seconds for thousands of pods on a machine that has other things to do.
LOAD_TIMEOUT_S = 180


async def all_bound(provider: Provider, *, timeout_s: float = LOAD_TIMEOUT_S) -> None:
    """Every pod of the tests' namespace has a node."""

    async def none_waits() -> bool:
        path = f"/api/v1/namespaces/{provider.test_namespace}/pods"
        return not await provider.api.list(path, field_selector="spec.nodeName=")

    await eventually(none_waits, what="all pods to be bound", timeout_s=timeout_s, interval_s=0.5)


async def waits_saying(provider: Provider, name: str, words: str) -> None:
    """The pod of the tests' namespace waits, and its condition says these words."""
    heard = ""

    async def said() -> bool:
        nonlocal heard
        try:
            pod = await provider.api.get(
                f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"
            )
        except ApiError:
            return False
        conditions = {c["type"]: c for c in pod["status"].get("conditions", [])}
        heard = conditions.get("PodScheduled", {}).get("message", "")
        return words in heard

    try:
        await eventually(said, what=f"{name} to wait", timeout_s=60)
    except TimeoutError:
        raise AssertionError(f"pod {name} says {heard!r}") from None


async def witness_is_content(provider: Provider, *, bound: int, expect_events: bool = True) -> None:
    """That many pods are bound, each with its condition, and no node holds too much.

    Each has its event, too; but whoever is killed takes those with it that it had yet to send.
    """
    complaints: list[str] = []

    async def content() -> bool:
        # The last events and conditions may still be on their way.
        verdict = await examine(
            provider.kubeconfig, namespace=provider.test_namespace, expect_events=expect_events
        )
        complaints[:] = verdict.problems
        if verdict.bound != bound:
            complaints.append(f"{verdict.bound} pods are bound, not {bound}")
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


async def assert_bound_once(provider: Provider, *, pods: int, unrecorded: int = 0) -> None:
    """So many pods were bound, each by one binding, to its node, and all of it was permitted.

    A binding whose answer nobody could take, because the scheduler was killed, counts as done when
    the pod is where it was to be.

    Args:
        unrecorded: so many bindings may be missing, because the server was killed before it wrote
            down what it had done.
    """
    audit = await scheduler_audit(provider)
    nodes = {_key(pod): pod["spec"].get("nodeName") for pod in await provider.pods()}
    targets = {
        pod: [entry.target_node for entry in bindings]
        for pod, bindings in audit.bindings_by_pod().items()
    }
    assert {pod: twice for pod, twice in targets.items() if len(twice) != 1} == {}
    for entry in audit.binding_attempts():
        pod = f"{entry.namespace}/{entry.name}"
        if entry.status >= 500 and nodes.get(pod) == entry.target_node:
            targets.setdefault(pod, [entry.target_node])
    misplaced = {pod: node for pod, node in nodes.items() if targets.get(pod, [node]) != [node]}
    assert misplaced == {}
    assert pods - unrecorded <= len(targets) <= pods, f"{len(targets)} pods were bound"
    assert_nothing_forbidden(audit)


def _key(pod: Manifest) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def assert_nothing_forbidden(audit: AuditLog) -> None:
    """The permissions of `manifests/` were enough."""
    assert audit.entries, "the scheduler was never seen by the API server"
    assert [str(entry) for entry in audit.forbidden()] == []


async def restarts(provider: Provider) -> int:
    """Returns how often the scheduler's containers were started again."""
    pods = await provider.api.list(f"/api/v1/namespaces/{provider.namespace}/pods")
    return sum(
        status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]
    )


def metric(text: str, name: str, **labels: str) -> float:
    """Returns the sum of a metric's samples that have these labels; 0 without any."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def is_asleep(replica: Replica) -> None:
    """The one pod that waits does so for an event, not for the end of its back-off."""

    async def asleep() -> bool:
        return metric(await replica.metrics(), "scheduler_pending_pods", queue="unschedulable") == 1

    await eventually(asleep, what="the pod to be in the unschedulable pool")


async def hinted(replica: Replica, plugin: str, answer: str) -> None:
    """A hint of the plugin has given that answer."""

    async def asked() -> bool:
        name = "scheduler_queueing_hint_execution_duration_seconds_count"
        return metric(await replica.metrics(), name, plugin=plugin, hint=answer) >= 1

    await eventually(asked, what=f"{plugin}'s hint to answer {answer}")


async def failed_attempts(replica: Replica) -> float:
    """Returns the attempts that ended without a node."""
    return metric(
        await replica.metrics(), "scheduler_schedule_attempts_total", result="unschedulable"
    )
