from __future__ import annotations

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.workload import mixed_nodes, mixed_pods


async def test_the_mixed_workload_is_accepted_and_mixed() -> None:
    async with EmbeddedCluster(live=False) as cluster:
        cluster.create_nodes(mixed_nodes(20))
        cluster.create_pods(mixed_pods(30, scheduler_name="mine"))

        pods = cluster.pods()

    apps = {pod["metadata"]["labels"]["app"] for pod in pods}
    assert apps == {"web", "database", "batch", "giant"}
    assert {pod["spec"]["schedulerName"] for pod in pods} == {"mine"}
    assert sum("taints" in node["spec"] for node in cluster.nodes()) == 4
