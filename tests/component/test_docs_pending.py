"""What the documents say that one reads about a pending pod is what one reads."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.cluster import LiveCluster, embedded_cluster

REPOSITORY = Path(__file__).parents[2]


def _messages(document: str) -> list[str]:
    """The lines of its blocks that begin as a condition's message does."""
    return re.findall(r"^0/\d+ nodes are available: .*$", (REPOSITORY / document).read_text(), re.M)


async def _rejected(cluster: LiveCluster) -> str:
    cluster.create(make_pod("wants-half").req({"cpu": "2"}).obj())
    return await cluster.until_rejected("wants-half")


@pytest.mark.parametrize("document", ["README.md", "docs/operations.md"])
def test_the_message_of_a_pod_that_fits_nowhere(document: str) -> None:
    async def story() -> str:
        full = [make_node(f"full-{i}").capacity({"cpu": "4", "pods": "10"}) for i in range(2)]
        kept = make_node("kept").capacity({"cpu": "4", "pods": "10"}).taint("for", "others")
        nodes = [node.obj() for node in (*full, kept)]
        async with embedded_cluster(nodes=nodes) as cluster:
            for i in range(2):
                cluster.create(make_pod(f"runs-{i}").node(f"full-{i}").req({"cpu": "3"}).obj())
            return await _rejected(cluster)

    assert _messages(document) == [asyncio.run(story())]


def test_what_is_read_about_a_pod_that_waits_for_its_victims() -> None:
    async def story() -> list[str]:
        node = make_node("node-1").capacity({"cpu": "4", "pods": "10"}).obj()
        async with embedded_cluster(nodes=[node]) as cluster:
            cluster.create(make_pod("less").req({"cpu": "3"}).node("node-1").priority(-1).obj())
            cluster.create(make_pod("else").req({"cpu": "1m"}).node("node-1").obj())
            await cluster.run_for(1)
            cluster.delete("/api/v1/namespaces/default/pods/else")
            await cluster.run_for(0.03)  # its end is near, and comes before that of a victim
            messages = [await _rejected(cluster)]
            await cluster.until(lambda: cluster.message("wants-half") not in messages)
            messages.append(cluster.message("wants-half"))
            await cluster.until_bound("wants-half")
            return messages

    read = asyncio.run(story())

    said = re.findall(r"`(preemption: [^`]*)`", (REPOSITORY / "docs/operations.md").read_text())
    assert len(said) == 2
    assert [text for text in said if any(line.endswith(text) for line in read)] == said


def test_what_is_read_about_a_pod_that_waited_at_permit_in_vain() -> None:
    class Slow(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
        """Lets pods wait for what does not come."""

        name = "Coscheduling"

        def permit(
            self, state: fwk.CycleState, pod: Pod, node_name: str
        ) -> tuple[fwk.Status | None, float]:
            return fwk.wait("for the others"), 60

    async def story() -> tuple[str, str]:
        node = make_node("node-1").capacity({"cpu": "4", "pods": "10"}).obj()
        async with embedded_cluster(Slow, nodes=[node]) as cluster:
            cluster.create(make_pod("waits").obj())
            await cluster.run_for(5)
            status = cluster.pod("waits")["status"]
            assert not cluster.message("waits")
            return status["nominatedNodeName"], await cluster.until_rejected("waits")

    nominated, message = asyncio.run(story())

    page = " ".join((REPOSITORY / "docs/operations.md").read_text().split())
    assert nominated == "node-1"
    assert f"`{message}`" in page
