"""Extenders as processes of their own, asked over HTTP and HTTPS by a scheduler on the embedded
cluster, in real time: sockets do not wait for a virtual clock.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from pyscheduler.app.assembly import Assembly, assemble, in_tree_registry
from pyscheduler.client.extender_client import connect_extenders
from pyscheduler.clock import SystemClock
from pyscheduler.config.load import parse_config
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics
from tests.controlplane.ports import free_port
from tests.controlplane.process import Process
from tests.controlplane.waiting import eventually
from tests.extender.process import ExtenderProcess, listens

#: Real processes are started and waited for; each wait has a deadline of its own.
pytestmark = pytest.mark.timeout(120)

VERBS = {f"{verb}Verb": verb for verb in ("filter", "prioritize", "preempt", "bind")}


@dataclass
class Lab:
    """An embedded cluster on loopback, and what runs beside it."""

    cluster: EmbeddedCluster
    folder: Path
    stack: AsyncExitStack

    async def extender(self, name: str = "extender", *, is_https: bool = False) -> ExtenderProcess:
        started = ExtenderProcess.running(self.folder / name, is_https=is_https)
        extender = await self.stack.enter_async_context(started)
        extender.rule(api={"server": self.cluster.url})
        return extender

    async def schedule(self, *extenders: Mapping[str, object]) -> Assembly:
        """A scheduler with these extenders is at work."""
        text = json.dumps(
            {
                "apiVersion": "kubescheduler.config.k8s.io/v1",
                "kind": "KubeSchedulerConfiguration",
                "extenders": extenders,
            }
        )
        registry = in_tree_registry()
        configuration = parse_config(text, registry, source="configuration of the test")
        clients = connect_extenders(configuration.extenders)
        for client in clients:
            self.stack.push_async_callback(client.close)
        assembly = assemble(
            configuration,
            registry,
            transport=self.cluster.transport(),
            clock=SystemClock(),
            rng=Random(1),
            metrics=SchedulerMetrics(),
            work=CurrentWork(),
            instance="scheduler",
            extenders=clients,
        )
        self.stack.push_async_callback(assembly.dispatcher.close)
        await self._start(assembly.follow)
        await asyncio.wait_for(assembly.wait_synced(), timeout=30)
        await self._start(assembly.schedule)
        return assembly

    async def _start(self, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(run())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(end)

    def pod(self, name: str) -> JsonObject:
        (found,) = (pod for pod in self.cluster.pods() if pod["metadata"]["name"] == name)
        return found

    def node(self, name: str) -> JsonObject:
        (found,) = (node for node in self.cluster.nodes() if node["metadata"]["name"] == name)
        return found

    async def bound(self, name: str) -> str:
        """The node of the pod, once it has one."""

        async def node_name() -> str | None:
            found: str | None = self.pod(name)["spec"].get("nodeName")
            return found

        return await eventually(node_name, what=f"the binding of {name}", interval_s=0.02)

    async def told(self, name: str) -> str:
        """The message of the pod's PodScheduled condition, once it has one."""

        async def message() -> str | None:
            for condition in self.pod(name).get("status", {}).get("conditions", ()):
                if condition["type"] == "PodScheduled" and condition["status"] == "False":
                    return str(condition["message"])
            return None

        return await eventually(message, what=f"a condition of {name}", interval_s=0.02)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Three nodes that do not change by themselves."""
    async with AsyncExitStack() as stack:
        cluster = EmbeddedCluster(http=True, live=False)
        await stack.enter_async_context(cluster)
        cluster.create_nodes(make_node(f"node-{n}", cpu="2", memory="4Gi") for n in range(3))
        yield Lab(cluster, tmp_path, await stack.enter_async_context(AsyncExitStack()))


def asked_as(stored: JsonObject, kind: str) -> JsonObject:
    """What the server answers to a GET of the stored object."""
    return {"kind": kind, "apiVersion": "v1", **stored}


async def test_filter_and_prioritize_see_what_the_server_holds_and_decide(lab: Lab) -> None:
    extender = await lab.extender()
    extender.rule(failed={"node-0": "too busy"}, scores={"node-1": 1, "node-2": 10})
    await lab.schedule({"urlPrefix": extender.url, "weight": 100, **VERBS, "bindVerb": ""})
    # fields that the scheduler itself drops
    held = make_pod("web", hostNetwork=False)
    held["spec"]["containers"][0]["env"] = [{"name": "GREETING", "value": "grüß <&>"}]
    held["metadata"]["managedFields"] = [{"manager": "test", "operation": "Update"}]
    lab.cluster.create_pods([held])
    stored = asked_as(dict(lab.pod("web")), "Pod")

    assert await lab.bound("web") == "node-2"
    (filtered,) = extender.requests("filter")
    (prioritized,) = extender.requests("prioritize")
    assert filtered["Pod"] == prioritized["Pod"] == stored
    by_name = {node["metadata"]["name"]: node for node in filtered["Nodes"]["items"]}
    assert by_name == {
        name: asked_as(lab.node(name), "Node") for name in ("node-0", "node-1", "node-2")
    }
    assert [node["metadata"]["name"] for node in prioritized["Nodes"]["items"]] == [
        "node-1",
        "node-2",
    ]


async def test_over_https_with_certificates_on_both_sides_and_names_alone(lab: Lab) -> None:
    extender = await lab.extender(is_https=True)
    extender.rule(unresolvable={"node-0": "no", "node-1": "no"})
    await lab.schedule(
        {
            "urlPrefix": extender.url,
            "filterVerb": "filter",
            "enableHTTPS": True,
            "tlsConfig": extender.tls_config,
            "nodeCacheCapable": True,
        }
    )
    lab.cluster.create_pods([make_pod("web")])

    assert await lab.bound("web") == "node-2"
    (filtered,) = extender.requests("filter")
    assert filtered["Nodes"] is None
    assert filtered["NodeNames"] == ["node-0", "node-1", "node-2"]


async def test_a_pod_that_the_extender_rejects_waits_and_is_woken_by_any_event(lab: Lab) -> None:
    extender = await lab.extender()
    extender.rule(
        failed={"node-0": "no licence", "node-1": "no licence"}, unresolvable={"node-2": "too old"}
    )
    assembly = await lab.schedule({"urlPrefix": extender.url, "filterVerb": "filter"})
    lab.cluster.create_pods([make_pod("web")])

    assert (await lab.told("web")).startswith("0/3 nodes are available: 1 too old, 2 no licence.")

    async def echoed() -> bool:
        known = assembly.pods.get("default/web")
        return known is not None and known.condition("PodScheduled") is not None

    # what the scheduler itself wrote about the pod is no event that could help it
    await eventually(echoed, what="the condition to come back", interval_s=0.02)
    await asyncio.sleep(0)
    assert assembly.queue.counts().unschedulable == 1
    assert len(extender.requests("filter")) == 1

    extender.rule(failed={}, unresolvable={})
    lab.cluster.create_node(make_node("node-3"))

    await lab.bound("web")


async def test_the_extender_binds_in_place_of_the_plugin(lab: Lab) -> None:
    extender = await lab.extender()
    assembly = await lab.schedule({"urlPrefix": extender.url, "bindVerb": "bind"})
    lab.cluster.create_pods([make_pod("web")])

    node = await lab.bound("web")
    pod = lab.pod("web")["metadata"]
    assert extender.requests("bind") == [
        {"PodName": "web", "PodNamespace": "default", "PodUID": pod["uid"], "Node": node}
    ]

    async def confirmed() -> bool:
        return assembly.cache.assumed_count == 0 and assembly.cache.pod_count == 1

    await eventually(confirmed, what="the watch to confirm the binding", interval_s=0.02)


async def test_preemption_takes_the_candidate_that_the_extender_leaves(lab: Lab) -> None:
    extender = await lab.extender()
    extender.rule(candidates=["node-1"])
    lab.cluster.create_pods([make_pod(f"low-{n}", cpu="2", nodeName=f"node-{n}") for n in range(3)])
    lab.cluster.create(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "high"},
            "value": 1000,
        }
    )
    victims = {f"node-{n}": asked_as(dict(lab.pod(f"low-{n}")), "Pod") for n in range(3)}
    await lab.schedule({"urlPrefix": extender.url, "preemptVerb": "preempt"})
    lab.cluster.create_pods([make_pod("high", cpu="2", priorityClassName="high")])

    async def evicted() -> list[str] | None:
        left = {pod["metadata"]["name"] for pod in lab.cluster.pods()}
        terminating = {
            pod["metadata"]["name"]
            for pod in lab.cluster.pods()
            if pod["metadata"].get("deletionTimestamp")
        }
        return sorted({"low-0", "low-1", "low-2"} - left | terminating) or None

    assert await eventually(evicted, what="an eviction", interval_s=0.02) == ["low-1"]
    (preempted,) = extender.requests("preempt")
    assert preempted["NodeNameToMetaVictims"] is None
    assert preempted["NodeNameToVictims"] == {
        name: {"Pods": [victim], "NumPDBViolations": 0} for name, victim in victims.items()
    }
    assert preempted["Pod"]["metadata"]["name"] == "high"


async def test_only_pods_with_its_resource_are_shown_and_the_scheduler_does_not_count_it(
    lab: Lab,
) -> None:
    extender = await lab.extender()
    extender.rule(failed={"node-0": "no card", "node-1": "no card"})
    await lab.schedule(
        {
            "urlPrefix": extender.url,
            "filterVerb": "filter",
            "managedResources": [{"name": "example.com/card", "ignoredByScheduler": True}],
        }
    )
    with_card = make_pod("render")
    resources: dict[str, Any] = with_card["spec"]["containers"][0]["resources"]
    resources["requests"]["example.com/card"] = "1"
    resources["limits"] = {"example.com/card": "1"}
    lab.cluster.create_pods([make_pod("web"), with_card])

    assert await lab.bound("render") == "node-2"
    await lab.bound("web")
    assert [asked["Pod"]["metadata"]["name"] for asked in extender.requests("filter")] == ["render"]


async def test_an_ignorable_extender_out_of_order_holds_nothing_up_and_any_other_does(
    lab: Lab,
) -> None:
    ignorable, needed = await lab.extender("ignorable"), await lab.extender("needed")
    ignorable.rule(broken=["filter", "prioritize", "bind"])
    needed.rule(broken=["filter"], failed={"node-0": "no", "node-1": "no"})
    await lab.schedule(
        {"urlPrefix": ignorable.url, "weight": 1, "ignorable": True, **VERBS},
        {"urlPrefix": needed.url, "filterVerb": "filter"},
    )
    lab.cluster.create_pods([make_pod("web")])

    reason = f'extender failed to filter: {needed.url}/filter: 500: {{"Error": "out of order"}}'
    assert await lab.told("web") == reason
    assert ignorable.requests("filter") == []
    needed.rule(broken=[])

    # error backoff brings it back; the plugin binds since the ignorable binder fails
    assert await lab.bound("web") == "node-2"
    assert ignorable.requests("filter")
    assert ignorable.requests("bind")


async def test_the_extender_of_the_documentation_works(lab: Lab) -> None:
    text = (Path(__file__).parents[2] / "docs" / "extenders.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (config,) = re.findall(r"```yaml\nextenders:\n(.*?)```", text, re.DOTALL)
    program, port = lab.folder / "no_spot.py", free_port()
    program.write_text(code)
    process = Process.start(
        "extender", [sys.executable, program, str(port)], log_path=lab.folder / "extender.log"
    )
    lab.stack.push_async_callback(process.kill)
    await process.until(functools.partial(listens, port), what="listening", timeout_s=30)
    lab.cluster.create_node(make_node("spot", cpu="64", labels={"lifecycle": "spot"}))
    (extender,) = yaml.safe_load(config.replace("8888", str(port)))
    await lab.schedule(extender)
    lab.cluster.create_pods([make_pod("large", cpu="8"), make_pod("web")])

    assert (await lab.told("large")).startswith(
        "0/4 nodes are available: 1 node(s) were spot capacity, 3 Insufficient cpu."
    )
    assert await lab.bound("web") != "spot"
