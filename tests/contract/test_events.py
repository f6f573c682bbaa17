"""Events, in both versions of their API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api import Api, Json, names


def event(api: Api, name: str, **changes: Any) -> Json:
    return {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": name, "namespace": api.namespace},
        "eventTime": "2026-01-02T03:04:05.678901Z",
        "reportingController": "pyscheduler",
        "reportingInstance": "pyscheduler-host",
        "action": "Binding",
        "reason": "Scheduled",
        "type": "Normal",
        "note": "Successfully assigned a/b to c",
        "regarding": {"kind": "Pod", "apiVersion": "v1", "namespace": api.namespace, "name": "b"},
        **changes,
    }


async def test_an_event_is_stored_as_sent(api: Api) -> None:
    answer = await api.request("POST", api.events, event(api, "a"))

    assert answer.status == 201
    sent = event(api, "a")
    assert {key: answer.body[key] for key in sent if key != "metadata"} == {
        key: sent[key] for key in sent if key != "metadata"
    }


async def test_an_event_shows_in_the_core_api(api: Api) -> None:
    await api.ok("POST", api.events, event(api, "a"))

    core = await api.get(f"/api/v1/namespaces/{api.namespace}/events/a")

    assert (core["kind"], core["apiVersion"]) == ("Event", "v1")
    assert core["message"] == "Successfully assigned a/b to c"
    assert core["involvedObject"]["name"] == "b"
    assert core["reportingComponent"] == "pyscheduler"
    assert core["eventTime"] == "2026-01-02T03:04:05.678901Z"
    assert (core["source"], core["firstTimestamp"]) == ({}, None)


async def test_core_events_are_selected_by_their_object(api: Api) -> None:
    await api.ok("POST", api.events, event(api, "a"))
    other = {"kind": "Pod", "namespace": api.namespace, "name": "other", "uid": "u1"}
    await api.ok("POST", api.events, event(api, "o", regarding=other, reason="Other"))
    core = f"/api/v1/namespaces/{api.namespace}/events"

    by_name = await api.get(core, fieldSelector="involvedObject.name=other,involvedObject.uid=u1")
    by_reason = await api.get(core, fieldSelector="reason=Scheduled")

    assert (names(by_name), names(by_reason)) == (["o"], ["a"])


async def test_a_series_is_patched_in(api: Api) -> None:
    await api.ok("POST", api.events, event(api, "a"))
    series = {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000000Z"}

    answer = await api.patch(f"{api.events}/a", {"series": series}, "strategic")

    assert answer.status == 200
    assert answer.body["series"] == series


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"eventTime": None}, "eventTime: Required value", id="no-time"),
        pytest.param({"action": ""}, "action: Required value", id="no-action"),
        pytest.param({"reason": ""}, "reason: Required value", id="no-reason"),
        pytest.param(
            {"reportingInstance": ""}, "reportingInstance: Required value", id="no-instance"
        ),
        pytest.param(
            {"type": "Loud"}, 'type: Invalid value: "": has invalid value: Loud', id="type"
        ),
        pytest.param(
            {"note": "x" * 1025},
            'message: Invalid value: "": can have at most 1024 characters',
            id="long-note",
        ),
        pytest.param(
            {"regarding": {"kind": "Node", "name": "n1"}},
            'involvedObject.namespace: Invalid value: "": does not match event.namespace',
            id="about-a-node-in-a-namespace",
        ),
    ],
)
async def test_an_invalid_event_is_refused(api: Api, changes: Json, problem: str) -> None:
    answer = await api.request("POST", api.events, event(api, "a", **changes))

    assert answer.status == 422
    assert answer.message == f'Event "a" is invalid: {problem}'
