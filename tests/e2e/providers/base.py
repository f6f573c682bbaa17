"""What an end-to-end test may ask of a cluster, whichever cluster it is.

A *provider* brings a cluster (`local`, `kind`, `existing`) and deploys this scheduler on it from
`manifests/`. Providers differ in what they can do, so each states its capabilities and each test
states its needs; a test whose needs are not met is skipped with the reason:

    @pytest.mark.needs("fake_nodes")
    async def test_binds_everything(provider: Provider) -> None:
        await provider.create_nodes(500)
        await provider.deploy(Release(replicas=2))
        leader = await provider.leader()
        await leader.kill()

A method that belongs to a capability says so; without it, it raises `NotSupportedError`. Everything
here that needs nothing but kubectl and the API is written once, for all providers.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import yaml

from tests.controlplane.api_client import ApiClient, ApiError, Manifest
from tests.controlplane.audit import AuditLog
from tests.controlplane.kubectl import KubectlError, run_kubectl
from tests.controlplane.scheduler_process import json_records
from tests.controlplane.waiting import eventually

__all__ = [
    "CONFIG_KEY",
    "DEPLOYMENT",
    "LEASE",
    "MANIFESTS",
    "NAMESPACE",
    "REPOSITORY",
    "SCHEDULER_NAME",
    "ApiClient",
    "ApiError",
    "AuditLog",
    "Capability",
    "KubectlError",
    "Manifest",
    "NotSupportedError",
    "Provider",
    "Release",
    "Replica",
    "eventually",
    "running",
]

REPOSITORY = Path(__file__).resolve().parents[3]
MANIFESTS = REPOSITORY / "manifests"

#: Names that `manifests/` gives to what the suite looks for.
NAMESPACE = "pyscheduler"
DEPLOYMENT = "pyscheduler"
LEASE = "pyscheduler"
CONFIG_KEY = "config.yaml"
SCHEDULER_NAME = "pyscheduler"


class Capability(StrEnum):
    """What a provider can do; the values are what `@pytest.mark.needs(...)` takes."""

    #: `create_nodes` makes any number of Ready nodes, on which pods become Running at once.
    FAKE_NODES = "fake_nodes"
    #: Nodes run a real kubelet, which refuses what does not fit.
    REAL_KUBELETS = "real_kubelets"
    #: `start_hollow_nodes` adds nodes with a real kubelet and a fake container runtime.
    HOLLOW_NODES = "hollow_nodes"
    #: Containers really run from images; pods have a network, Services answer.
    REAL_CONTAINERS = "real_containers"
    #: `pause_node` and `resume_node`.
    PAUSE_NODES = "pause_nodes"
    #: Nodes may be cordoned, drained and labelled.
    DRAIN_NODES = "drain_nodes"
    #: `stop_apiserver` and `start_apiserver`, also with other feature gates.
    RESTART_APISERVER = "restart_apiserver"
    #: `audit` reads kube-apiserver's audit log.
    AUDIT_LOG = "audit_log"
    #: `start_kube_scheduler` runs a real kube-scheduler beside this one.
    KUBE_SCHEDULER = "kube_scheduler"
    #: `Replica.pause` and `Replica.resume` (SIGSTOP, SIGCONT).
    PAUSE_SCHEDULER = "pause_scheduler"
    #: Replicas run in the tests' own Python environment, so they find the plugins installed there,
    #: and those on PYTHONPATH when they are started.
    INSTALLED_PLUGINS = "installed_plugins"
    #: The cluster is ours alone: cluster-scoped objects may be made, changed and counted.
    DISPOSABLE = "disposable"


class NotSupportedError(Exception):
    """A test called what its provider cannot do, and did not declare the need."""


@dataclass(frozen=True, slots=True)
class Release:
    """One way to deploy the scheduler.

    Attributes:
        replicas: of the Deployment.
        overlay: the kustomize folder; `manifests/` itself by default.
        configuration: text of the scheduler's configuration file in place of the ConfigMap's.
        image: in place of the Deployment's; None is the provider's default.
    """

    replicas: int = 1
    overlay: Path = MANIFESTS
    configuration: str | None = None
    image: str | None = None


class Replica(ABC):
    """One running process of the scheduler under test."""

    #: Name of its pod.
    name: str

    @abstractmethod
    async def metrics(self) -> str:
        """Returns the text of its /metrics."""

    @abstractmethod
    async def log(self) -> str:
        """Returns what it logged, of all its lives; JSON lines as the manifests ask for."""

    @abstractmethod
    async def kill(self) -> None:
        """Its process is gone by SIGKILL, its Lease not released; it is started again later."""

    async def pause(self) -> None:
        """The process is stopped by SIGSTOP. Needs `pause_scheduler`."""
        raise NotSupportedError("pause_scheduler")

    async def resume(self) -> None:
        """The process continues after `pause`. Needs `pause_scheduler`."""
        raise NotSupportedError("pause_scheduler")

    async def log_records(self) -> list[dict[str, object]]:
        """Returns the JSON lines of the log, parsed; other lines are left out."""
        return json_records(await self.log())


class Provider(ABC):
    """A cluster, and this scheduler deployed on it.

    Life: `start`, any number of `deploy` ... `undeploy` with `reset` between tests, `stop`.
    """

    name: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    #: Namespace of the scheduler itself.
    namespace: str = NAMESPACE
    #: Namespace in which tests make their pods; it exists, and `reset` empties it.
    test_namespace: str = "default"
    #: Image of test pods, one that the nodes have.
    workload_image: str = "pyscheduler:e2e"
    #: `schedulerName` of the kube-scheduler that `start_kube_scheduler` runs.
    kube_scheduler_name: str = "default-scheduler"
    #: Admin client; open from `start` to `stop`.
    api: ApiClient

    # -- life -----------------------------------------------------------------------------------

    @abstractmethod
    async def start(self) -> None:
        """The cluster answers, `api` is open."""

    @abstractmethod
    async def stop(self) -> None:
        """Everything that `start` made is gone; may be called twice and after a failed start."""

    async def reset(self) -> None:
        """What a test made is gone: its pods, its nodes, the scheduler."""
        await self.undeploy()
        await self.delete_workloads()

    def diagnostics(self) -> str:
        """Returns what helps to understand a failure, e.g. the ends of logs; may be empty."""
        return ""

    @property
    @abstractmethod
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""

    @property
    def kubectl_path(self) -> Path:
        return Path("kubectl")

    # -- the scheduler --------------------------------------------------------------------------

    @abstractmethod
    async def deploy(self, release: Release = Release()) -> None:
        """The release is applied and rolled out: every replica is ready."""

    @abstractmethod
    async def undeploy(self) -> None:
        """The Deployment and its pods are gone; nothing if there are none."""

    @abstractmethod
    async def replicas(self) -> Sequence[Replica]:
        """Returns the replicas that run now."""

    async def leader(self, *, timeout_s: float = 30) -> Replica:
        """Returns the replica that holds the Lease, once one does."""

        async def holder() -> Replica | None:
            identity = await self.leader_identity()
            for replica in await self.replicas():
                if identity and identity.startswith(replica.name):
                    return replica
            return None

        return await eventually(holder, what="a leader among the replicas", timeout_s=timeout_s)

    async def leader_identity(self) -> str:
        """Returns the Lease's holder, "" when nobody holds it."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{LEASE}"
        try:
            lease = await self.api.get(path)
        except ApiError as error:
            if error.status == 404:
                return ""
            raise
        return str(lease["spec"].get("holderIdentity") or "")

    async def metrics_text(self) -> str:
        """Returns the leader's /metrics."""
        return await (await self.leader()).metrics()

    async def render(self, release: Release) -> list[Manifest]:
        """Returns the objects of a release, as `kubectl kustomize` makes them of the overlay."""
        rendered = await self.kubectl("kustomize", str(release.overlay))
        objects = [document for document in yaml.safe_load_all(rendered) if document]
        for manifest in objects:
            if manifest["kind"] == "Deployment" and manifest["metadata"]["name"] == DEPLOYMENT:
                _adapt_deployment(manifest, release)
            if release.configuration is not None and CONFIG_KEY in manifest.get("data", {}):
                manifest["data"][CONFIG_KEY] = release.configuration
        return objects

    async def apply(self, objects: Sequence[Manifest]) -> None:
        """The objects are as given (server-side apply)."""
        text = "\n---\n".join(json.dumps(manifest) for manifest in objects)
        await self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", standard_input=text
        )

    async def rollout_done(self, name: str = DEPLOYMENT, *, timeout_s: float = 120) -> None:
        """Every replica of a Deployment's newest revision is ready and no older one is left."""
        await self.kubectl(
            *("-n", self.namespace, "rollout", "status", f"deployment/{name}"),
            f"--timeout={timeout_s:.0f}s",
            timeout_s=timeout_s + 10,
        )

    # -- the cluster ----------------------------------------------------------------------------

    async def kubectl(
        self, *args: str, standard_input: str | None = None, timeout_s: float = 120
    ) -> str:
        """Returns kubectl's standard output, run as admin.

        Raises:
            KubectlError: it ended with another status than 0.
        """
        return await run_kubectl(
            self.kubectl_path,
            self.kubeconfig,
            args,
            standard_input=standard_input,
            timeout_s=timeout_s,
        )

    async def workers(self) -> list[Manifest]:
        """Returns the nodes on which an ordinary pod may run."""
        return [
            node
            for node in await self.api.list("/api/v1/nodes")
            if not node["spec"].get("unschedulable")
            and not any(
                taint["effect"] in ("NoSchedule", "NoExecute")
                for taint in node["spec"].get("taints", [])
            )
        ]

    async def pods(self, *, label_selector: str = "") -> list[Manifest]:
        """Returns the pods in the tests' namespace."""
        path = f"/api/v1/namespaces/{self.test_namespace}/pods"
        return await self.api.list(path, label_selector=label_selector)

    async def delete_workloads(self) -> None:
        """No Deployment, ReplicaSet, StatefulSet, Job or pod is left in the tests' namespace."""
        namespace = self.test_namespace
        pods = f"/api/v1/namespaces/{namespace}/pods"
        for path in (
            f"/apis/apps/v1/namespaces/{namespace}/deployments",
            f"/apis/apps/v1/namespaces/{namespace}/statefulsets",
            f"/apis/apps/v1/namespaces/{namespace}/replicasets",
            f"/apis/batch/v1/namespaces/{namespace}/jobs",
        ):
            await self.api.delete_collection(path)

        async def no_pods() -> bool:
            # Again and again: a controller may make one more before it hears that it is over.
            await self.api.delete_collection(pods, grace_period_s=0)
            return await self.api.is_empty(pods)

        await eventually(no_pods, what="the tests' pods to be gone", timeout_s=60)

    async def create_nodes(
        self,
        count: int,
        *,
        prefix: str = "node",
        allocatable: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[str]:
        """That many fake nodes are Ready; returns their names. Needs `fake_nodes`."""
        raise NotSupportedError("fake_nodes")

    async def start_hollow_nodes(
        self,
        count: int,
        *,
        prefix: str = "hollow",
        extended_resources: Mapping[str, str] | None = None,
    ) -> list[str]:
        """That many hollow kubelets have Ready nodes; returns names. Needs `hollow_nodes`."""
        raise NotSupportedError("hollow_nodes")

    async def pause_node(self, name: str) -> None:
        """The node's machine stands still and the node becomes NotReady. Needs `pause_nodes`."""
        raise NotSupportedError("pause_nodes")

    async def resume_node(self, name: str) -> None:
        """The node is Ready again after `pause_node`. Needs `pause_nodes`."""
        raise NotSupportedError("pause_nodes")

    async def stop_apiserver(self, *, kill: bool = False) -> None:
        """kube-apiserver is gone, by SIGTERM or SIGKILL. Needs `restart_apiserver`."""
        raise NotSupportedError("restart_apiserver")

    async def start_apiserver(self, *, feature_gates: Mapping[str, bool] | None = None) -> None:
        """kube-apiserver is ready; gates None means as before. Needs `restart_apiserver`."""
        raise NotSupportedError("restart_apiserver")

    async def audit(self) -> AuditLog:
        """Returns what kube-apiserver saw since the last `reset`. Needs `audit_log`."""
        raise NotSupportedError("audit_log")

    async def start_kube_scheduler(self) -> None:
        """kube-scheduler runs until `reset`, for pods that ask for `kube_scheduler_name`.

        Needs `kube_scheduler`.
        """
        raise NotSupportedError("kube_scheduler")


@contextlib.asynccontextmanager
async def running(provider: Provider) -> AsyncIterator[Provider]:
    """Yields the started provider and stops it, whatever happened."""
    try:
        await provider.start()
        yield provider
    finally:
        await provider.stop()


def _adapt_deployment(manifest: Manifest, release: Release) -> None:
    """Sets what the release asks for; a new configuration makes a new revision."""
    manifest["spec"]["replicas"] = release.replicas
    template = manifest["spec"]["template"]
    if release.image is not None:
        for container in template["spec"]["containers"]:
            container["image"] = release.image
    if release.configuration is not None:
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations["pyscheduler.test/configuration"] = release.configuration
