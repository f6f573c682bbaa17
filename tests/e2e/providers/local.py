"""The local provider: a real control plane of our own, without containers.

etcd, kube-apiserver and kube-controller-manager run on this machine; nodes are kwok's or hollow
kubelets; the manifests are applied for real, in a namespace that enforces PodSecurity
`restricted`, and the pods that the Deployment makes are run as processes (`local_pods.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from tests.controlplane import load
from tests.controlplane.audit import AuditLog
from tests.controlplane.build import ensure_binaries
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.kubectl import KubectlError
from tests.controlplane.process import Process
from tests.controlplane.waiting import eventually
from tests.e2e.providers.base import LEASE, Capability, Provider, Release, Replica
from tests.e2e.providers.local_pods import LocalPod, PodRunner

_LEADING = re.compile(r"^leader_election_master_status\{[^}]*\} 1(\.0)?$", re.MULTILINE)


class LocalReplica(Replica):
    """A pod of the Deployment, run as a process."""

    def __init__(self, pod: LocalPod) -> None:
        self.name = pod.name
        self._pod = pod

    async def metrics(self) -> str:
        return await self._pod.scheduler.metrics()

    async def log(self) -> str:
        return self._pod.scheduler.log()

    async def kill(self) -> None:
        await self._pod.scheduler.kill()

    async def pause(self) -> None:
        self._pod.scheduler.pause()

    async def resume(self) -> None:
        self._pod.scheduler.resume()


class LocalProvider(Provider):
    """See the module."""

    name = "local"
    capabilities = frozenset(
        {
            Capability.FAKE_NODES,
            Capability.HOLLOW_NODES,
            Capability.DRAIN_NODES,
            Capability.RESTART_APISERVER,
            Capability.AUDIT_LOG,
            Capability.KUBE_SCHEDULER,
            Capability.PAUSE_SCHEDULER,
            Capability.INSTALLED_PLUGINS,
            Capability.DISPOSABLE,
        }
    )
    #: Not "default-scheduler": the scheduler's own pods ask for that, and stay without a node.
    kube_scheduler_name = "kube-scheduler"

    def __init__(self) -> None:
        self._resources = contextlib.AsyncExitStack()
        self._guests: list[Process] = []
        self._audit_offset = 0
        self._server_was_away = False
        #: how often the cluster was emptied; part of the names of its nodes
        self._resets = 0
        self._kubectl_path = Path("kubectl")

    # -- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        self.plane = await self._resources.enter_async_context(ControlPlane.start(kwok=True))
        self.api = self.plane.api
        self._kubectl_path = (await asyncio.to_thread(ensure_binaries, ["kubectl"]))["kubectl"]
        self._runner = PodRunner(self.plane, self.namespace)
        self._resources.push_async_callback(self._runner.stop)
        self._runner.start()

    async def stop(self) -> None:
        await self._resources.aclose()

    async def reset(self) -> None:
        if not self.plane.apiserver.is_running:
            await self.plane.start_apiserver(feature_gates={})
        elif self.plane.feature_gates:
            await self.plane.restart_apiserver(feature_gates={})
            self._server_was_away = True
        if self._server_was_away:
            await self.plane.restart_controllers()
            self._server_was_away = False
        for guest in self._guests:
            await self.plane.stop(guest, kill=True)
        self._guests.clear()
        await super().reset()
        await self.api.delete_collection("/api/v1/nodes")
        self._resets += 1
        self._audit_offset = self.plane.audit_path.stat().st_size

    def diagnostics(self) -> str:
        return self.plane.log_tails()

    @property
    def kubeconfig(self) -> Path:
        return self.plane.kubeconfig()

    @property
    def kubectl_path(self) -> Path:
        return self._kubectl_path

    # -- the scheduler --------------------------------------------------------------------------

    async def deploy(self, release: Release = Release()) -> None:  # noqa: B008 - frozen
        await self.apply(await self.render(release))
        try:
            await self.rollout_done()
        except KubectlError:
            self._runner.check()  # what ended it is why nothing was rolled out
            raise

        async def settled() -> bool:
            return len(self._runner.replicas) == release.replicas

        await eventually(settled, what="the processes of older replicas to end", timeout_s=60)

    async def undeploy(self) -> None:
        deployments = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        await self.api.delete_collection(deployments)

        async def all_gone() -> bool:
            pods = await self.api.list(f"/api/v1/namespaces/{self.namespace}/pods")
            return not pods and not self._runner.pods

        await eventually(all_gone, what="the scheduler's pods to be gone", timeout_s=60)
        # One that was killed has not released it, and the next deployment would wait it out.
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        await self.api.delete(f"{leases}/{LEASE}")

    async def leader(self, *, timeout_s: float = 30) -> Replica:
        """Returns the replica whose metric says that it leads.

        The Lease names the host, which here is the same for all replicas.
        """

        async def leading() -> Replica | None:
            self._runner.check()
            for pod in self._runner.replicas:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, RuntimeError):
                    if _LEADING.search(await pod.scheduler.metrics()):
                        return LocalReplica(pod)
            return None

        return await eventually(leading, what="a leader among the replicas", timeout_s=timeout_s)

    async def replicas(self) -> Sequence[Replica]:
        return [LocalReplica(pod) for pod in self._runner.replicas]

    # -- the cluster ----------------------------------------------------------------------------

    async def create_nodes(
        self,
        count: int,
        *,
        prefix: str = "node",
        allocatable: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[str]:
        template = functools.partial(load.node_manifest, allocatable=allocatable, labels=labels)
        # kwok may lose sight of a node that was gone a moment ago and of the pods on it
        named = f"{prefix}-{self._resets}"
        return await self.plane.create_nodes(count, prefix=named, template=template)

    async def start_hollow_nodes(
        self,
        count: int,
        *,
        prefix: str = "hollow",
        extended_resources: Mapping[str, str] | None = None,
    ) -> list[str]:
        names = [f"{prefix}-{index}" for index in range(count)]
        for name in names:
            self._guests.append(
                await self.plane.start_hollow_node(name, extended_resources=extended_resources)
            )
        await self.plane.nodes_ready(names)
        return names

    async def stop_apiserver(self, *, kill: bool = False) -> None:
        self._server_was_away = True
        await self.plane.stop_apiserver(kill=kill)

    async def start_apiserver(self, *, feature_gates: Mapping[str, bool] | None = None) -> None:
        await self.plane.start_apiserver(feature_gates=feature_gates)

    async def audit(self) -> AuditLog:
        return await asyncio.to_thread(self.plane.audit, offset=self._audit_offset)

    async def start_kube_scheduler(self) -> None:
        scheduler = await self.plane.start_kube_scheduler(scheduler_name=self.kube_scheduler_name)
        self._guests.append(scheduler)
