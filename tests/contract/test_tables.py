"""Tables: what ``kubectl get`` asks for."""

from __future__ import annotations

from tests.contract.api import Api, Json

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def columns(table: Json, priority: int = 0) -> list[str]:
    return [c["name"] for c in table["columnDefinitions"] if c["priority"] <= priority]


async def test_pods_as_a_table(api: Api) -> None:
    await api.create_pods("a")
    await api.create_pods("b", nodeName="n1")
    await api.create_pods("c", schedulingGates=[{"name": "wait"}])

    table = (await api.ok("GET", api.pods, accept=TABLE)).body

    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert columns(table) == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert columns(table, 1)[5:] == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    rows = [row["cells"][:4] + row["cells"][5:] for row in table["rows"]]
    assert rows == [
        ["a", "0/1", "Pending", "0", "<none>", "<none>", "<none>", "<none>"],
        ["b", "0/1", "Pending", "0", "<none>", "n1", "<none>", "<none>"],
        ["c", "0/1", "SchedulingGated", "0", "<none>", "<none>", "<none>", "<none>"],
    ]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_one_pod_as_a_table_can_carry_the_object(api: Api) -> None:
    await api.create_pods("a")

    table = (await api.ok("GET", api.pod("a"), accept=TABLE, includeObject="Object")).body

    (row,) = table["rows"]
    assert row["object"]["kind"] == "Pod"
    assert row["object"]["spec"]["schedulerName"] == "nobody"


async def test_a_terminating_pod_says_so(api: Api) -> None:
    await api.create_pods("a", nodeName="n1")
    await api.ok("DELETE", api.pod("a"))

    table = (await api.ok("GET", api.pod("a"), accept=TABLE)).body

    assert table["rows"][0]["cells"][2] == "Terminating"


async def test_nodes_as_a_table(api: Api) -> None:
    name = f"{api.namespace}-node"
    body = {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.2.3"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        },
    }
    await api.ok("POST", "/api/v1/nodes", body)

    table = (await api.ok("GET", f"/api/v1/nodes/{name}", accept=TABLE)).body
    await api.ok("DELETE", f"/api/v1/nodes/{name}")

    assert columns(table) == ["Name", "Status", "Roles", "Age", "Version"]
    cells = table["rows"][0]["cells"]
    assert cells[:3] == [name, "Ready,SchedulingDisabled", "worker"]
    assert cells[4:7] == ["v1.2.3", "10.0.0.1", "<none>"]


async def test_other_kinds_as_tables(api: Api) -> None:
    expected = {
        api.config_maps: ["Name", "Data", "Age"],
        api.leases: ["Name", "Holder", "Age"],
        api.events: ["Last Seen", "Type", "Reason", "Object", "Message"],
        "/api/v1/namespaces": ["Name", "Status", "Age"],
        "/apis/scheduling.k8s.io/v1/priorityclasses": [
            "Name",
            "Value",
            "Global-Default",
            "Age",
            "PreemptionPolicy",
        ],
    }

    for path, wanted in expected.items():
        table = (await api.ok("GET", path, accept=TABLE)).body
        assert columns(table) == wanted, path


async def test_a_watch_of_tables_defines_its_columns_once(api: Api) -> None:
    await api.create_pods("a")

    async with api.watch(api.pods, accept=TABLE, resourceVersion="0") as watch:
        first = await watch.next()
        await api.create_pods("b")
        second = await watch.next()

    if first["object"]["kind"] == "Pod":  # the transport of the scheduler asks for plain JSON only
        return
    assert columns(first["object"])[0] == "Name"
    assert first["object"]["rows"][0]["cells"][0] == "a"
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][0] == "b"
