"""An embedded cluster in a test of a plugin: minutes in milliseconds."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.errors import ConfigError, PySchedulerError
from pyscheduler.testing import make_node, make_pdb, make_pod
from pyscheduler.testing.cluster import embedded_cluster

CONFIG = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: quiet
  plugins:
    multiPoint:
      enabled: [{name: NotHere}]
"""


def not_here() -> fwk.FunctionPlugin:
    plugin = fwk.plugin("NotHere")

    @plugin.filter(events=[fwk.NODE_LABELS_CHANGED])
    def only_here(pod: Pod, node: fwk.NodeInfo) -> str | None:
        return "node(s) were not here" if node.labels.get("here") != "yes" else None

    @plugin.hint
    def once_here(pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        assert isinstance(new, Node)
        is_here = new.labels.get("here") == "yes"
        return fwk.QueueingHint.QUEUE if is_here else fwk.QueueingHint.SKIP

    return plugin


async def test_a_pod_waits_until_its_plugin_is_content() -> None:
    async with embedded_cluster(not_here(), nodes=[make_node("n").obj()]) as cluster:
        cluster.create(make_pod("p").req({"cpu": "1"}).obj())

        assert "1 node(s) were not here" in await cluster.until_rejected("p")
        cluster.patch("nodes/n", {"metadata": {"labels": {"color": "red"}}})
        await cluster.run_for(60)
        assert cluster.attempts("p") == 1
        cluster.patch("nodes/n", {"metadata": {"labels": {"here": "yes"}}})
        await cluster.until_bound("p", limit_s=15)

        assert cluster.node_of("default/p") == "n"
        assert [reason for reason, _ in cluster.events("p")] == ["FailedScheduling", "Scheduled"]


async def test_a_configuration_says_who_runs() -> None:
    async with embedded_cluster(not_here(), nodes=[make_node("n").obj()], config=CONFIG) as cluster:
        cluster.create(make_pod("p").scheduler_name("quiet").obj(), make_pod("foreign").obj())

        await cluster.until_rejected("p")
        assert cluster.message("foreign") == ""
        cluster.delete("pods/p")
        await cluster.until(lambda: cluster.pod_names() == ["default/foreign"])


async def test_who_is_not_bound_says_why() -> None:
    async with embedded_cluster(not_here(), nodes=[make_node("n").obj()]) as cluster:
        cluster.create(make_pod("p").obj())

        with pytest.raises(PySchedulerError, match=r"default/p: 0/1 nodes are available"):
            await cluster.until_bound(limit_s=5)


async def test_what_the_server_refuses() -> None:
    async with embedded_cluster() as cluster:
        with pytest.raises(PySchedulerError, match="not found"):
            cluster.patch("nodes/absent", {})
        with pytest.raises(PySchedulerError, match="already exists"):
            cluster.create(make_node("n").obj(), make_node("n").obj())
        with pytest.raises(KeyError):
            cluster.pod("absent")


async def test_a_wrong_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'profiles\[0\].*"NotHere"'):
        async with embedded_cluster(config=CONFIG):
            pass


async def test_a_victim_has_its_time_and_a_budget_is_kept() -> None:
    nodes = [make_node(name).capacity({"cpu": "1"}).obj() for name in ("a", "b")]
    low = make_pod("low").req({"cpu": "1"}).grace_period(20)
    async with embedded_cluster(nodes=nodes) as cluster:
        cluster.create(make_pdb("guarded").selector({"guarded": "yes"}).allows(0).obj())
        cluster.create(low.node("a").label("guarded", "yes").obj())
        cluster.create(make_pod("bystander").req({"cpu": "1"}).grace_period(20).node("b").obj())
        await cluster.run_for(2)

        cluster.create(make_pod("high").priority(100).req({"cpu": "1"}).obj())

        took_s = await cluster.until_bound("high")
        assert cluster.node_of("high") == "b"
        assert cluster.pod_names() == ["default/low", "default/high"]
        assert 20 <= took_s < 35
