"""Runs the pods of a Deployment as processes on this machine, as a kubelet would run containers.

The Deployment is real: the controller-manager makes its pods, which have passed admission of
ServiceAccounts, priorities and PodSecurity. What a pod says is what its process gets: command and
arguments, environment, ConfigMaps and emptyDirs at their mount paths, and the projected token
(TokenRequest, bound to the pod). Mount paths are mapped into a folder of the pod, in the command
too. The process is started again when it ends, the pod is Ready when its readiness probe is, and a
deleted pod's process gets SIGTERM and its grace period.

Left out, since nothing is contained: images, security contexts, resource limits, liveness probes.
Pods are not bound to a node: a node for them would show up in what the scheduler says about nodes.

Two things differ from a container: an environment variable says where the token is, and arguments
that say where to serve HTTP are changed, the scheduler's added: all pods share one machine's ports.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from tests.controlplane.api_client import ApiError, Manifest
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.ports import free_port
from tests.controlplane.scheduler_process import (
    PROGRAM,
    SERVICE_ACCOUNT_VARIABLE,
    SchedulerProcess,
    serving_arguments,
)

#: Where a pod expects its service account's token.
_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"

#: Pause before an ended process is started again; a kubelet's grows from none to 5 minutes.
RESTART_DELAY_S = 1.0

#: Pause between two looks at the namespace's pods.
_POLL_S = 0.25


class LocalPod:
    """One pod and the process that stands for it. Only its `PodRunner` changes it."""

    def __init__(self, plane: ControlPlane, manifest: Manifest) -> None:
        self.name: str = manifest["metadata"]["name"]
        self.restarts = 0
        self._plane = plane
        self._manifest = manifest
        self._folder = plane.folder / "pods" / self.name
        self._address = f"127.0.0.1:{free_port()}"
        self._is_ready = False
        #: Of its last life that ended; as a shell says it, 128 more than a signal's number.
        self._last_exit_code: int | None = None
        #: Its process; set by `start`.
        self.scheduler: SchedulerProcess

    @property
    def is_scheduler(self) -> bool:
        """Whether it is a replica of the scheduler, not something deployed beside it."""
        labels = self._manifest["metadata"].get("labels", {})
        return bool(labels.get("app.kubernetes.io/component") == "scheduler")

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._manifest['metadata']['namespace']}/pods/{self.name}"

    @property
    def grace_period_s(self) -> float:
        return float(self._manifest["spec"].get("terminationGracePeriodSeconds", 30))

    async def start(self) -> None:
        """Its process runs, with what the pod mounts in place."""
        self._folder.mkdir(parents=True, exist_ok=True)
        spec = self._manifest["spec"]
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        mapped: dict[str, str] = {}
        for mount in container.get("volumeMounts", []):
            target = self._folder / "root" / mount["mountPath"].lstrip("/")
            await self._mount(volumes[mount["name"]], target)
            mapped[mount["mountPath"]] = str(target)
        command: list[str] = container.get("command") or ["pyscheduler"]
        arguments = command[1:] + container.get("args", [])
        words = list(PROGRAM) if command[0] == "pyscheduler" else command[:1]
        words += [_map_paths(argument, mapped) for argument in arguments]
        if self.is_scheduler:
            words += serving_arguments(self._address)
        for port in container.get("ports", []):
            words = [w.replace(f"0.0.0.0:{port['containerPort']}", self._address) for w in words]
        host, _, server_port = self._plane.server.removeprefix("https://").rpartition(":")
        environment = {
            "HOSTNAME": self.name,
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": server_port,
            SERVICE_ACCOUNT_VARIABLE: mapped.get(_TOKEN_FOLDER, str(self._folder / "none")),
        }
        for variable in container.get("env", []):
            environment[variable["name"]] = _map_paths(self._value_of(variable), mapped)
        self.scheduler = SchedulerProcess.run(
            words,
            name=self.name,
            log_path=self._plane.folder / f"{self.name}.log",
            http_address=self._address,
            environment=environment,
            folder=self._folder,
        )

    async def look_after(self) -> None:
        """The pod's status says what its process does; runs until cancelled."""
        while True:
            code = self.scheduler.process.exit_code
            if code is not None:
                self._last_exit_code = code if code >= 0 else 128 - code
                await self._report(is_ready=False)
                await asyncio.sleep(RESTART_DELAY_S)
                self.restarts += 1
                self.scheduler = self.scheduler.start_again()
            is_ready = await self._probe()
            if is_ready != self._is_ready:
                await self._report(is_ready=is_ready)
            await asyncio.sleep(_POLL_S)

    async def stop(self, *, grace_s: float) -> None:
        """Its process is gone."""
        await self.scheduler.terminate(grace_s=grace_s)

    async def _probe(self) -> bool:
        """Claims that the container's readiness probe succeeds; without one, that it runs."""
        if not self.scheduler.is_running:
            return False
        (container,) = self._manifest["spec"]["containers"]
        probe = container.get("readinessProbe", {}).get("httpGet")
        return probe is None or await self.scheduler.status_of(probe["path"]) == 200

    async def _report(self, *, is_ready: bool) -> None:
        """The pod's status has been written, unless the pod or the server is away just now."""
        (container,) = self._manifest["spec"]["containers"]
        word = "True" if is_ready else "False"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        last_state = (
            {}
            if self._last_exit_code is None
            else {"terminated": {"exitCode": self._last_exit_code, "finishedAt": now}}
        )
        status = {
            "phase": "Running",
            "conditions": [
                {"type": kind, "status": word, "lastTransitionTime": now}
                for kind in ("Ready", "ContainersReady")
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": is_ready,
                    "restartCount": self.restarts,
                    "state": {"running": {"startedAt": now}},
                    "lastState": last_state,
                }
            ],
        }
        with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
            await self._plane.api.patch(f"{self._path}/status", {"status": status})
            self._is_ready = is_ready

    async def _mount(self, volume: Manifest, target: Path) -> None:
        """The volume's files are in the target folder."""
        target.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            await self._write_config_map(volume["configMap"], target)
        elif "projected" in volume:
            for source in volume["projected"]["sources"]:
                await self._project(source, target)
        elif "emptyDir" not in volume:
            raise NotImplementedError(f"pod {self.name}: cannot mount volume {volume['name']}")

    async def _write_config_map(self, source: Manifest, target: Path) -> None:
        namespace = self._manifest["metadata"]["namespace"]
        config_map = await self._plane.api.get(
            f"/api/v1/namespaces/{namespace}/configmaps/{source['name']}"
        )
        keys = {item["key"]: item["path"] for item in source.get("items", [])}
        for key, text in config_map.get("data", {}).items():
            if not keys or key in keys:
                (target / keys.get(key, key)).write_text(text)

    async def _project(self, source: Manifest, target: Path) -> None:
        if request := source.get("serviceAccountToken"):
            token = await self._plane.service_account_token(
                self._manifest["metadata"]["namespace"],
                self._manifest["spec"]["serviceAccountName"],
                pod=self._manifest,
                lifetime_s=request["expirationSeconds"],
            )
            (target / request["path"]).write_text(token)
        elif config_map := source.get("configMap"):
            await self._write_config_map(config_map, target)
        elif downward := source.get("downwardAPI"):
            for item in downward["items"]:
                (target / item["path"]).write_text(self._field(item["fieldRef"]["fieldPath"]))
        else:
            raise NotImplementedError(f"pod {self.name}: cannot project {sorted(source)}")

    def _value_of(self, variable: Manifest) -> str:
        if "value" in variable or "valueFrom" not in variable:
            return str(variable.get("value", ""))
        return self._field(variable["valueFrom"]["fieldRef"]["fieldPath"])

    def _field(self, path: str) -> str:
        if path == "status.podIP":
            return self._address.partition(":")[0]
        section, _, name = path.partition(".")
        return str(self._manifest[section][name])


class PodRunner:
    """Runs every pod of one namespace, from `start` to `stop`."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._pods: dict[str, LocalPod] = {}
        self._carers: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="local pods")

    async def stop(self) -> None:
        """Every process is gone; may be called twice.

        Raises:
            Exception: what ended the runner, if it did not end by itself.
        """
        loop, self._loop = self._loop, None
        try:
            if loop is not None:
                await _cancelled(loop)
        finally:
            for uid in list(self._pods):
                await self._stop_pod(uid, grace_s=0)

    def check(self) -> None:
        """Raises what ended the runner, or the care for one of its pods, before its time."""
        for task in (self._loop, *self._carers.values()):
            if task is not None and task.done():
                task.result()

    @property
    def pods(self) -> list[LocalPod]:
        """The pods that have a process now."""
        return list(self._pods.values())

    @property
    def replicas(self) -> list[LocalPod]:
        """Those of them that are replicas of the scheduler."""
        return [pod for pod in self._pods.values() if pod.is_scheduler]

    async def _run(self) -> None:
        while True:
            # The server may be away for a while: that is what some tests are about.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ApiError):
                await self._reconcile()
            await asyncio.sleep(_POLL_S)

    async def _reconcile(self) -> None:
        wanted = {pod["metadata"]["uid"]: pod for pod in await self._plane.api.list(self._path)}
        gone = [uid for uid in self._pods if uid not in wanted]
        await asyncio.gather(*(self._stop_pod(uid) for uid in gone))
        for uid, manifest in wanted.items():
            if uid not in self._pods:
                pod = LocalPod(self._plane, manifest)
                try:
                    await pod.start()
                except ApiError:
                    continue  # what it mounts is not there yet: the next round tries again
                self._pods[uid] = pod
                self._carers[uid] = asyncio.create_task(pod.look_after(), name=pod.name)

    async def _stop_pod(self, uid: str, *, grace_s: float | None = None) -> None:
        """Its process is gone, and only then the pod; if cancelled, it can be done again."""
        pod = self._pods[uid]
        if (carer := self._carers.pop(uid, None)) is not None:
            await _cancelled(carer)
        await pod.stop(grace_s=pod.grace_period_s if grace_s is None else grace_s)
        del self._pods[uid]


async def _cancelled(task: asyncio.Task[None]) -> None:
    """The task has ended; raises what it failed with."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _map_paths(word: str, mapped: Mapping[str, str]) -> str:
    """Returns an argument with mount paths in it replaced by where they are on this machine."""
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    for mount_path in sorted(mapped, key=len, reverse=True):
        if value == mount_path or value.startswith(f"{mount_path}/"):
            value = mapped[mount_path] + value.removeprefix(mount_path)
            break
    return f"{option}{equals}{value}"
