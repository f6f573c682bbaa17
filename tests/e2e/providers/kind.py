"""A kind cluster of our own: made from `kind-config.yaml`, given our image, deleted at the end.

All it knows is `docker`, `kind` and `kubectl` on the PATH and four variables:

    KIND_NODE_IMAGE   the node image; unset, kind's own default
    PYTHON_IMAGE      the base of our image; unset, the Dockerfile's default
    KIND_CLUSTER      the cluster's name (default `pyscheduler-e2e`); one of that name is replaced
    KIND_KEEP         when set, the cluster is left standing for a look around, and used again by
                      the next run that has it set, too
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from tests.controlplane.api_client import ApiClient, ApiError, Manifest
from tests.e2e.providers.base import (
    MANIFESTS,
    REPOSITORY,
    Capability,
    KubectlError,
    Release,
    Replica,
    eventually,
)
from tests.e2e.providers.in_pods import InPodsProvider, PodReplica

IMAGE = "pyscheduler:dev"
#: An example plugin on top, by its folder, as the overlay of that name asks for it.
PLUGIN_IMAGES = {name: f"pyscheduler-{name}:dev" for name in ("nodeheat", "coscheduling")}

#: Where the commands' output goes, one file each.
LOGS = REPOSITORY / ".e2e" / "kind"

#: Signals one replica's process, found on its node by the host name that its pod gave it.
#: Run by sh as: signal name, pod name.
SIGNAL_SCRIPT = """
for process in $(grep -lzx "HOSTNAME=$2" /proc/[0-9]*/environ 2> /dev/null | cut -d/ -f3); do
  if tr '\\0' ' ' < "/proc/$process/cmdline" | grep -q 'pyscheduler run'; then
    kill "-$1" "$process" && echo "$process"
  fi
done
"""


class CommandError(Exception):
    """A command of kind or docker failed; the message ends with what it printed last."""


class KindReplica(PodReplica):
    """A scheduler in a pod on a node that is a container here: its process can be reached."""

    async def kill(self) -> None:
        await self._signal("KILL")

    async def pause(self) -> None:
        await self._signal("STOP")

    async def resume(self) -> None:
        await self._signal("CONT")

    async def _signal(self, signal: Literal["KILL", "STOP", "CONT"]) -> None:
        script = ("sh", "-c", SIGNAL_SCRIPT, "sh", signal, self.name)
        if not (await run("docker", "exec", self.node_name, *script)).strip():
            raise CommandError(f"found no process of {self.name} on {self.node_name}")


class KindProvider(InPodsProvider):
    """Makes the cluster, builds and loads the image, applies the manifests."""

    name: ClassVar[str] = "kind"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.REAL_KUBELETS,
            Capability.REAL_CONTAINERS,
            Capability.PAUSE_NODES,
            Capability.DRAIN_NODES,
            Capability.KUBE_SCHEDULER,
            Capability.PAUSE_SCHEDULER,
            Capability.DISPOSABLE,
        }
    )
    workload_image = IMAGE

    def __init__(self) -> None:
        self._cluster = os.environ.get("KIND_CLUSTER", "pyscheduler-e2e")
        self._kubeconfig = LOGS / "kubeconfig"
        self._open = contextlib.AsyncExitStack()

    @property
    def kubeconfig(self) -> Path:
        return self._kubeconfig

    async def start(self) -> None:
        if missing := [each for each in ("docker", "kind", "kubectl") if not shutil.which(each)]:
            raise CommandError(f"the kind suite needs {', '.join(missing)} on the PATH")
        LOGS.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._create_cluster())
            group.create_task(self._build_images())
        images = (IMAGE, *PLUGIN_IMAGES.values())
        await run("kind", "load", "docker-image", *images, "--name", self._cluster, log="load")
        self.api = await self._open.enter_async_context(ApiClient.connect(self.kubeconfig))
        await self._default_service_account()

    async def stop(self) -> None:
        await self._open.aclose()
        if not os.environ.get("KIND_KEEP"):
            await self._delete_cluster()

    async def reset(self) -> None:
        nodes = [node["metadata"]["name"] for node in await self.api.list("/api/v1/nodes")]
        for name in nodes:
            with contextlib.suppress(CommandError):  # it is not paused
                await run("docker", "unpause", name)
        await self.kubectl("uncordon", *nodes)
        await super().reset()

    async def deploy(self, release: Release = Release()) -> None:  # noqa: B008 - frozen
        if release.overlay == MANIFESTS:
            release = replace(release, overlay=MANIFESTS / "overlays" / "kind")
        await super().deploy(release)

    def replica(self, pod: Manifest) -> Replica:
        return KindReplica(self, pod)

    async def pause_node(self, name: str) -> None:

        async def paused() -> bool:
            try:
                await run("docker", "pause", name)
            except CommandError as error:  # cgroup v1 cannot freeze a node that forks just then
                if "unable to freeze" in str(error):
                    return False
                raise
            return True

        await eventually(paused, what=f"{name} to be paused", timeout_s=60, interval_s=1)
        # The grace period without a heartbeat (kind-config.yaml), then the controller's next look.
        await self._node_is(name, ready=False, timeout_s=120)

    async def resume_node(self, name: str) -> None:
        await run("docker", "unpause", name)
        await self._node_is(name, ready=True, timeout_s=120)

    async def start_kube_scheduler(self) -> None:
        """It always runs here: kubeadm made it part of the control plane."""

    async def _create_cluster(self) -> None:
        if os.environ.get("KIND_KEEP") and await self._is_there():
            return
        await self._delete_cluster()
        node_image = os.environ.get("KIND_NODE_IMAGE")
        await run(
            *("kind", "create", "cluster", "--name", self._cluster, "--wait", "180s"),
            *("--config", str(REPOSITORY / "kind-config.yaml")),
            *("--kubeconfig", str(self._kubeconfig)),
            *(("--image", node_image) if node_image else ()),
            log="create",
        )
        await self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")

    async def _is_there(self) -> bool:
        """Claims that an earlier run left a cluster that answers."""
        if self._cluster not in (await run("kind", "get", "clusters")).split():
            return False
        try:
            await self.kubectl("get", "nodes")
        except KubectlError:
            return False
        return True

    async def _delete_cluster(self) -> None:
        await run(
            *("kind", "delete", "cluster", "--name", self._cluster),
            *("--kubeconfig", str(self._kubeconfig)),
            log="delete",
        )

    async def _build_images(self) -> None:
        base = os.environ.get("PYTHON_IMAGE")
        argument = ("--build-arg", f"PYTHON_IMAGE={base}") if base else ()
        await run("docker", "build", *argument, "-t", IMAGE, str(REPOSITORY), log="build")
        for plugin, image in PLUGIN_IMAGES.items():
            await run(
                *("docker", "build", "--build-arg", f"PYSCHEDULER_IMAGE={IMAGE}"),
                *("-f", str(REPOSITORY / "plugins" / plugin / "Dockerfile")),
                *("-t", image, str(REPOSITORY)),
                log=f"build-{plugin}",
            )

    async def _default_service_account(self) -> None:
        """No pod can be made before the controller-manager has made the account it runs as."""

        async def exists() -> bool:
            try:
                await self.api.get(
                    f"/api/v1/namespaces/{self.test_namespace}/serviceaccounts/default"
                )
            except ApiError:
                return False
            return True

        await eventually(exists, what="the default ServiceAccount", timeout_s=60)

    async def _node_is(self, name: str, *, ready: bool, timeout_s: float) -> None:
        async def is_so() -> bool:
            node = await self.api.get(f"/api/v1/nodes/{name}")
            conditions = node["status"]["conditions"]
            return ready == any(
                each["type"] == "Ready" and each["status"] == "True" for each in conditions
            )

        what = f"node {name} to be {'Ready' if ready else 'NotReady'}"
        await eventually(is_so, what=what, timeout_s=timeout_s)


async def run(*command: str, log: str = "", timeout_s: float = 900) -> str:
    """Returns what the command printed; with `log` it is kept in a file of that name, too.

    Raises:
        CommandError: it failed, or had not ended in time.
    """
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        raise CommandError(f"{' '.join(command)}: no end after {timeout_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    if log:
        (LOGS / f"{log}.log").write_text(text)
        print(f"{' '.join(command[:3])}: {time.monotonic() - began:.0f} s")
    if process.returncode != 0:
        raise CommandError(f"{' '.join(command)}: status {process.returncode}\n{text[-3000:]}")
    return text
