"""WATCH: from a version, with initial state, with selectors, to its end."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from tests.contract.api import Api, Json

INITIAL_STATE = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
END = {"k8s.io/initial-events-end": "true"}


async def version_now(api: Api) -> str:
    listed = await api.get(api.pods)
    return str(listed["metadata"]["resourceVersion"])


def status_patch(phase: str) -> Json:
    return {"status": {"phase": phase}}


async def test_a_watch_from_a_version_has_exactly_what_came_after(api: Api) -> None:
    await api.create_pods("before")
    version = await version_now(api)
    await api.create_pods("missed")

    async with api.watch(api.pods, resourceVersion=version) as watch:
        await api.create_pods("live")

        assert watch.status == 200
        assert await watch.names(2) == [("ADDED", "missed"), ("ADDED", "live")]
        assert await watch.is_quiet()


async def test_events_carry_whole_objects_with_kind_and_rising_versions(api: Api) -> None:
    version = await version_now(api)

    async with api.watch(api.pods, resourceVersion=version) as watch:
        (created,) = await api.create_pods("a")
        await api.patch(api.pod("a"), {"metadata": {"labels": {"x": "y"}}}, "merge")
        await api.ok("DELETE", api.pod("a"))
        events = await watch.take(4)

    # A deleted pod is marked before it goes.
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert events[0]["object"] == created
    assert events[3]["object"]["metadata"]["labels"] == {"x": "y"}
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


async def test_version_zero_begins_with_the_state(api: Api) -> None:
    await api.create_pods("a", "b")
    await version_now(api)

    async with api.watch(api.pods, resourceVersion="0") as watch:
        assert {await first_name(watch), await first_name(watch)} == {"a", "b"}
        await api.create_pods("c")
        assert await watch.names(1) == [("ADDED", "c")]


async def first_name(watch: Any) -> str:
    event = await watch.next()
    assert event["type"] == "ADDED"
    return str(event["object"]["metadata"]["name"])


async def test_initial_events_end_with_their_bookmark(api: Api) -> None:
    await api.create_pods("b", "a", "c")

    async with api.watch(api.pods, **INITIAL_STATE) as watch:
        assert await watch.names(3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
        bookmark = await watch.next()
        await api.create_pods("d")
        later = await watch.next()

    assert bookmark["type"] == "BOOKMARK"
    metadata = bookmark["object"]["metadata"]
    assert bookmark["object"]["kind"] == "Pod"
    assert metadata["annotations"] == END
    assert (later["type"], later["object"]["metadata"]["name"]) == ("ADDED", "d")
    assert int(later["object"]["metadata"]["resourceVersion"]) > int(metadata["resourceVersion"])


async def test_initial_events_of_nothing_are_the_bookmark_alone(api: Api) -> None:
    async with api.watch(api.pods, **INITIAL_STATE) as watch:
        bookmark = await watch.next()

    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == END


async def test_initial_events_can_ask_for_a_version_not_older(api: Api) -> None:
    (created,) = await api.create_pods("a")
    version = created["metadata"]["resourceVersion"]

    async with api.watch(api.pods, resourceVersion=version, **INITIAL_STATE) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        bookmark = await watch.next()

    assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(version)


async def test_without_bookmarks_the_end_of_the_initial_events_is_not_told(api: Api) -> None:
    await api.create_pods("a")
    params = {**INITIAL_STATE, "allowWatchBookmarks": "false"}

    async with api.watch(api.pods, **params) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        await api.create_pods("b")
        assert await watch.names(1) == [("ADDED", "b")]


async def test_initial_events_can_be_declined(api: Api) -> None:
    await api.create_pods("a")
    version = await version_now(api)
    params = {**INITIAL_STATE, "sendInitialEvents": "false", "resourceVersion": version}

    async with api.watch(api.pods, **params) as watch:
        await api.create_pods("b")
        assert await watch.names(1) == [("ADDED", "b")]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        pytest.param(
            {"sendInitialEvents": "true"},
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting"
            " resourceVersionMatch to NotOlderThan",
            id="initial-events-without-match",
        ),
        pytest.param(
            {"resourceVersionMatch": "NotOlderThan"},
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless"
            " sendInitialEvents is provided",
            id="match-without-initial-events",
        ),
    ],
)
async def test_forbidden_combinations_are_invalid(
    api: Api, params: dict[str, str], problem: str
) -> None:
    answer = await api.request("GET", api.pods, watch="1", **params)

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message == f'ListOptions.meta.k8s.io "" is invalid: {problem}'


async def test_a_version_before_the_window_is_an_error_event(
    api: Api, cluster: EmbeddedCluster
) -> None:
    await api.create_pods("a")
    if not api.is_real:
        cluster.store.compact()

    async with api.watch(api.pods, resourceVersion="1") as watch:
        events = await watch.until_end()

    assert watch.status == 200
    (event,) = events
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


async def test_a_selector_sees_objects_come_and_go(api: Api) -> None:
    await api.create_pods("a", labels={"app": "web"})
    await api.create_pods("b", labels={"app": "db"})
    version = await version_now(api)

    async with api.watch(api.pods, resourceVersion=version, labelSelector="app=web") as watch:
        await api.patch(api.pod("b"), {"metadata": {"labels": {"app": "web"}}}, "merge")
        await api.patch(api.pod("a"), {"metadata": {"labels": {"app": "db"}}}, "merge")
        await api.patch(api.pod("a"), {"metadata": {"labels": {"more": "x"}}}, "merge")
        await api.patch(api.pod("b"), {"metadata": {"labels": {"more": "x"}}}, "merge")
        events = await watch.take(3)

    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "b"),
        ("DELETED", "a"),
        ("MODIFIED", "b"),
    ]
    # The last state that was selected, at the version of the change.
    assert events[1]["object"]["metadata"]["labels"] == {"app": "web"}
    assert int(events[1]["object"]["metadata"]["resourceVersion"]) > int(version)


async def test_a_finished_pod_leaves_the_watch_of_live_ones(api: Api) -> None:
    await api.create_pods("a", nodeName="n1")
    version = await version_now(api)
    alive = "status.phase!=Succeeded,status.phase!=Failed"

    async with api.watch(api.pods, resourceVersion=version, fieldSelector=alive) as watch:
        await api.patch(api.pod("a", "status"), status_patch("Running"), "merge")
        await api.patch(api.pod("a", "status"), status_patch("Succeeded"), "merge")
        await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 0})
        await api.create_pods("b")
        events = await watch.take(3)

    assert [event["type"] for event in events] == ["MODIFIED", "DELETED", "ADDED"]
    assert events[1]["object"]["status"]["phase"] == "Running"


async def test_a_watch_of_one_name_sees_it_alone(api: Api) -> None:
    version = await version_now(api)
    params = {"resourceVersion": version, "fieldSelector": "metadata.name=b"}

    async with api.watch(api.pods, **params) as watch:
        await api.create_pods("a", "b")
        assert await watch.names(1) == [("ADDED", "b")]


async def test_a_watch_of_all_namespaces_sees_this_one(api: Api) -> None:
    version = await version_now(api)

    async with api.watch("/api/v1/pods", resourceVersion=version) as watch:
        await api.create_pods("a")
        event = await watch.next()

    assert event["object"]["metadata"]["namespace"] == api.namespace


async def test_a_watch_does_not_see_other_namespaces(api: Api) -> None:
    other = f"{api.namespace}-other"
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
    version = await version_now(api)

    async with api.watch(api.config_maps, resourceVersion=version) as watch:
        await api.ok("POST", f"/api/v1/namespaces/{other}/configmaps", {"metadata": {"name": "a"}})
        await api.ok("POST", api.config_maps, {"metadata": {"name": "b"}})
        assert await watch.names(1) == [("ADDED", "b")]


async def test_a_watch_ends_after_its_timeout_with_nothing_but_bookmarks(api: Api) -> None:
    version = await version_now(api)
    params = {"resourceVersion": version, "timeoutSeconds": "2", "allowWatchBookmarks": "true"}

    async with api.watch(api.pods, **params) as watch:
        events = await watch.until_end()

    assert {event["type"] for event in events} <= {"BOOKMARK"}


async def test_initial_events_of_a_future_version_are_refused_in_the_stream(api: Api) -> None:
    async with api.watch(api.pods, resourceVersion="999999999", **INITIAL_STATE) as watch:
        (event,) = await watch.until_end()

    status = event["object"]
    assert (watch.status, event["type"]) == (200, "ERROR")
    assert (status["code"], status["reason"]) == (504, "Timeout")
    assert status["message"].startswith("Timeout: Too large resource version: 999999999, current: ")


async def test_a_watch_from_a_future_version_is_silent_until_then(api: Api) -> None:
    params = {"resourceVersion": "999999999", "timeoutSeconds": "3"}

    async with api.watch(api.pods, **params) as watch:
        await api.create_pods("a")
        events = await watch.until_end()

    assert (watch.status, events) == (200, [])
