"""What the providers have in common whose scheduler runs in pods of the cluster itself.

`kind` and `existing` deploy alike: the manifests are applied, the Deployment's rollout is awaited,
and a replica is a pod, met through the API server's proxy and `kubectl logs`.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence

from tests.controlplane.api_client import Manifest
from tests.e2e.providers.base import (
    LEASE,
    KubectlError,
    Provider,
    Release,
    Replica,
    eventually,
)

#: The pods of the scheduler's Deployment in `manifests/`, and of all Deployments there.
SCHEDULER_PODS = "app.kubernetes.io/component=scheduler"
OUR_PODS = "app.kubernetes.io/name=pyscheduler"

#: Where `manifests/` lets the scheduler serve /metrics and the probes.
PORT = 10259


class PodReplica(Replica):
    """A scheduler in a pod."""

    def __init__(self, provider: Provider, pod: Manifest) -> None:
        self._provider = provider
        self.name = str(pod["metadata"]["name"])
        self.node_name = str(pod["spec"]["nodeName"])

    @property
    def path(self) -> str:
        """The pod's path in the API."""
        return f"/api/v1/namespaces/{self._provider.namespace}/pods/{self.name}"

    async def metrics(self) -> str:
        proxy = f"/api/v1/namespaces/{self._provider.namespace}/pods/{self.name}:{PORT}/proxy"
        return await self._provider.api.text("GET", f"{proxy}/metrics")

    async def log(self) -> str:
        arguments = ("-n", self._provider.namespace, "logs", self.name)
        earlier = ""
        with contextlib.suppress(KubectlError):  # there was no earlier life
            earlier = await self._provider.kubectl(*arguments, "--previous")
        return earlier + await self._provider.kubectl(*arguments)

    async def kill(self) -> None:
        """The pod is gone from the API at once; its kubelet grants the process two seconds.

        A provider that reaches the node's processes does better.
        """
        await self._provider.api.delete(self.path, grace_period_s=0)


class InPodsProvider(Provider):
    """Deploys the manifests into the cluster."""

    async def deploy(self, release: Release = Release()) -> None:  # noqa: B008 - frozen
        objects = await self.render(release)
        await self.apply(objects)
        for manifest in objects:
            if manifest["kind"] == "Deployment":  # with some overlays there is an operator, too
                await self.rollout_done(manifest["metadata"]["name"])

        async def settled() -> bool:
            pods = await self._pods(OUR_PODS)
            return all("deletionTimestamp" not in pod["metadata"] for pod in pods)

        # no part of a rollout, but until its kubelet tells it to end, an older leader goes on
        await eventually(settled, what="the pods of older revisions to end", timeout_s=90)

    async def undeploy(self) -> None:
        await self.api.delete_collection(f"/apis/apps/v1/namespaces/{self.namespace}/deployments")

        async def no_pods() -> bool:
            return not await self._pods(OUR_PODS)

        await eventually(no_pods, what="the pods of what was deployed to end", timeout_s=90)
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        await self.api.delete(f"{leases}/{LEASE}")

    async def replicas(self) -> Sequence[Replica]:
        return [
            self.replica(pod)
            for pod in await self._pods(SCHEDULER_PODS)
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def replica(self, pod: Manifest) -> Replica:
        """Returns the replica that runs in a pod."""
        return PodReplica(self, pod)

    def diagnostics(self) -> str:
        questions = (
            ("get", "pods", "--all-namespaces", "-o", "wide"),
            ("-n", self.namespace, "describe", "pods", "-l", OUR_PODS),
            ("-n", self.namespace, "logs", "-l", OUR_PODS, "--tail=50", "--prefix"),
        )
        kubectl = (str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}")
        answers = [
            subprocess.run(
                [*kubectl, *question],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=30,
                check=False,
            ).stdout
            for question in questions
        ]
        return "\n".join(answers)

    async def _pods(self, label_selector: str) -> list[Manifest]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return await self.api.list(path, label_selector=label_selector)
