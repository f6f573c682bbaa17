"""What the server says about itself, and what the embedded one says it does not do."""

from __future__ import annotations

import pytest

from tests.contract.api import Api


async def test_the_version_has_what_clients_compare(api: Api) -> None:
    version = await api.get("/version")

    assert version["gitVersion"].startswith("v1.")
    assert version["major"] == "1"


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
async def test_health_is_plain_text(api: Api, path: str) -> None:
    answer = await api.ok("GET", path)

    assert answer.body == {"text": "ok"}


async def test_the_core_group_lists_its_kinds(api: Api) -> None:
    assert "v1" in (await api.get("/api"))["versions"]
    listed = await api.get("/api/v1")

    found = {resource["name"]: resource for resource in listed["resources"]}
    pods = found["pods"]
    assert (pods["kind"], pods["singularName"], pods["namespaced"]) == ("Pod", "pod", True)
    assert pods["shortNames"] == ["po"]
    assert {"get", "list", "watch", "create", "delete", "patch", "update"} <= set(pods["verbs"])
    assert found["nodes"]["namespaced"] is False
    assert found["pods/binding"]["kind"] == "Binding"
    assert found["pods/binding"]["verbs"] == ["create"]
    assert set(found["nodes/status"]["verbs"]) == {"get", "patch", "update"}


@pytest.mark.parametrize(
    ("group", "resource", "kind"),
    [
        ("coordination.k8s.io", "leases", "Lease"),
        ("events.k8s.io", "events", "Event"),
        ("scheduling.k8s.io", "priorityclasses", "PriorityClass"),
    ],
)
async def test_named_groups_list_theirs(api: Api, group: str, resource: str, kind: str) -> None:
    groups = await api.get("/apis")
    listed = await api.get(f"/apis/{group}/v1")

    (entry,) = [found for found in groups["groups"] if found["name"] == group]
    assert entry["preferredVersion"] == {"groupVersion": f"{group}/v1", "version": "v1"}
    assert listed["groupVersion"] == f"{group}/v1"
    assert kind in {found["kind"] for found in listed["resources"] if found["name"] == resource}


@pytest.mark.embedded_only("the real server does all of it")
@pytest.mark.parametrize(
    ("method", "path", "options", "named"),
    [
        pytest.param("GET", "/api/v1/endpoints", {}, "/api/v1/endpoints", id="kind"),
        pytest.param("GET", "/apis/batch/v1/jobs", {}, "batch/v1", id="group"),
        pytest.param("GET", "/metrics", {}, "/metrics", id="path"),
        pytest.param("HEAD", "/api/v1/pods", {}, "HEAD", id="verb"),
        pytest.param(
            "GET",
            "/api/v1/pods",
            {"accept": "application/vnd.kubernetes.protobuf"},
            "application/vnd.kubernetes.protobuf",
            id="accept",
        ),
        pytest.param(
            "POST",
            "/api/v1/namespaces/default/pods",
            {"content_type": "application/yaml", "body": {}},
            "application/yaml",
            id="content-type",
        ),
        pytest.param(
            "PATCH",
            "/api/v1/namespaces/default/pods/a",
            {"content_type": "application/apply-patch+yaml", "body": {}},
            "application/apply-patch+yaml",
            id="server-side-apply",
        ),
        pytest.param("GET", "/api/v1/namespaces/default/pods/a/log", {}, "/log", id="subresource"),
    ],
)
async def test_what_is_not_served_names_itself(
    api: Api, method: str, path: str, options: dict[str, str], named: str
) -> None:
    answer = await api.request(method, path, **options)

    assert answer.status == 501
    if method != "HEAD":
        assert answer.body["reason"] == "NotImplemented"
        assert named in answer.message
