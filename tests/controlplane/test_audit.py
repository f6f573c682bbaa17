from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.controlplane.audit import AuditLog


def line(**changes: object) -> str:
    event: dict[str, object] = {
        "auditID": "a",
        "stage": "ResponseComplete",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/ns/pods/web/binding",
        "user": {"username": "someone"},
        "objectRef": {
            "resource": "pods",
            "subresource": "binding",
            "namespace": "ns",
            "name": "web",
        },
        "requestObject": {"target": {"kind": "Node", "name": "node-1"}},
        "responseStatus": {"code": 201},
        "requestReceivedTimestamp": "2026-01-01T00:00:10.000000Z",
        "stageTimestamp": "2026-01-01T00:00:10.250000Z",
    }
    return json.dumps(event | changes) + "\n"


T0 = 1767225600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def test_binding_has_pod_and_node(path: Path) -> None:
    path.write_text(line() + line(responseStatus={"code": 409}))

    (binding,) = AuditLog.read(path).bindings_by_pod()["ns/web"]

    assert binding.target_node == "node-1"
    assert binding.duration_s == pytest.approx(0.25)


def test_half_written_line_is_left_for_the_next_reading(path: Path) -> None:
    path.write_text(line() + line()[:100])

    assert len(AuditLog.read(path).entries) == 1


def test_reading_from_an_offset_leaves_out_what_was_before(path: Path) -> None:
    path.write_text(line() + line(auditID="b"))

    log = AuditLog.read(path, offset=len(line()))

    assert [entry.audit_id for entry in log.entries] == ["b"]


def test_watch_lasts_from_its_request_to_its_end(path: Path) -> None:
    watch = {"verb": "watch", "objectRef": {"resource": "pods"}, "responseStatus": {"code": 200}}
    end = {"stageTimestamp": "2026-01-01T00:00:40Z"}
    path.write_text(
        line(stage="ResponseStarted", **watch)
        + line(stage="ResponseStarted", auditID="open", **watch)
        + line(**watch, **end)
    )

    durations = [entry.duration_s for entry in AuditLog.read(path).watches("pods")]

    assert durations == [pytest.approx(30), None]


@pytest.mark.parametrize(
    ("starts", "counted"),
    [
        pytest.param([(T0, T0 + 9)], 1, id="server was ready"),
        pytest.param([(T0, T0 + 9), (T0 + 9.5, T0 + 12)], 0, id="server was starting"),
    ],
)
def test_only_a_ready_server_forbids(
    path: Path, starts: list[tuple[float, float]], counted: int
) -> None:
    path.write_text(line(responseStatus={"code": 403}))

    assert len(AuditLog.read(path, starts=starts).forbidden()) == counted


def test_service_account_token_says_which_pod_it_is_of(path: Path) -> None:
    user = {"username": "account", "extra": {"authentication.kubernetes.io/pod-name": ["one"]}}
    path.write_text(line(user=user) + line(auditID="b"))

    log = AuditLog.read(path)

    assert [entry.user_pod for entry in log.entries] == ["one", ""]
    assert len(log.of_pod("one").entries) == 1
