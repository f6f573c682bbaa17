"""An extender of its own process, asked over HTTPS by the deployed scheduler, on a real API server.

What it is sent is compared with what the API server holds, and with what the real kube-scheduler
sends to the same extender.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.identities import ADMIN
from tests.controlplane.waiting import eventually
from tests.e2e.claims import all_bound, scheduler_audit
from tests.e2e.providers.base import Provider, Release
from tests.e2e.providers.local import LocalProvider
from tests.extender.process import ExtenderProcess

#: The extender listens on this machine's loopback, where only local schedulers find it.
pytestmark = pytest.mark.needs("fake_nodes", "audit_log", "installed_plugins", "disposable")

VERBS = {f"{verb}Verb": verb for verb in ("filter", "prioritize", "preempt", "bind")}


async def test_extender_sees_what_the_server_holds_and_decides_in_every_verb(
    provider: Provider, tmp_path: Path
) -> None:
    assert isinstance(provider, LocalProvider)
    async with ExtenderProcess.running(tmp_path, is_https=True) as extender:
        plane = provider.plane
        extender.rule(
            api={
                "server": plane.server,
                "token": plane.identities.tokens[ADMIN],
                "authority": str(plane.identities.certificate_authority),
            }
        )
        names = await provider.create_nodes(3, allocatable={"cpu": "1"})
        await provider.deploy(Release(configuration=configuration(extender, provider.namespace)))

        # filter: rejected everywhere, so that the pod stands still and can be looked at
        extender.rule(failed=dict.fromkeys(names, "no licence"))
        await create(provider, "low-0", "low-1", "low-2")
        await rejected(provider, "low-0", "low-1", "low-2")
        held = Holdings()
        await held.look(provider)
        extender.rule(failed={}, scores={names[1]: 10})
        await provider.api.patch(f"/api/v1/nodes/{names[0]}", {"metadata": {"labels": {"a": "b"}}})
        await all_bound(provider)
        await held.look(provider)

        asked = extender.requests("filter")[-1]
        assert canonical(asked["Pod"]) in held.pods
        assert {canonical(node) for node in asked["Nodes"]["items"]} <= held.nodes
        assert any("managedFields" in node["metadata"] for node in asked["Nodes"]["items"])
        first_bound = extender.requests("bind")[0]
        assert first_bound["Node"] == names[1]
        assert canonical(extender.requests("prioritize")[0]["Pod"]) in held.pods

        # preempt: every node is full, and the extender leaves one candidate
        running = await all_running(provider)
        extender.rule(candidates=[names[2]])
        held = Holdings()
        await held.look(provider)
        await create_priority_class(provider)
        await create(provider, "high", priorityClassName="high")

        async def high_is_bound() -> bool:
            return bool((await pod(provider, "high"))["spec"].get("nodeName"))

        await eventually(high_is_bound, what="the preemptor to be bound", timeout_s=90)
        (preempted, *_) = extender.requests("preempt")
        victims = [
            victim for there in preempted["NodeNameToVictims"].values() for victim in there["Pods"]
        ]
        assert sorted(preempted["NodeNameToVictims"]) == sorted(names)
        assert {canonical(victim) for victim in victims} <= held.pods
        assert (await pod(provider, "high"))["spec"]["nodeName"] == names[2]
        left = {pod["metadata"]["name"] for pod in await provider.pods()}
        assert {name for name, node in running.items() if node != names[2]} <= left

    bindings = (await provider.audit()).bindings_by_pod()
    assert {
        key: [binding.user_agent for binding in of_pod]
        for key, of_pod in bindings.items()
        if key.startswith(f"{provider.test_namespace}/")
    } == {
        f"{provider.test_namespace}/{name}": ["extender"]
        for name in ("low-0", "low-1", "low-2", "high")
    }
    assert (await scheduler_audit(provider)).forbidden() == []


@pytest.mark.needs("kube_scheduler")
async def test_kube_scheduler_sends_the_same_but_for_what_it_strips(
    provider: Provider, tmp_path: Path
) -> None:
    assert isinstance(provider, LocalProvider)
    async with (
        ExtenderProcess.running(tmp_path / "ours", is_https=True) as ours,
        ExtenderProcess.running(tmp_path / "theirs", is_https=True) as theirs,
    ):
        names = await provider.create_nodes(2)
        for extender in (ours, theirs):
            extender.rule(failed={names[0]: "no licence"}, unresolvable={names[1]: "too old"})
        await provider.deploy(Release(configuration=configuration(ours, provider.namespace)))
        scheduler = await provider.plane.start_kube_scheduler(
            scheduler_name=provider.kube_scheduler_name, extenders=[described(theirs)]
        )
        try:
            await create(provider, "ours")
            await create(provider, "theirs", schedulerName=provider.kube_scheduler_name)
            reasons = [await rejected(provider, name) for name in ("ours", "theirs")]
        finally:
            await provider.plane.stop(scheduler, kill=True)

        (sent_by_us, *_), (sent_by_them, *_) = (
            extender.requests("filter") for extender in (ours, theirs)
        )

    assert reasons[0].startswith("0/2 nodes are available: 1 no licence, 1 too old.")
    assert reasons[0] == reasons[1]
    assert sent_by_us.keys() == sent_by_them.keys()
    assert sent_by_us["NodeNames"] is sent_by_them["NodeNames"] is None
    nodes = {node["metadata"]["name"]: node for node in sent_by_them["Nodes"]["items"]}
    for node in sent_by_us["Nodes"]["items"]:
        assert stripped(node) == stripped(nodes[node["metadata"]["name"]])
    assert anonymous(stripped(sent_by_us["Pod"])) == anonymous(stripped(sent_by_them["Pod"]))


class Holdings:
    """Every state of pods and nodes that the API server was seen to hold."""

    def __init__(self) -> None:
        self.pods: set[str] = set()
        self.nodes: set[str] = set()

    async def look(self, provider: Provider) -> None:
        for found in await provider.pods():
            name = found["metadata"]["name"]
            self.pods.add(canonical(await pod(provider, name)))
        for found in await provider.api.list("/api/v1/nodes"):
            name = found["metadata"]["name"]
            self.nodes.add(canonical(await provider.api.get(f"/api/v1/nodes/{name}")))


def canonical(manifest: Manifest) -> str:
    """The object's JSON with its keys sorted."""
    return json.dumps(manifest, sort_keys=True, ensure_ascii=False)


def stripped(manifest: Manifest) -> Manifest:
    """The object without what kube-scheduler takes off before it keeps one."""
    kept = {key: value for key, value in manifest.items() if key not in ("kind", "apiVersion")}
    metadata = {k: v for k, v in kept["metadata"].items() if k != "managedFields"}
    # a heartbeat may lie between the two looks
    metadata.pop("resourceVersion", None)
    return {**kept, "metadata": metadata}


def anonymous(manifest: Manifest) -> str:
    """The pod's JSON without what sets two pods of one template apart."""
    manifest = json.loads(json.dumps(manifest))
    for key in ("name", "uid", "creationTimestamp"):
        manifest["metadata"].pop(key, None)
    manifest["spec"].pop("schedulerName")
    text = canonical(manifest)
    for volume in manifest["spec"].get("volumes", ()):
        text = text.replace(volume["name"], "volume")
    return text


def described(extender: ExtenderProcess) -> dict[str, object]:
    """The extender as a configuration file has it."""
    return {
        "urlPrefix": extender.url,
        **VERBS,
        "weight": 100,
        "enableHTTPS": True,
        "tlsConfig": extender.tls_config,
        "httpTimeout": "10s",
    }


def configuration(extender: ExtenderProcess, namespace: str) -> str:
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"resourceNamespace": namespace},
            "profiles": [{"schedulerName": "pyscheduler"}],
            "extenders": [described(extender)],
        }
    )


async def create(provider: Provider, *names: str, **spec: object) -> None:
    """Pods that fill a node of one CPU."""
    for name in names:
        manifest = load.pod_manifest(name, requests={"cpu": "1"}, spec=spec)
        await provider.api.create(f"/api/v1/namespaces/{provider.test_namespace}/pods", manifest)


async def pod(provider: Provider, name: str) -> Manifest:
    return await provider.api.get(f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}")


async def rejected(provider: Provider, *names: str) -> str:
    """The pods are told that they wait; returns what the last of them is told."""
    messages = [""]
    for name in names:
        told = functools.partial(_message, provider, name)
        messages.append(await eventually(told, what=f"a condition of {name}"))
    return messages[-1]


async def _message(provider: Provider, name: str) -> str | None:
    for condition in (await pod(provider, name))["status"].get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition["message"])
    return None


async def all_running(provider: Provider) -> dict[str, str]:
    """Every pod runs, and its status stands still; returns their nodes."""

    async def nodes() -> dict[str, str] | None:
        pods = await provider.pods()
        if any(found["status"]["phase"] != "Running" for found in pods):
            return None
        return {found["metadata"]["name"]: found["spec"]["nodeName"] for found in pods}

    return await eventually(nodes, what="all pods to run")


async def create_priority_class(provider: Provider) -> None:
    await provider.api.create(
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "high"},
            "value": 1000,
        },
    )
