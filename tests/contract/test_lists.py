"""LIST: pages, selectors, resource versions."""

from __future__ import annotations

import pytest

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from tests.contract.api import Api, names

INVALID_VERSION = 'strconv.ParseUint: parsing "abc": invalid syntax'


async def test_a_list_has_its_kind_its_version_and_items_without_kind(api: Api) -> None:
    await api.create_pods("a")

    listed = await api.get(api.pods)

    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert int(listed["metadata"]["resourceVersion"]) > 0
    assert "kind" not in listed["items"][0]
    assert "apiVersion" not in listed["items"][0]


async def test_items_come_in_key_order(api: Api) -> None:
    await api.create_pods("b", "a", "a-b", "a.b", "c")

    assert names(await api.get(api.pods)) == ["a", "a-b", "a.b", "b", "c"]


async def test_an_empty_list_has_an_empty_array(api: Api) -> None:
    assert (await api.get(api.pods))["items"] == []


async def test_pages_join_to_the_whole_at_one_version(api: Api) -> None:
    await api.create_pods("a", "b", "c", "d", "e")

    first = await api.get(api.pods, limit="2")
    token = first["metadata"]["continue"]
    await api.create_pods("aa", "dd")
    await api.ok("DELETE", api.pod("e"))
    second = await api.get(api.pods, **{"limit": "2", "continue": token})
    third = await api.get(api.pods, **{"limit": "2", "continue": second["metadata"]["continue"]})

    assert first["metadata"]["remainingItemCount"] == 3
    assert names(first) + names(second) + names(third) == ["a", "b", "c", "d", "e"]  # type: ignore[operator]  # both are lists
    assert "continue" not in third["metadata"]
    versions = {page["metadata"]["resourceVersion"] for page in (first, second, third)}
    assert len(versions) == 1


async def test_a_limit_of_the_whole_leaves_nothing_to_continue(api: Api) -> None:
    await api.create_pods("a", "b")

    listed = await api.get(api.pods, limit="2")

    assert names(listed) == ["a", "b"]
    assert "continue" not in listed["metadata"]


async def test_pages_of_a_selection_do_not_count_what_remains(api: Api) -> None:
    await api.create_pods("a", "b", "c", labels={"app": "web"})

    listed = await api.get(api.pods, limit="2", labelSelector="app=web")

    assert names(listed) == ["a", "b"]
    assert "remainingItemCount" not in listed["metadata"]


async def test_a_list_over_all_namespaces_has_those_of_each(api: Api) -> None:
    await api.create_pods("a")

    listed = await api.get("/api/v1/pods")

    assert api.namespace in {item["metadata"]["namespace"] for item in listed["items"]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param("app=web", ["web-1", "web-2"], id="equal"),
        pytest.param("app==web,tier=front", ["web-1"], id="two-terms"),
        pytest.param("app!=web", ["db", "plain"], id="not-equal-has-those-without"),
        pytest.param("app in (web,db)", ["db", "web-1", "web-2"], id="in"),
        pytest.param("app notin (web)", ["db", "plain"], id="notin-has-those-without"),
        pytest.param("tier", ["db", "web-1"], id="exists"),
        pytest.param("!app", ["plain"], id="absent"),
        pytest.param("app in (web),tier notin (front)", ["web-2"], id="sets-joined"),
    ],
)
async def test_label_selectors(api: Api, selector: str, expected: list[str]) -> None:
    await api.create_pods("web-1", labels={"app": "web", "tier": "front"})
    await api.create_pods("web-2", labels={"app": "web"})
    await api.create_pods("db", labels={"app": "db", "tier": "back"})
    await api.create_pods("plain")

    assert names(await api.get(api.pods, labelSelector=selector)) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param("metadata.name=b", ["b"], id="name"),
        pytest.param("spec.nodeName=", ["a"], id="unassigned"),
        pytest.param("spec.nodeName=n1", ["b"], id="assigned"),
        pytest.param("spec.nodeName!=", ["b", "c"], id="any-node"),
        pytest.param("spec.schedulerName=nobody", ["a", "b"], id="scheduler"),
        pytest.param("status.phase!=Succeeded,status.phase!=Failed", ["a", "b", "c"], id="alive"),
        pytest.param("status.phase==Running", [], id="phase"),
    ],
)
async def test_field_selectors(api: Api, selector: str, expected: list[str]) -> None:
    await api.create_pods("a")
    await api.create_pods("b", nodeName="n1")
    await api.create_pods("c", nodeName="n2", schedulerName="somebody")

    assert names(await api.get(api.pods, fieldSelector=selector)) == expected


async def test_an_unknown_field_is_a_bad_request(api: Api) -> None:
    answer = await api.request("GET", api.pods, fieldSelector="spec.priority=1")

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert "field label not supported: spec.priority" in answer.message


@pytest.mark.parametrize("selector", ["app in web", "app in ()x", "-bad=1", "a=b=c"])
async def test_an_unreadable_label_selector_is_a_bad_request(api: Api, selector: str) -> None:
    answer = await api.request("GET", api.pods, labelSelector=selector)

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


async def test_version_zero_and_a_past_version_give_a_state_not_older(api: Api) -> None:
    (created,) = await api.create_pods("a")
    version = created["metadata"]["resourceVersion"]

    listed = await api.get(api.pods, resourceVersion=version)
    newer = await api.get(api.pods, resourceVersion=version, resourceVersionMatch="NotOlderThan")

    assert names(listed) == names(newer) == ["a"]
    await api.ok("GET", api.pods, resourceVersion="0")


async def test_an_exact_version_gives_that_state(api: Api) -> None:
    await api.create_pods("a", "b")
    version = (await api.get(api.pods))["metadata"]["resourceVersion"]
    await api.create_pods("c")
    await api.ok("DELETE", api.pod("a"))

    listed = await api.get(api.pods, resourceVersion=version, resourceVersionMatch="Exact")

    assert names(listed) == ["a", "b"]
    assert listed["metadata"]["resourceVersion"] == version


async def test_a_future_version_is_a_timeout_with_its_cause(api: Api) -> None:
    answer = await api.request("GET", api.pods, resourceVersion="999999999")

    assert (answer.status, answer.body["reason"]) == (504, "Timeout")
    assert answer.message.startswith("Timeout: Too large resource version: 999999999, current: ")
    (cause,) = answer.body["details"]["causes"]
    assert cause == {
        "reason": "ResourceVersionTooLarge",
        "message": "Too large resource version",
    }


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        pytest.param(
            {"resourceVersionMatch": "Exact"},
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless"
            " resourceVersion is provided",
            id="match-without-version",
        ),
        pytest.param(
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for'
            ' resourceVersion "0"',
            id="exactly-zero",
        ),
        pytest.param(
            {"resourceVersionMatch": "Newest", "resourceVersion": "1"},
            'resourceVersionMatch: Unsupported value: "Newest": supported values:'
            ' "Exact", "NotOlderThan", ""',
            id="unknown-match",
        ),
        pytest.param(
            {"sendInitialEvents": "true"},
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            id="initial-events",
        ),
    ],
)
async def test_forbidden_combinations_are_invalid(
    api: Api, params: dict[str, str], problem: str
) -> None:
    answer = await api.request("GET", api.pods, **params)

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message == f'ListOptions.meta.k8s.io "" is invalid: {problem}'


async def test_an_unreadable_version_is_refused(api: Api) -> None:
    answer = await api.request("GET", api.pods, resourceVersion="abc")

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert INVALID_VERSION in answer.message


async def test_an_unreadable_continue_token_is_refused(api: Api) -> None:
    answer = await api.request("GET", api.pods, **{"continue": "?", "limit": "1"})

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert "continue key is not valid" in answer.message


@pytest.mark.embedded_only("compaction of the real etcd cannot be forced through the API")
async def test_an_expired_continue_token_offers_to_go_on(
    api: Api, cluster: EmbeddedCluster
) -> None:
    await api.create_pods("a", "b", "c")
    first = await api.get(api.pods, limit="1")
    await api.create_pods("d")
    cluster.store.compact()

    token = first["metadata"]["continue"]
    answer = await api.request("GET", api.pods, **{"limit": "1", "continue": token})
    again = await api.get(api.pods, **{"continue": answer.body["metadata"]["continue"]})

    assert (answer.status, answer.body["reason"]) == (410, "Expired")
    assert names(again) == ["b", "c", "d"]


@pytest.mark.embedded_only("compaction of the real etcd cannot be forced through the API")
async def test_an_exact_version_before_the_window_is_gone(
    api: Api, cluster: EmbeddedCluster
) -> None:
    (created,) = await api.create_pods("a")
    await api.create_pods("b")
    cluster.store.compact()

    answer = await api.request(
        "GET",
        api.pods,
        resourceVersion=created["metadata"]["resourceVersion"],
        resourceVersionMatch="Exact",
    )

    assert (answer.status, answer.body["reason"]) == (410, "Expired")
