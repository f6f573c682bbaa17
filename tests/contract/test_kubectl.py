"""The kubectl commands the demo prints, run by the real kubectl against the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.workload import make_node, make_pod
from tests.controlplane.build import ensure_binaries
from tests.controlplane.kubectl import KubectlError, run_kubectl

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: from-file
spec:
  schedulerName: pyscheduler
  containers:
  - name: main
    image: registry.example/app:1
    resources: {requests: {cpu: 100m}}
"""
UNSCHEDULABLE = "0/2 nodes are available: 2 Insufficient memory."


@dataclass
class Kubectl:
    """kubectl with the kubeconfig of an embedded cluster."""

    binary: Path
    kubeconfig: Path
    cluster: EmbeddedCluster

    async def __call__(self, *args: str, standard_input: str | None = None) -> str:
        return await run_kubectl(self.binary, self.kubeconfig, args, standard_input=standard_input)

    def send(self, method: str, path: str, body: object, content_type: str) -> None:
        """One request of the scheduler's."""
        request = Request(method, path, body=msgspec.json.encode(body), content_type=content_type)
        answer = self.cluster.server.handle(request)
        assert isinstance(answer, Response)
        assert answer.status < 300, answer.body


@pytest.fixture(scope="session")
def kubectl_binary(control_plane_programs: None) -> Path:
    return ensure_binaries({"kubectl"})["kubectl"]


@pytest_asyncio.fixture(loop_scope="session")
async def kubectl(kubectl_binary: Path, tmp_path: Path) -> AsyncIterator[Kubectl]:
    """A live cluster of two nodes, a pod bound and one that cannot be."""
    async with EmbeddedCluster(http=True, heartbeat_s=10.0) as cluster:
        cluster.create_nodes([make_node("node-1"), make_node("node-2", labels={"disk": "ssd"})])
        cluster.create_pods([make_pod("web"), make_pod("giant", memory="64Gi")])
        kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")
        kubectl = Kubectl(kubectl_binary, kubeconfig, cluster)
        schedule(kubectl)
        await until(lambda: all(is_ready(node) for node in cluster.nodes()))
        await until(lambda: cluster.pods()[0]["status"]["phase"] == "Running")
        yield kubectl


def schedule(kubectl: Kubectl) -> None:
    """What a scheduler would write about the two pods."""
    pods = "/api/v1/namespaces/default/pods"
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-2"}}
    kubectl.send("POST", f"{pods}/web/binding", binding, "application/json")
    waits = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": UNSCHEDULABLE,
    }
    kubectl.send(
        "PATCH",
        f"{pods}/giant/status",
        {"status": {"conditions": [waits]}},
        "application/strategic-merge-patch+json",
    )
    (uid,) = [
        pod["metadata"]["uid"]
        for pod in kubectl.cluster.pods()
        if pod["metadata"]["name"] == "giant"
    ]
    event = {
        "metadata": {"name": "giant.1", "namespace": "default"},
        "eventTime": "2026-01-02T03:04:05.678901Z",
        "reportingController": "pyscheduler",
        "reportingInstance": "pyscheduler-host",
        "action": "Scheduling",
        "reason": "FailedScheduling",
        "type": "Warning",
        "note": UNSCHEDULABLE,
        "regarding": {"kind": "Pod", "namespace": "default", "name": "giant", "uid": uid},
    }
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    kubectl.send("POST", path, event, "application/json")


def is_ready(node: dict[str, object]) -> bool:
    return "Ready" in str(node.get("status"))


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(200):
        if happened():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("did not happen in 4 s")


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


async def test_get_pods(kubectl: Kubectl) -> None:
    header, *found = rows(await kubectl("get", "pods"))

    assert header == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row[:4] for row in found] == [
        ["giant", "0/1", "Pending", "0"],
        ["web", "1/1", "Running", "0"],
    ]


async def test_get_pods_wide_and_by_selector(kubectl: Kubectl) -> None:
    wide = rows(await kubectl("get", "pods", "-A", "-o", "wide"))
    pending = await kubectl("get", "pods", "--field-selector=status.phase=Pending", "-o", "name")

    assert wide[0][:8] == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert wide[2][7] == "node-2"
    assert pending == "pod/giant\n"


async def test_get_nodes(kubectl: Kubectl) -> None:
    header, *found = rows(await kubectl("get", "nodes"))

    assert header == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert [row[:2] for row in found] == [["node-1", "Ready"], ["node-2", "Ready"]]


async def test_get_as_json_is_the_object(kubectl: Kubectl) -> None:
    text = await kubectl("get", "pod", "web", "-o", "jsonpath={.spec.nodeName} {.kind}")

    assert text == "node-2 Pod"


async def test_get_events(kubectl: Kubectl) -> None:
    text = await kubectl("get", "events")

    assert "FailedScheduling" in text
    assert UNSCHEDULABLE in text


async def test_describe_pod_says_why_it_waits(kubectl: Kubectl) -> None:
    text = await kubectl("describe", "pod", "giant")

    assert "PodScheduled   False" in text
    warning = next(line.split() for line in text.splitlines() if "FailedScheduling" in line)
    assert warning[0] == "Warning"
    assert " ".join(warning).endswith(UNSCHEDULABLE)


async def test_describe_node_counts_its_pods(kubectl: Kubectl) -> None:
    text = await kubectl("describe", "node", "node-2")

    assert "Non-terminated Pods:" in text
    assert "web" in text
    assert "100m (2%)" in text
    assert ["HolderIdentity:", "node-2"] in rows(text)


async def test_create_and_delete_from_a_file(kubectl: Kubectl) -> None:
    created = await kubectl("create", "-f", "-", standard_input=POD)
    deleted = await kubectl("delete", "pod", "from-file")

    assert created == "pod/from-file created\n"
    assert deleted.startswith('pod "from-file" deleted')
    with pytest.raises(KubectlError, match=r'pods "from-file" not found'):
        await kubectl("get", "pod", "from-file")


async def test_delete_waits_for_a_running_pod_to_end(kubectl: Kubectl) -> None:
    await kubectl("delete", "pod", "web")

    assert [pod["metadata"]["name"] for pod in kubectl.cluster.pods()] == ["giant"]


async def test_create_and_delete_objects_without_namespace(kubectl: Kubectl) -> None:
    node = msgspec.json.encode(make_node("node-3")).decode()
    team = "{apiVersion: v1, kind: Namespace, metadata: {name: team}}"

    assert await kubectl("create", "-f", "-", standard_input=team) == "namespace/team created\n"
    assert await kubectl("create", "-f", "-", standard_input=node) == "node/node-3 created\n"
    assert "team" in await kubectl("get", "namespaces")
    assert (await kubectl("delete", "namespace", "team")).startswith('namespace "team" deleted')


async def test_create_by_generator_sends_protobuf_which_is_not_served(kubectl: Kubectl) -> None:
    with pytest.raises(KubectlError, match="does not serve the content type"):
        await kubectl("create", "namespace", "team")


async def test_create_of_an_invalid_pod_says_what_is_wrong(kubectl: Kubectl) -> None:
    bad = POD.replace("image: registry.example/app:1", "image: ''")

    with pytest.raises(KubectlError, match=r"spec\.containers\[0\]\.image: Required value"):
        await kubectl("create", "-f", "-", standard_input=bad)


async def test_get_watch_prints_each_change(kubectl: Kubectl) -> None:
    process = await asyncio.create_subprocess_exec(
        str(kubectl.binary),
        f"--kubeconfig={kubectl.kubeconfig}",
        *("get", "pods", "-w", "--no-headers"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        lines = [await asyncio.wait_for(process.stdout.readline(), 10) for _ in range(2)]
        kubectl.cluster.create_pods([make_pod("late")])
        lines.append(await asyncio.wait_for(process.stdout.readline(), 10))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    names = [line.split()[0].decode() for line in lines]
    assert names == ["giant", "web", "late"]


async def test_a_kind_that_is_not_served_says_so(kubectl: Kubectl) -> None:
    with pytest.raises(KubectlError, match="doesn't have a resource type"):
        await kubectl("get", "deployments")
