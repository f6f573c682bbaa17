"""The PodGroup operator: keeps each group's status in step with its pods.

kopf follows PodGroups and the pods that name one, and keeps both in its indices; a change of either
pokes the group, and after a moment in which further changes gather, the status is computed anew and
written if it differs.

Called by: ``cli.controllers``.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import kopf
import structlog

from pyscheduler import __version__
from pyscheduler.api.times import format_seconds
from pyscheduler.client.credentials import (
    DEFAULT_SERVICE_ACCOUNT_DIR,
    SERVICE_ACCOUNT_DIR_VARIABLE,
)
from pyscheduler.clock import Clock
from pyscheduler.controllers.pod_group_status import (
    POD_GROUP_LABEL,
    VALID,
    Member,
    status_of,
)

_GROUP = "scheduling.x-k8s.io"
_VERSION = "v1alpha1"
_PLURAL = "podgroups"

#: Who events say they are from.
_COMPONENT = "pyscheduler-controllers"

#: Seconds in which changes of one group gather into one write.
_GATHER_S = 0.2
#: Seconds until a write that failed is tried again.
_RETRY_S = 2.0

_log = structlog.get_logger(__name__)

#: namespace and name
Key = tuple[str, str]


class StatusWriter(Protocol):
    """Writes a PodGroup's status."""

    async def write(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Replaces the fields of the status; a group that is gone counts as written."""


class PodGroupOperator:
    """The handlers, their indices, and the writes that are due."""

    def __init__(self, writer: StatusWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._due: dict[Key, asyncio.Task[None]] = {}

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Makes the handlers known to ``registry``."""
        labelled = {POD_GROUP_LABEL: kopf.PRESENT}
        kopf.index("pods", labels=labelled, registry=registry, id="members")(self._index_pod)
        kopf.index(_GROUP, _VERSION, _PLURAL, registry=registry, id="groups")(self._index_group)
        kopf.on.event("pods", labels=labelled, registry=registry)(self._on_pod)
        kopf.on.event(_GROUP, _VERSION, _PLURAL, registry=registry)(self._on_group)
        kopf.on.cleanup(registry=registry)(self._on_cleanup)

    def _index_pod(
        self, namespace: str, labels: Mapping[str, str], body: Mapping[str, Any], **_: Any
    ) -> dict[Key, Member]:
        return {(namespace, labels[POD_GROUP_LABEL]): Member.of(body)}

    def _index_group(
        self, namespace: str, name: str, body: Mapping[str, Any], **_: Any
    ) -> dict[Key, dict[str, Any]]:
        return {(namespace, name): dict(body)}

    async def _on_pod(self, namespace: str, labels: Mapping[str, str], **indices: Any) -> None:
        self._poke((namespace, labels[POD_GROUP_LABEL]), indices)

    async def _on_group(self, namespace: str, name: str, **indices: Any) -> None:
        self._poke((namespace, name), indices)

    async def _on_cleanup(self, **_: Any) -> None:
        for task in self._due.values():
            task.cancel()
        await asyncio.gather(*self._due.values(), return_exceptions=True)

    def _poke(self, key: Key, indices: Mapping[str, Any]) -> None:
        if key not in self._due:
            task = asyncio.get_running_loop().create_task(self._settle(key, indices))
            self._due[key] = task

    async def _settle(self, key: Key, indices: Mapping[str, Any]) -> None:
        wait_s = _GATHER_S
        while True:
            await self._clock.sleep(wait_s)
            try:
                # taken out first: what changes from here on asks for another round
                self._due.pop(key, None)
                await self._write(key, indices)
            except Exception:  # noqa: BLE001  # whatever it was, the group must not stay behind
                _log.exception("status of a pod group not written", pod_group="/".join(key))
                if key in self._due:
                    return
                task = asyncio.current_task()
                assert task is not None
                self._due[key] = task
                wait_s = _RETRY_S
            else:
                return

    async def _write(self, key: Key, indices: Mapping[str, Any]) -> None:
        group = next(iter(indices["groups"].get(key, ())), None)
        if group is None:
            return
        members: Iterable[Member] = indices["members"].get(key, ())
        status = status_of(group, list(members), now=format_seconds(self._clock.now()))
        if status == group.get("status"):
            return
        await self._writer.write(*key, status)
        if status["phase"] != group.get("status", {}).get("phase"):
            _log.info("pod group in another phase", pod_group="/".join(key), phase=status["phase"])
        self._warn(group, status)

    def _warn(self, group: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """An event on a group whose members cannot be one gang, when that begins."""
        (condition,) = status["conditions"]
        earlier: Mapping[str, Any] = next(
            (c for c in group.get("status", {}).get("conditions", ()) if c["type"] == VALID), {}
        )
        if condition["status"] == "False" and condition["message"] != earlier.get("message"):
            kopf.warn(group, reason=condition["reason"], message=condition["message"])


class ApiStatusWriter:
    """Writes through the official client."""

    def __init__(self, objects: Any) -> None:
        #: a ``kubernetes.aio.client.CustomObjectsApi``
        self._objects = objects

    async def write(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Sends a merge patch of the status; a group that is gone counts as written."""
        from kubernetes.aio.client.exceptions import ApiException

        try:
            await self._objects.patch_namespaced_custom_object_status(
                _GROUP,
                _VERSION,
                namespace,
                _PLURAL,
                name,
                {"status": dict(status)},
                _content_type="application/merge-patch+json",
            )
        except ApiException as error:
            if error.status != 404:  # gone
                raise


async def run_operator(
    *, kubeconfig: Path | None, liveness: str | None, clock: Clock, stop: asyncio.Event
) -> None:
    """Runs the PodGroup operator over all namespaces until ``stop``.

    Args:
        kubeconfig: how to reach the cluster; None takes in-cluster credentials, else $KUBECONFIG.
        liveness: URL to serve kopf's liveness probe at, for example ``http://0.0.0.0:8080/healthz``.
        clock: its time.
        stop: set to end it.

    Raises:
        kopf.LoginError: no credentials were found.
    """
    import kubernetes.aio.client as aio_client

    registry = kopf.OperatorRegistry()
    configuration = await load_configuration(kubeconfig)
    _log.info("starting", version=__version__, server=configuration.host)
    async with aio_client.ApiClient(configuration) as client:
        operator = PodGroupOperator(ApiStatusWriter(aio_client.CustomObjectsApi(client)), clock)
        operator.register(registry)
        kopf.on.login(registry=registry)(_login_with(configuration))
        kopf.on.startup(registry=registry)(configure)
        await kopf.operator(
            registry=registry,
            # kopf's own guess needs a user with a name, which a container rarely has
            identity=f"{_COMPONENT}@{socket.gethostname()}",
            clusterwide=True,
            standalone=True,
            liveness_endpoint=liveness,
            stop_flag=stop,
        )
    _log.info("stopped")


def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Nothing is told about objects but what `kopf.warn` says, and that in our name."""
    settings.posting.loggers = False
    settings.posting.reporting_component = _COMPONENT
    settings.posting.reporting_instance = socket.gethostname()
    settings.posting.event_name_prefix = f"{_COMPONENT}-"
    settings.watching.server_timeout = 300


def _login_with(configuration: Any) -> Callable[..., Any]:
    """Kopf logs in with what the official client has loaded, and again when that is refused."""

    async def login(**_: Any) -> kopf.ConnectionInfo:
        # reads the token's file again when it is due
        key = await configuration.get_api_key_with_prefix("BearerToken") or ""
        token = key.rpartition(" ")[2]
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            scheme="Bearer" if token else None,
            token=token or None,
        )

    return login


async def load_configuration(kubeconfig: Path | None) -> Any:
    """How to reach the cluster, as a ``kubernetes.aio.client.Configuration``.

    Raises:
        kubernetes.config.ConfigException: there are no credentials, or they cannot be read.
    """
    import kubernetes.aio.client as aio_client
    import kubernetes.aio.config as aio_config
    import kubernetes.aio.config.incluster_config as incluster

    configuration = aio_client.Configuration()
    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        folder = Path(os.environ.get(SERVICE_ACCOUNT_DIR_VARIABLE) or DEFAULT_SERVICE_ACCOUNT_DIR)
        incluster.InClusterConfigLoader(
            token_filename=str(folder / "token"), cert_filename=str(folder / "ca.crt")
        ).load_and_set(configuration)
    else:
        await aio_config.load_kube_config(
            config_file=None if kubeconfig is None else str(kubeconfig),
            client_configuration=configuration,
        )
    return configuration
