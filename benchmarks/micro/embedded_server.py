"""What the embedded API server costs a scheduler that shares its core.

One pod through the server: binding POST, event POST, and the watch echo of the binding on a
field-selected pod watch, all through the in-process transport. The budget is 150 us for the
three together: at 1,500 pods/s that is a quarter of the core.

    python benchmarks/micro/embedded_server.py [PODS]

Figures are CPU time, so that a busy machine does not blur them.
"""

import asyncio
import sys
import time

import msgspec

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.workload import make_node, make_pod

NODES = 5000
POD_WATCH = {
    "watch": "1",
    "fieldSelector": "status.phase!=Succeeded,status.phase!=Failed",
    "allowWatchBookmarks": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
}


def binding(name: str, uid: str, node: str) -> bytes:
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": "default", "uid": uid},
            "target": {"kind": "Node", "name": node},
        }
    )


def scheduled_event(name: str, uid: str, node: str) -> bytes:
    return msgspec.json.encode(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{uid[:16]}", "namespace": "default"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "pyscheduler",
            "reportingInstance": "pyscheduler-host",
            "action": "Binding",
            "reason": "Scheduled",
            "regarding": {
                "kind": "Pod",
                "namespace": "default",
                "name": name,
                "uid": uid,
                "apiVersion": "v1",
            },
            "note": f"Successfully assigned default/{name} to {node}",
            "type": "Normal",
        }
    )


async def measure(pod_count: int) -> None:
    async with EmbeddedCluster(live=False) as cluster:
        start = time.process_time()
        cluster.create_nodes(make_node(f"node-{index}") for index in range(NODES))
        nodes_s = time.process_time() - start
        start = time.process_time()
        cluster.create_pods(make_pod(f"pod-{index}") for index in range(pod_count))
        pods_s = time.process_time() - start
        transport = cluster.transport()
        echoes = 0
        seen = asyncio.Event()

        async def watch() -> None:
            nonlocal echoes
            async with transport.stream("/api/v1/pods", POD_WATCH) as stream:
                async for chunk in stream.chunks:
                    echoes += chunk.count(b"\n")
                    if echoes > 2 * pod_count:
                        seen.set()

        watcher = asyncio.create_task(watch())
        while echoes <= pod_count:
            await asyncio.sleep(0.01)
        uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods()}
        requests = [
            (
                f"/api/v1/namespaces/default/pods/{name}/binding",
                binding(name, uid, f"node-{index % NODES}"),
                scheduled_event(name, uid, f"node-{index % NODES}"),
            )
            for index, (name, uid) in enumerate(uids.items())
        ]
        events_path = "/apis/events.k8s.io/v1/namespaces/default/events"
        start = time.process_time()
        for path, bound, event in requests:
            answer = await transport.request("POST", path, body=bound)
            assert answer.status == 201, answer.body
            answer = await transport.request("POST", events_path, body=event)
            assert answer.status == 201, answer.body
        await seen.wait()
        both_s = time.process_time() - start
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        start = time.process_time()
        answer = await transport.request("GET", "/api/v1/pods")
        list_s = time.process_time() - start
    print(f"create a node: {nodes_s / NODES * 1e6:.0f} us")
    print(f"create a pod: {pods_s / pod_count * 1e6:.0f} us")
    print(f"bind + event + watch echo: {both_s / pod_count * 1e6:.0f} us per pod")
    print(f"list of all pods: {list_s * 1e3:.1f} ms, {len(answer.body) / 1e6:.1f} MB")


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
