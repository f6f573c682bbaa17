"""Simulated kubelets: nodes become Ready, bound pods Running, deleted pods go away.

One `Kubelets` stands for those of all nodes. It listens to the store and acts through the API
server as a kubelet would, each pod after a delay on the clock:

    bound --start_delay_s--> Running
    deletionTimestamp --min(grace, stop_delay_s)--> deleted with grace 0

A `stop_delay_s` of None is a workload that does not heed SIGTERM: its grace period runs out.

It refuses nothing: a pod that does not fit its node runs all the same, as with kwok.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from pyscheduler.clock import Clock
from pyscheduler.sim.agenda import Agenda, cancelled
from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.json_objects import JsonObject, JsonView, micro_timestamp, timestamp
from pyscheduler.sim.object_store import Event, Stored
from pyscheduler.sim.served_kinds import LEASES, NODES, PODS

_encode = msgspec.json.Encoder().encode
_PATCH = "application/strategic-merge-patch+json"
_LEASE_NAMESPACE = "kube-node-lease"
#: What the kubelet writes into its Lease.
_LEASE_DURATION_S = 40
_NOT_READY_TAINTS = (
    {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
)
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


class Kubelets:
    """The kubelets of all nodes."""

    def __init__(
        self,
        server: ApiServer,
        *,
        clock: Clock,
        start_delay_s: float = 0.05,
        stop_delay_s: float | None = 0.05,
        heartbeat_s: float | None = None,
    ) -> None:
        """Kubelets that act once `start` is called.

        Args:
            server: the API server they talk to.
            clock: measures the delays.
            start_delay_s: from binding to Running.
            stop_delay_s: from deletion to gone, if the pod's grace period is not shorter; None for
                the whole grace period.
            heartbeat_s: how often node Leases are renewed; None for never.
        """
        self._server = server
        self._clock = clock
        self._start_delay_s = start_delay_s
        self._stop_delay_s = stop_delay_s
        self._heartbeat_s = heartbeat_s
        self._agenda = Agenda(clock)
        self._heartbeats: asyncio.Task[None] | None = None
        self._stop_listening: list[Callable[[], None]] = []

    def start(self) -> None:
        """Present and later nodes and pods are looked after."""
        store = self._server.store
        for collection, listener, present in (
            (NODES.collection, self._on_node, self._ready_node),
            (PODS.collection, self._on_pod, self._look_after),
        ):
            for stored in tuple(store.collection(collection).objects.values()):
                present(stored)
            self._stop_listening.append(store.collection(collection).listen(listener))
        self._agenda.start()
        if self._heartbeat_s is not None:
            self._heartbeats = asyncio.create_task(self._beat(self._heartbeat_s))

    async def close(self) -> None:
        """Nothing is looked after any more. May be called twice."""
        for stop in self._stop_listening:
            stop()
        self._stop_listening.clear()
        await self._agenda.close()
        await cancelled(self._heartbeats)
        self._heartbeats = None

    def fail_node(self, name: str) -> None:
        """The node is not Ready, with the taints the node lifecycle controller gives it."""
        self._set_taints(name, failed=True)
        self._patch_status(name, {"conditions": [self._ready_condition(ready=False)]})

    def recover_node(self, name: str) -> None:
        """The node is Ready again and the taints of its failure are gone."""
        self._patch_status(name, {"conditions": [self._ready_condition(ready=True)]})
        self._set_taints(name, failed=False)

    # -- nodes

    def _on_node(self, event: Event) -> None:
        if event.type == "ADDED":
            # After the answer to the creation, as if the kubelet had seen it.
            self._agenda.add(0.0, lambda: self._ready_node(event.object))

    def _ready_node(self, stored: Stored) -> None:
        name, status = stored.key, stored.data.get("status", {})
        if self._heartbeat_s is not None:
            self._renew_lease(name)
        if any(condition["type"] == "Ready" for condition in status.get("conditions") or ()):
            return
        conditions = [self._ready_condition(ready=True)]
        conditions += [self._condition(kind, "False") for kind in _PRESSURES]
        self._patch_status(
            name,
            {
                "conditions": conditions,
                "addresses": [
                    {"type": "InternalIP", "address": _node_address(stored)},
                    {"type": "Hostname", "address": name},
                ],
                "nodeInfo": _NODE_INFO,
            },
        )

    def _ready_condition(self, *, ready: bool) -> JsonObject:
        condition = self._condition("Ready", "True" if ready else "False")
        condition["reason"] = "KubeletReady" if ready else "KubeletNotReady"
        return condition

    def _condition(self, kind: str, status: str) -> JsonObject:
        now = timestamp(self._clock.now())
        return {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }

    def _patch_status(self, name: str, status: JsonObject) -> None:
        self._send("PATCH", f"/api/v1/nodes/{name}/status", {"status": status})

    def _set_taints(self, name: str, *, failed: bool) -> None:
        stored = self._server.store.get(NODES.collection, name)
        if stored is None:
            return
        held = stored.data["spec"].get("taints") or []
        taints = [taint for taint in held if taint not in _NOT_READY_TAINTS]
        if failed:
            taints += _NOT_READY_TAINTS
        body = {"spec": {"taints": taints or None}}
        self._send("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")

    async def _beat(self, interval_s: float) -> None:
        while True:
            await self._clock.sleep(interval_s)
            for name in tuple(self._server.store.collection(NODES.collection).objects):
                self._renew_lease(name)

    def _renew_lease(self, name: str) -> None:
        renewed = micro_timestamp(self._clock.now())
        path = f"/apis/{LEASES.api_version}/namespaces/{_LEASE_NAMESPACE}/leases"
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": _LEASE_DURATION_S,
            "renewTime": renewed,
        }
        if self._server.store.get(LEASES.collection, f"{_LEASE_NAMESPACE}/{name}") is None:
            metadata = {"name": name, "namespace": _LEASE_NAMESPACE}
            self._send("POST", path, {"metadata": metadata, "spec": spec})
        else:
            self._send("PATCH", f"{path}/{name}", {"spec": {"renewTime": renewed}})

    # -- pods

    def _on_pod(self, event: Event) -> None:
        if event.type != "DELETED":
            self._look_after(event.object, event.previous)

    def _look_after(self, stored: Stored, previous: Stored | None = None) -> None:
        data = stored.data
        if not data["spec"].get("nodeName"):
            return
        metadata = data["metadata"]
        key, uid = stored.key, metadata["uid"]
        if "deletionTimestamp" in metadata:
            grace_s = metadata.get("deletionGracePeriodSeconds", 0)
            if previous is None or _grace_s(previous) != grace_s:
                stop_s = self._stop_delay_s
                delay_s = grace_s if stop_s is None else min(grace_s, stop_s)
                self._agenda.add(delay_s, lambda: self._end(key, uid))
        elif previous is None or not previous.data["spec"].get("nodeName"):
            self._agenda.add(self._start_delay_s, lambda: self._run(key, uid))

    def _run(self, key: str, uid: str) -> None:
        stored = self._server.store.get(PODS.collection, key)
        if stored is None or stored.data["metadata"]["uid"] != uid:
            return
        if stored.data["status"]["phase"] != "Pending":
            return
        namespace, _, name = key.partition("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        self._send("PATCH", path, {"status": self._running_status(stored)})

    def _running_status(self, stored: Stored) -> JsonObject:
        now = timestamp(self._clock.now())
        address = _pod_address(stored)
        return {
            "phase": "Running",
            "startTime": now,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
                for kind in ("Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                _running_container(container, now)
                for container in stored.data["spec"]["containers"]
            ],
        }

    def _end(self, key: str, uid: str) -> None:
        namespace, _, name = key.partition("/")
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        self._send("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", options)

    def _send(self, method: str, path: str, body: JsonObject, content_type: str = "") -> None:
        """One request; a refusal means the object changed meanwhile, and its event will come."""
        content_type = content_type or (_PATCH if method == "PATCH" else "application/json")
        self._server.handle(Request(method, path, body=_encode(body), content_type=content_type))


def _grace_s(stored: Stored) -> int | None:
    grace: int | None = stored.data["metadata"].get("deletionGracePeriodSeconds")
    return grace


def _node_address(stored: Stored) -> str:
    number = stored.created
    return f"10.{number >> 16 & 63}.{number >> 8 & 255}.{number & 255}"


def _pod_address(stored: Stored) -> str:
    number = stored.created
    return f"10.{64 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}"


def _running_container(container: JsonView, now: str) -> JsonObject:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "lastState": {},
        "state": {"running": {"startedAt": now}},
    }


_NODE_INFO: JsonObject = {
    "machineID": "",
    "systemUUID": "",
    "bootID": "",
    "kernelVersion": "0.0.0-embedded",
    "osImage": "embedded",
    "containerRuntimeVersion": "embedded://0",
    "kubeletVersion": "v1.37.1-embedded",
    "kubeProxyVersion": "",
    "operatingSystem": "linux",
    "architecture": "amd64",
}
