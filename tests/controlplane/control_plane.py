"""A real control plane without containers: etcd, kube-apiserver and what a test wants beside them.

    async with ControlPlane.start(kwok=True) as plane:
        await plane.create_nodes(500)
        await plane.create_pods(2000)
        await plane.start_kube_scheduler(scheduler_name="pyscheduler")
        ...
        await plane.restart_apiserver(kill=True, feature_gates={"WatchList": False})
        print(await plane.kubectl("get", "nodes"))
        assert not plane.audit().forbidden()

Every control plane has a folder, ports, keys and an audit log of its own, and takes them away at
its end. The API server enforces RBAC and PodSecurity and runs the default admission plugins. The
programs are children of the process that started them, and end with it.

Without the controller-manager nobody makes the `default` ServiceAccount or takes the taint
`node.kubernetes.io/not-ready` off new nodes: the first is made here, the admission plugin that sets
the second is then off. kwok looks after nodes made by `create_nodes`; hollow nodes are real
kubelets with a fake container runtime, which refuse what does not fit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
import yaml

from tests.controlplane import flags, identities, load
from tests.controlplane.api_client import ApiClient, ApiError, Manifest
from tests.controlplane.audit import AuditLog
from tests.controlplane.build import Binaries, ensure_binaries
from tests.controlplane.identities import ADMIN, Identities
from tests.controlplane.kubectl import run_kubectl
from tests.controlplane.ports import free_port
from tests.controlplane.process import Process, end_all

#: Set to keep the folder (logs, audit log, etcd's data) of every control plane.
KEEP_VARIABLE = "PYSCHEDULER_KEEP_CONTROL_PLANE"


class ControlPlane:
    """One running control plane; made by `ControlPlane.start`.

    Fields of state:
        processes: everything started and not yet waited for, in the order of starting.
    """

    #: Admin client, open while the control plane runs.
    api: ApiClient
    #: kube-apiserver's current process.
    apiserver: Process

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        *,
        controller_manager: bool,
        feature_gates: Mapping[str, bool],
        audit: bool,
        users: Mapping[str, Sequence[str]],
        apiserver_flags: Sequence[str],
    ) -> None:
        self.folder = folder
        self.binaries = binaries
        self.processes: list[Process] = []
        self.server = f"https://127.0.0.1:{free_port()}"
        self._etcd_port = free_port()
        self._with_controller_manager = controller_manager
        self._with_audit = audit
        #: Of kube-apiserver, as it was last started.
        self.feature_gates = dict(feature_gates)
        self._apiserver_flags = tuple(apiserver_flags)
        #: When it was started and when it was ready, unix seconds, of each of its lives.
        self._apiserver_starts: list[tuple[float, float]] = []
        certificate = folder / "apiserver" / "apiserver.crt"
        self.identities = Identities(
            folder, self.server, certificate, {**identities.STANDING_USERS, **users}
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        *,
        controller_manager: bool = True,
        kwok: bool = False,
        feature_gates: Mapping[str, bool] | None = None,
        audit: bool = True,
        users: Mapping[str, Sequence[str]] | None = None,
        apiserver_flags: Sequence[str] = (),
    ) -> AsyncIterator[ControlPlane]:
        """Yields a control plane that answers; at the end all of it is gone.

        Args:
            controller_manager: run kube-controller-manager.
            kwok: run kwok, which makes `create_nodes`' nodes live.
            feature_gates: of kube-apiserver.
            audit: write the audit log; off is a little faster.
            users: further users by name, each with its groups.
            apiserver_flags: further flags, after ours.

        Raises:
            ControlPlaneUnavailableError: no programs, and none can be built.
            ProcessEndedError: a program ended at once; the message has its last words.
        """
        programs = {"etcd", "kube-apiserver"}
        programs |= {"kube-controller-manager"} if controller_manager else set()
        programs |= {"kwok"} if kwok else set()
        binaries = await asyncio.to_thread(ensure_binaries, programs)
        folder = Path(tempfile.mkdtemp(prefix="control-plane-"))
        plane = cls(
            folder,
            binaries,
            controller_manager=controller_manager,
            feature_gates=feature_gates or {},
            audit=audit,
            users=users or {},
            apiserver_flags=apiserver_flags,
        )
        try:
            await plane._start_servers()
            async with ApiClient.connect(plane.kubeconfig()) as plane.api:
                plane._start_controllers(kwok=kwok)
                await plane._default_service_account("default")
                yield plane
        except Exception as error:
            error.add_note(plane.log_tails())
            raise
        finally:
            await end_all(plane.processes)
            if not os.environ.get(KEEP_VARIABLE):
                shutil.rmtree(folder, ignore_errors=True)

    # -- who talks to it ------------------------------------------------------------------------

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Returns the kubeconfig of a user that was named at the start; the admin's by default."""
        return self.identities.kubeconfig(user)

    async def service_account_token(
        self, namespace: str, name: str, *, pod: Manifest | None = None, lifetime_s: int = 86400
    ) -> str:
        """Returns a token of the account, bound to the pod if one is given (TokenRequest)."""
        spec: Manifest = {"expirationSeconds": lifetime_s}
        if pod is not None:
            spec["boundObjectRef"] = {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        answer = await self.api.create(
            path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        )
        return str(answer["status"]["token"])

    async def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Returns a kubeconfig with which a client is that service account."""
        token = await self.service_account_token(namespace, name)
        return self.identities.kubeconfig_with_token(f"{namespace}-{name}", token)

    async def kubectl(self, *args: str, standard_input: str | None = None) -> str:
        """Returns what kubectl printed, run as admin; raises `KubectlError` when it fails."""
        binary = await self._program("kubectl")
        return await run_kubectl(binary, self.kubeconfig(), args, standard_input=standard_input)

    # -- the API server's life ------------------------------------------------------------------

    async def stop_apiserver(self, *, kill: bool = False) -> None:
        """kube-apiserver is gone: by SIGTERM, which ends its streams cleanly, or by SIGKILL."""
        if kill:
            await self.apiserver.kill()
        else:
            await self.apiserver.terminate(grace_s=75)
        self.processes.remove(self.apiserver)

    async def start_apiserver(
        self,
        *,
        feature_gates: Mapping[str, bool] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """kube-apiserver is ready, at the same address.

        Args:
            feature_gates: None means as before.
            variables: of its environment, beside ours.
        """
        if feature_gates is not None:
            self.feature_gates = dict(feature_gates)
        started = time.time()
        self.apiserver = self._start(
            "kube-apiserver",
            self.binaries["kube-apiserver"],
            *self._flags_of_apiserver(),
            variables=variables,
        )
        await self.apiserver.until(self._is_ready, what="ready")
        self._apiserver_starts.append((started, time.time()))

    async def restart_apiserver(
        self, *, kill: bool = False, feature_gates: Mapping[str, bool] | None = None
    ) -> None:
        """kube-apiserver has been replaced by a new process, whose watch window is empty."""
        await self.stop_apiserver(kill=kill)
        await self.start_apiserver(feature_gates=feature_gates)

    # -- load -----------------------------------------------------------------------------------

    async def restart_controllers(self) -> None:
        """kube-controller-manager and kwok run anew.

        A client-go watch that could not be renewed sleeps up to 30 s before it tries again, so
        whoever was without a server for a while may go on not to see it long after it is back.
        """
        names = {"kube-controller-manager", "kwok"}
        running = [process for process in self.processes if process.name in names]
        for process in running:
            await self.stop(process, kill=True)
        self._start_controllers(kwok=any(process.name == "kwok" for process in running))

    async def create_nodes(
        self,
        count: int,
        *,
        prefix: str = "node",
        template: Callable[[str], Manifest] = load.node_manifest,
    ) -> list[str]:
        """The nodes are Ready and without the taint of new ones; returns their names."""
        names = await load.create_nodes(self.api, count, prefix=prefix, template=template)
        await self.nodes_ready(names)
        return names

    async def nodes_ready(self, names: Sequence[str], *, timeout_s: float = 120) -> None:
        """The nodes have the condition Ready and no `not-ready` taint.

        Raises:
            ProcessEndedError: a program ended meanwhile, maybe a node's kubelet.
            TimeoutError: they were not all ready in time.
        """

        async def all_ready() -> bool:
            for process in self.processes:
                process.check()
            nodes = await self.api.list("/api/v1/nodes")
            return set(names) <= {node["metadata"]["name"] for node in nodes if _is_live(node)}

        await self.apiserver.until(
            all_ready, what=f"with {len(names)} nodes ready", timeout_s=timeout_s
        )

    async def create_pods(
        self,
        count: int,
        *,
        namespace: str = "default",
        prefix: str = "pod",
        template: Callable[[str], Manifest] = load.pod_manifest,
    ) -> list[Manifest]:
        """The pods exist; returns them as the server answered them."""
        return await load.create_pods(
            self.api, count, namespace=namespace, prefix=prefix, template=template
        )

    async def create_namespace(self, name: str, *, labels: Mapping[str, str] | None = None) -> None:
        """The namespace and its `default` ServiceAccount exist, so pods are admitted."""
        await self.api.create(
            "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels or {})}}
        )
        await self._default_service_account(name)

    async def wait_bound(
        self, count: int, *, namespace: str = "default", timeout_s: float = 120
    ) -> list[Manifest]:
        """Returns the namespace's pods once that many of them have a node."""
        pods: list[Manifest] = []

        async def enough() -> bool:
            nonlocal pods
            pods = await self.api.list(f"/api/v1/namespaces/{namespace}/pods")
            return sum(bool(pod["spec"].get("nodeName")) for pod in pods) >= count

        await self.apiserver.until(enough, what=f"with {count} pods bound", timeout_s=timeout_s)
        return pods

    # -- further programs -----------------------------------------------------------------------

    async def start_kube_scheduler(
        self,
        *,
        scheduler_name: str = "default-scheduler",
        qps: float = 5000,
        verbosity: int = 2,
        profile: Mapping[str, object] | None = None,
        extenders: Sequence[Mapping[str, object]] = (),
        user: str = identities.KUBE_SCHEDULER,
        arguments: Sequence[str] = (),
    ) -> Process:
        """Returns a real kube-scheduler, for pods that ask for `scheduler_name`.

        Args:
            qps: client-side limit, as `qps` and `burst`; upstream's 50 would be the bottleneck.
            profile: further fields of its one profile.
            extenders: as its configuration file has them.
            arguments: further ones of its command line.
        """
        configuration = flags.kube_scheduler_configuration(
            scheduler_name=scheduler_name,
            kubeconfig=self.kubeconfig(user),
            qps=qps,
            profile=profile or {},
            extenders=extenders,
        )
        config_path = self.folder / f"kube-scheduler-{scheduler_name}.yaml"
        config_path.write_text(yaml.safe_dump(configuration))
        binary = await self._program("kube-scheduler")
        return self._start(
            "kube-scheduler",
            binary,
            f"--config={config_path}",
            "--secure-port=0",
            f"-v={verbosity}",
            *arguments,
        )

    async def start_hollow_node(
        self,
        name: str,
        *,
        extended_resources: Mapping[str, str] | None = None,
        max_pods: int = 110,
    ) -> Process:
        """Returns a hollow kubelet whose node (1 CPU, 3840Mi) is on its way; see `nodes_ready`."""
        binary = await self._program("kubemark")
        folder = self.folder / f"hollow-{name}"
        folder.mkdir(exist_ok=True)
        return self._start(
            f"hollow-{name}",
            binary,
            *flags.hollow_kubelet(
                name,
                kubeconfig=self.kubeconfig(identities.NODE_FAKER),
                folder=folder,
                extended_resources=extended_resources or {},
                max_pods=max_pods,
            ),
        )

    async def stop(self, process: Process, *, kill: bool = False) -> None:
        """A program started by one of the methods above is gone."""
        if kill:
            await process.kill()
        else:
            await process.terminate()
        if process in self.processes:
            self.processes.remove(process)

    # -- what happened --------------------------------------------------------------------------

    @property
    def _audit_policy(self) -> Path:
        return self.folder / "audit-policy.yaml"

    @property
    def audit_path(self) -> Path:
        return self.folder / "audit.log"

    def audit(self, *, offset: int = 0) -> AuditLog:
        """Returns the audit log from a byte offset on."""
        return AuditLog.read(self.audit_path, offset=offset, starts=self._apiserver_starts)

    def log_tails(self, *, lines: int = 15) -> str:
        """Returns the end of every program's log, also of those that have ended."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted(self.folder.glob("*.log"))
            if path != self.audit_path
        )

    # -- starting -------------------------------------------------------------------------------

    def _start(
        self, name: str, binary: Path, *flags: str, variables: Mapping[str, str] | None = None
    ) -> Process:
        process = Process.start(
            name,
            [binary, *flags],
            log_path=self.folder / f"{name}.log",
            environment={**os.environ, **(variables or {})},
            folder=self.folder,
        )
        self.processes.append(process)
        return process

    async def _program(self, name: str) -> Path:
        return (await asyncio.to_thread(ensure_binaries, [name]))[name]

    async def _start_servers(self) -> None:
        self.identities.write()
        self._audit_policy.write_text(yaml.safe_dump(dict(flags.AUDIT_POLICY)))
        etcd = self._start(
            "etcd", self.binaries["etcd"], *flags.etcd(self.folder / "etcd", port=self._etcd_port)
        )
        try:
            await self.start_apiserver()
        except Exception:
            # An etcd that is gone is why the server did not come up: say that instead.
            etcd.check()
            raise

    def _flags_of_apiserver(self) -> list[str]:
        return flags.kube_apiserver(
            self.identities,
            etcd_port=self._etcd_port,
            port=self.server.rpartition(":")[2],
            controller_manager=self._with_controller_manager,
            audit_log=self.audit_path if self._with_audit else None,
            audit_policy=self._audit_policy,
            feature_gates=self.feature_gates,
            further=self._apiserver_flags,
        )

    async def _is_ready(self) -> bool:
        headers = {"Authorization": f"Bearer {self.identities.tokens[ADMIN]}"}
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
                # Its certificate is not made yet when it is first asked.
                session.get(f"{self.server}/readyz", ssl=False) as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _start_controllers(self, *, kwok: bool) -> None:
        if self._with_controller_manager:
            self._start(
                "kube-controller-manager",
                self.binaries["kube-controller-manager"],
                *flags.kube_controller_manager(
                    self.identities, kubeconfig=self.kubeconfig(identities.KUBE_CONTROLLER_MANAGER)
                ),
            )
        if kwok:
            self._start(
                "kwok",
                self.binaries["kwok"],
                *flags.kwok(
                    kubeconfig=self.kubeconfig(identities.NODE_FAKER),
                    stages=self.binaries.kwok_stages,
                ),
            )

    async def _default_service_account(self, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if not self._with_controller_manager:
            await self.api.create(path, {"metadata": {"name": "default"}})
            return

        async def exists() -> bool:
            for process in self.processes:
                process.check()
            try:
                await self.api.get(f"{path}/default")
            except ApiError as error:
                if error.status == 404:
                    return False
                raise
            return True

        await self.apiserver.until(exists, what=f"with a default account in {namespace}")


def _is_live(node: Manifest) -> bool:
    """Claims that a node is Ready and does not carry the taint of those that are not."""
    taints = node["spec"].get("taints") or []
    return not any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints) and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node["status"].get("conditions") or []
    )
