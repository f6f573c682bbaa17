import asyncio
import json
from random import Random
from typing import Any

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pyscheduler.api.core_v1 import Pod, PodCondition, PodStatus
from pyscheduler.client.dispatcher import (
    BindError,
    BindFenced,
    BindPodGone,
    BindRefused,
    BindUnavailable,
    Dispatcher,
)
from pyscheduler.client.errors import ApiError, Conflict, Forbidden, Invalid, ServerUnreachable
from pyscheduler.client.sending import WriteRequest
from pyscheduler.client.transport import Response
from pyscheduler.clock import FakeClock
from tests.unit.client.scripted import (
    ScriptedTransport,
    cancelled,
    pod,
    refusal,
    settle,
    wire_pod,
)


class Counts:
    def __init__(self) -> None:
        self.words: list[str] = []

    def wrote(self, kind: str, result: str, duration_s: float) -> None:
        self.words.append(f"{kind} {result}")

    def dropped_event(self, reason: str) -> None:
        self.words.append(f"dropped {reason}")


class Bench:
    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport()
        self.counts = Counts()
        self.dispatcher = Dispatcher(
            self.transport, clock=self.clock, rng=Random(1), metrics=self.counts, **options
        )

    def bind(self, subject: Pod, node: str = "n1") -> "asyncio.Task[None]":
        return asyncio.ensure_future(self.dispatcher.bind(subject, node))

    def names(self) -> list[str]:
        return [sent.path.split("/")[6] for sent in self.transport.sent]

    async def pass_time(self, seconds: int) -> None:
        for _ in range(seconds * 2):
            await settle()
            self.clock.advance(0.5)
        await settle()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_bind_posts_the_binding(bench: Bench) -> None:
    await bench.dispatcher.bind(pod("a"), "n1")

    (sent,) = bench.transport.sent
    assert (sent.method, sent.path) == ("POST", "/api/v1/namespaces/shop/pods/a/binding")
    assert sent.body == {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "a", "namespace": "shop", "uid": "uid-a"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
    }
    assert bench.counts.words == ["binding success"]


async def test_waiting_binds_go_by_priority_once_the_window_is_full() -> None:
    bench = Bench(bind_window=2)
    bench.transport.gate = asyncio.Event()
    tasks = [bench.bind(pod(f"p{i}")) for i in range(4)]
    await settle()
    tasks.append(bench.bind(pod("urgent", priority=1000)))
    await settle()
    assert bench.dispatcher.unsent_binds == 3
    assert bench.transport.in_flight == 2
    bench.transport.gate.set()
    await asyncio.gather(*tasks)

    assert bench.names() == ["p0", "p1", "urgent", "p2", "p3"]
    assert bench.dispatcher.pending()["binding"] == 0


async def test_cancelled_waiter_gives_its_slot_on() -> None:
    bench = Bench(bind_window=1)
    bench.transport.gate = asyncio.Event()
    first, second, third = (bench.bind(pod(name)) for name in "abc")
    await settle()
    await cancelled(second)
    bench.transport.gate.set()
    await asyncio.gather(first, third)

    assert bench.names() == ["a", "c"]
    assert bench.dispatcher.pending()["binding"] == 0


ASSIGNED = (
    'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "{}"'
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(refusal(409, "Conflict", ASSIGNED.format("n2")), BindRefused, id="elsewhere"),
        pytest.param(refusal(409, "Conflict", "Precondition failed: UID"), BindRefused, id="uid"),
        pytest.param(refusal(404, "NotFound", 'pods "a" not found'), BindPodGone, id="gone"),
        pytest.param(refusal(403, "Forbidden", "no"), BindRefused, id="rights lacking"),
    ],
)
async def test_final_refusal_fails_the_bind(
    bench: Bench, answer: Response, expected: type[BindError]
) -> None:
    bench.transport.answers.append(answer)

    with pytest.raises(expected, match="shop/a: not bound to n1"):
        await bench.dispatcher.bind(pod("a"), "n1")
    assert len(bench.transport.sent) == 1
    assert bench.counts.words == ["binding error"]


async def test_bind_whose_answer_was_lost_counts_when_the_node_is_ours(bench: Bench) -> None:
    bench.transport.answers.extend(
        [ServerUnreachable("reset"), refusal(409, "Conflict", ASSIGNED.format("n1"))]
    )
    task = bench.bind(pod("a"))
    await bench.pass_time(2)

    await task
    assert bench.counts.words == ["binding success"]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(ServerUnreachable("refused", is_sent=False), id="refused"),
        pytest.param(refusal(500, "InternalError", "etcd"), id="500"),
        pytest.param(refusal(503, "ServiceUnavailable", "starting"), id="503"),
    ],
)
async def test_bind_is_sent_again_while_the_server_is_in_trouble(
    bench: Bench, trouble: Response | Exception
) -> None:
    bench.transport.answers.extend([trouble] * 4)
    task = bench.bind(pod("a"))
    await bench.pass_time(12)

    await task
    assert len(bench.transport.sent) == 5


async def test_a_server_that_comes_back_may_forbid_for_a_while(bench: Bench) -> None:
    bench.transport.answers.extend(
        [ServerUnreachable("reset"), refusal(403, "Forbidden", "RBAC: not ready")]
    )
    task = bench.bind(pod("a"))
    await bench.pass_time(3)

    await task
    assert bench.counts.words == ["binding success"]


async def test_bind_waits_as_long_as_the_server_asks(bench: Bench) -> None:
    bench.transport.answers.append(refusal(429, "TooManyRequests", "later", Retry_After="7"))
    task = bench.bind(pod("a"))
    await bench.pass_time(6)
    assert len(bench.transport.sent) == 1
    await bench.pass_time(2)

    await task
    assert len(bench.transport.sent) == 2


async def test_bind_is_given_up_when_patience_is_over(bench: Bench) -> None:
    bench.transport.default = refusal(503)
    task = bench.bind(pod("a"))
    await bench.pass_time(40)

    with pytest.raises(BindUnavailable):
        await task


async def test_fence_stops_waiting_and_repeated_binds() -> None:
    bench = Bench(bind_window=1)
    bench.transport.answers.append(refusal(503))
    repeated, waiting = bench.bind(pod("a")), bench.bind(pod("b"))
    await settle()
    bench.dispatcher.fence()
    await bench.pass_time(2)

    with pytest.raises(BindFenced):
        await waiting
    with pytest.raises(BindUnavailable):
        await repeated
    with pytest.raises(BindFenced):
        await bench.dispatcher.bind(pod("c"), "n1")
    assert bench.names() == ["a"]
    assert bench.dispatcher.pending()["binding"] == 0


async def test_who_may_not_write_is_asked_before_each_write() -> None:
    bench = Bench()
    may_write = True
    bench.dispatcher.ask_before_writing(lambda: may_write)
    bench.transport.answers.append(refusal(503))
    repeated = bench.bind(pod("a"))
    await settle()

    may_write = False
    await bench.pass_time(2)

    with pytest.raises(BindUnavailable):
        await repeated
    with pytest.raises(BindFenced):
        await bench.dispatcher.bind(pod("b"), "n1")
    with pytest.raises(BindFenced):
        await bench.dispatcher.delete_pod(pod("c"))
    refuse(bench, pod("d"), "no")
    await settle()
    assert bench.names() == ["a"]


async def test_waiting_for_the_rate_limit_does_not_outlive_the_lease() -> None:
    bench = Bench(qps=1, burst=1)
    await bench.dispatcher.bind(pod("a"), "n1")
    late = bench.bind(pod("b"))
    await settle()
    bench.dispatcher.ask_before_writing(lambda: False)
    await bench.pass_time(2)

    with pytest.raises(BindFenced):
        await late
    assert bench.names() == ["a"]


async def test_others_can_ask_whether_this_process_may_still_write(bench: Bench) -> None:
    leads = True
    assert bench.dispatcher.may_write()

    bench.dispatcher.ask_before_writing(lambda: leads)
    assert bench.dispatcher.may_write()
    leads = False
    assert not bench.dispatcher.may_write()
    leads = True
    bench.dispatcher.fence()
    assert not bench.dispatcher.may_write()


async def test_no_event_is_taken_behind_the_fence(bench: Bench) -> None:
    bench.dispatcher.fence()

    bench.dispatcher.send_event("k", WriteRequest("POST", "/events", b"{}"))
    await settle()

    assert bench.transport.sent == []
    assert bench.counts.words == ["dropped no longer the leader"]


def refuse(bench: Bench, subject: Pod, message: str, nominated: str | None = None) -> None:
    bench.dispatcher.patch_pod_status(
        subject, reason="Unschedulable", message=message, nominated_node_name=nominated
    )


async def test_condition_is_patched_with_uid_and_generation(bench: Bench) -> None:
    refuse(bench, pod("a", generation=3), "0/1 nodes are available: 1 Insufficient cpu.")
    await settle()

    (sent,) = bench.transport.sent
    assert (sent.method, sent.path) == ("PATCH", "/api/v1/namespaces/shop/pods/a/status")
    assert sent.content_type == "application/strategic-merge-patch+json"
    assert sent.body == {
        "metadata": {"uid": "uid-a", "resourceVersion": ""},
        "status": {
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available: 1 Insufficient cpu.",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2023-11-14T22:13:20Z",
                }
            ]
        },
    }


CHANGED = refusal(409, "Conflict", "the object has been modified")


def at_version(version: str) -> Pod:
    known = pod("a")
    return structs.replace(
        known, metadata=structs.replace(known.metadata, resource_version=version)
    )


def stored(version: int, **of_pod: Any) -> Response:
    """The server's answer to who asks for the pod."""
    return Response(200, json.dumps(wire_pod("a", version, **of_pod)).encode())


def versions_written(bench: Bench) -> list[str]:
    patches = [sent for sent in bench.transport.sent if sent.method == "PATCH"]
    return [sent.body["metadata"]["resourceVersion"] for sent in patches]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(stored(8, nodeName="n1"), id="bound"),
        pytest.param(stored(8, uid="another"), id="made-again"),
        pytest.param(refusal(404, "NotFound"), id="gone"),
        pytest.param(Response(200, b"[]"), id="no-pod"),
    ],
)
async def test_a_pod_that_waits_no_longer_is_not_told_why_it_waits(
    found: Response, bench: Bench
) -> None:
    bench.transport.answers.extend([CHANGED, found])

    refuse(bench, at_version("7"), "too late")
    await bench.pass_time(2)

    assert versions_written(bench) == ["7"]


async def test_condition_is_written_onto_the_pod_as_the_server_has_it(bench: Bench) -> None:
    bench.transport.answers.extend([CHANGED, stored(8), CHANGED, stored(9)])

    refuse(bench, at_version("7"), "still true")
    await settle()

    assert versions_written(bench) == ["7", "8", "9"]
    reads = [sent.path for sent in bench.transport.sent if sent.method == "GET"]
    assert reads == ["/api/v1/namespaces/shop/pods/a"] * 2


async def test_condition_whose_answer_was_lost_is_not_written_twice(bench: Bench) -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "full",
    }
    wire = {**wire_pod("a", 8), "status": {"conditions": [condition]}}
    bench.transport.answers.extend([CHANGED, Response(200, json.dumps(wire).encode())])

    refuse(bench, at_version("7"), "full")
    await settle()

    assert versions_written(bench) == ["7"]


async def test_condition_of_a_pod_that_never_stays_the_same_is_given_up(bench: Bench) -> None:
    bench.transport.answers.extend([CHANGED, stored(8)] * 9)

    refuse(bench, at_version("7"), "true")
    await settle()

    assert len(versions_written(bench)) == 5
    assert bench.dispatcher.pending()["status"] == 0


def with_condition(message: str) -> Pod:
    known = PodCondition(
        type="PodScheduled",
        status="False",
        reason="Unschedulable",
        message=message,
        observed_generation=1,
    )
    plain = pod("a")
    return Pod(plain.metadata, plain.spec, PodStatus(conditions=(known,)))


async def test_condition_that_changes_nothing_is_not_sent(bench: Bench) -> None:
    refuse(bench, with_condition("full"), "full")
    await settle()

    assert bench.transport.sent == []


async def test_same_condition_keeps_its_transition_time(bench: Bench) -> None:
    refuse(bench, with_condition("full"), "fuller")
    await settle()

    (condition,) = bench.transport.sent[0].body["status"]["conditions"]
    assert "lastTransitionTime" not in condition


@pytest.mark.parametrize(
    ("nominated", "written"),
    [pytest.param("n3", "n3", id="set"), pytest.param("", None, id="cleared")],
)
async def test_nomination_is_written(bench: Bench, nominated: str, written: str | None) -> None:
    plain = with_condition("full")
    status = PodStatus(conditions=plain.status.conditions, nominated_node_name="n9")
    refuse(bench, Pod(plain.metadata, plain.spec, status), "full", nominated)
    await settle()

    assert bench.transport.sent[0].body["status"]["nominatedNodeName"] == written


async def test_newer_condition_replaces_one_not_sent(bench: Bench) -> None:
    bench.transport.gate = asyncio.Event()
    refuse(bench, pod("a"), "first")
    await settle()
    refuse(bench, pod("a"), "second", "n3")
    refuse(bench, pod("a"), "third")
    await settle()
    bench.transport.gate.set()
    await settle()

    bodies = [sent.body["status"] for sent in bench.transport.sent]
    assert [body["conditions"][0]["message"] for body in bodies] == ["first", "third"]
    assert bodies[1]["nominatedNodeName"] == "n3"


async def test_condition_is_dropped_when_the_pod_is_bound_meanwhile(bench: Bench) -> None:
    refuse(bench, pod("a"), "full")
    await bench.dispatcher.bind(pod("a"), "n1")
    await settle()

    assert [sent.method for sent in bench.transport.sent] == ["POST"]


async def test_bind_waits_for_a_condition_on_its_way(bench: Bench) -> None:
    bench.transport.gate = asyncio.Event()
    refuse(bench, pod("a"), "full")
    await settle()
    task = bench.bind(pod("a"))
    await settle()
    assert [sent.method for sent in bench.transport.sent] == ["PATCH"]
    bench.transport.gate.set()
    await task

    assert [sent.method for sent in bench.transport.sent] == ["PATCH", "POST"]


async def test_many_conditions_do_not_hold_up_a_bind(bench: Bench) -> None:
    for number in range(500):
        refuse(bench, pod(f"full{number}"), "full")
    bench.transport.gate = asyncio.Event()
    await settle()
    task = bench.bind(pod("a"))
    await settle()

    assert bench.transport.in_flight == 5
    assert bench.transport.sent[-1].method == "POST"
    bench.transport.gate.set()
    await task
    await bench.dispatcher.close()


async def test_binds_go_before_conditions_at_a_client_side_limit() -> None:
    bench = Bench(qps=1, burst=1)
    tasks = [bench.bind(pod(name)) for name in "abc"]
    refuse(bench, pod("x"), "full")
    await bench.pass_time(5)
    await asyncio.gather(*tasks)

    assert [sent.method for sent in bench.transport.sent] == ["POST", "POST", "POST", "PATCH"]


async def test_deletion_names_the_uid(bench: Bench) -> None:
    await bench.dispatcher.delete_pod(pod("a"))

    (sent,) = bench.transport.sent
    assert (sent.method, sent.path) == ("DELETE", "/api/v1/namespaces/shop/pods/a")
    assert sent.body["preconditions"] == {"uid": "uid-a"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(404), id="gone"),
        pytest.param(
            refusal(409, "Conflict", "the UID in the precondition (x) does not match"),
            id="another by now",
        ),
    ],
)
async def test_deletion_of_what_is_gone_is_done(bench: Bench, answer: Response) -> None:
    bench.transport.answers.append(answer)
    await bench.dispatcher.delete_pod(pod("a"))

    assert bench.counts.words == ["delete success"]


async def test_deletion_that_others_got_in_the_way_of_is_told(bench: Bench) -> None:
    bench.transport.answers.append(refusal(409, "Conflict", "the object has been modified"))

    with pytest.raises(Conflict):
        await bench.dispatcher.delete_pod(pod("a"))


async def test_refused_deletion_is_told(bench: Bench) -> None:
    bench.transport.answers.append(refusal(403, "Forbidden", "cannot delete"))

    with pytest.raises(Forbidden):
        await bench.dispatcher.delete_pod(pod("a"))


async def test_oldest_events_are_dropped_and_counted_when_too_many_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyscheduler.client.background_writes._EVENT_CAPACITY", 10)
    bench = Bench()
    bench.transport.gate = asyncio.Event()
    for number in range(12):
        bench.dispatcher.send_event(f"e{number}", WriteRequest("POST", "/e", b"%d" % number))
    bench.transport.gate.set()
    await settle()

    assert bench.counts.words.count("dropped queue full") == 2
    assert [sent.body for sent in bench.transport.sent] == list(range(2, 12))


async def test_refused_event_is_counted_and_told(bench: Bench) -> None:
    bench.transport.answers.append(refusal(403))
    with capture_logs() as told:
        bench.dispatcher.send_event("e", WriteRequest("POST", "/e", b"{}"))
        await settle()

    assert bench.counts.words == ["event error", "dropped refused"]
    assert [(line["event"], line["event_key"]) for line in told] == [("write given up", "e")]


async def test_drain_waits_for_everything_accepted(bench: Bench) -> None:
    bench.transport.gate = asyncio.Event()
    task = bench.bind(pod("a"))
    bench.dispatcher.send_event("e", WriteRequest("POST", "/e", b"{}"))
    await settle()
    drained = asyncio.ensure_future(bench.dispatcher.drain(10))
    await settle()
    assert not drained.done()
    bench.transport.gate.set()
    await task
    await bench.pass_time(1)

    assert await drained is True


async def test_drain_gives_up_in_time(bench: Bench) -> None:
    bench.transport.gate = asyncio.Event()
    task = bench.bind(pod("a"))
    drained = asyncio.ensure_future(bench.dispatcher.drain(1))
    await bench.pass_time(2)

    assert await drained is False
    await cancelled(task)


async def set_disruption_target(bench: Bench, subject: Pod) -> None:
    await bench.dispatcher.patch_pod_condition(
        subject,
        condition_type="DisruptionTarget",
        reason="PreemptionByScheduler",
        message="default-scheduler: preempting to accommodate a higher priority pod",
    )


async def test_condition_of_a_victim_holds_for_its_uid_in_any_version(bench: Bench) -> None:
    await set_disruption_target(bench, at_version("7"))

    (sent,) = bench.transport.sent
    assert (sent.method, sent.path) == ("PATCH", "/api/v1/namespaces/shop/pods/a/status")
    assert sent.content_type == "application/strategic-merge-patch+json"
    assert sent.body == {
        "metadata": {"uid": "uid-a"},
        "status": {
            "conditions": [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "PreemptionByScheduler",
                    "message": "default-scheduler: preempting to accommodate a higher priority pod",
                    "observedGeneration": 1,
                    "lastTransitionTime": "2023-11-14T22:13:20Z",
                }
            ]
        },
    }
    assert bench.counts.words == ["condition success"]


async def test_condition_that_a_victim_has_is_not_written(bench: Bench) -> None:
    known = PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="PreemptionByScheduler",
        message="default-scheduler: preempting to accommodate a higher priority pod",
        observed_generation=1,
    )
    await set_disruption_target(
        bench, structs.replace(pod("a"), status=PodStatus(conditions=(known,)))
    )

    assert bench.transport.sent == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(404, "NotFound", 'pods "a" not found'), id="gone"),
        pytest.param(
            refusal(
                422,
                "Invalid",
                'Pod "a" is invalid: metadata.uid: Invalid value: "u": field is immutable',
            ),
            id="made again",
        ),
    ],
)
async def test_condition_of_who_is_gone_is_done(bench: Bench, answer: Response) -> None:
    bench.transport.answers.append(answer)

    await set_disruption_target(bench, pod("a"))

    assert len(bench.transport.sent) == 1
    assert bench.counts.words == ["condition success"]


async def test_condition_is_sent_again_after_trouble_and_other_writers(bench: Bench) -> None:
    bench.transport.answers.extend([CHANGED, refusal(503), ServerUnreachable("reset")])
    task = asyncio.ensure_future(set_disruption_target(bench, pod("a")))
    await bench.pass_time(4)

    await task
    assert len(bench.transport.sent) == 4


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(refusal(403, "Forbidden", "cannot patch"), Forbidden, id="rights lacking"),
        pytest.param(refusal(422, "Invalid", "status.conditions: bad"), Invalid, id="invalid"),
    ],
)
async def test_refused_condition_is_told(
    bench: Bench, answer: Response, kind: type[ApiError]
) -> None:
    bench.transport.answers.append(answer)

    with pytest.raises(kind):
        await set_disruption_target(bench, pod("a"))
    assert bench.counts.words == ["condition error"]


async def test_nomination_alone_leaves_the_conditions(bench: Bench) -> None:
    bench.dispatcher.nominate(at_version("7"), "n3")
    await settle()

    (sent,) = bench.transport.sent
    assert (sent.method, sent.path) == ("PATCH", "/api/v1/namespaces/shop/pods/a/status")
    assert sent.body == {
        "metadata": {"uid": "uid-a", "resourceVersion": "7"},
        "status": {"nominatedNodeName": "n3"},
    }


async def test_nomination_that_changes_nothing_is_not_written(bench: Bench) -> None:
    promised = structs.replace(pod("a"), status=PodStatus(nominated_node_name="n3"))

    bench.dispatcher.nominate(promised, "n3")
    bench.dispatcher.nominate(pod("b"), "")
    await settle()

    assert bench.transport.sent == []


async def test_nomination_is_taken_back_although_the_watch_has_not_told_of_it(
    bench: Bench,
) -> None:
    bench.dispatcher.nominate(pod("a"), "n3")
    await settle()
    bench.dispatcher.nominate(pod("a"), "")
    await settle()
    bench.dispatcher.nominate(pod("a"), "")
    await settle()

    written = [sent.body["status"]["nominatedNodeName"] for sent in bench.transport.sent]
    assert written == ["n3", None]


async def test_nomination_joins_a_status_not_sent(bench: Bench) -> None:
    bench.transport.gate = asyncio.Event()
    refuse(bench, pod("a"), "first")
    await settle()
    refuse(bench, pod("a"), "second", "n1")
    bench.dispatcher.nominate(pod("a"), "n2")
    bench.transport.gate.set()
    await settle()

    last = bench.transport.sent[-1].body["status"]
    assert last["conditions"][0]["message"] == "second"
    assert last["nominatedNodeName"] == "n2"
    assert len(bench.transport.sent) == 2


async def test_status_joins_a_nomination_not_sent(bench: Bench) -> None:
    bench.transport.gate = asyncio.Event()
    bench.dispatcher.nominate(pod("a"), "n1")
    await settle()
    bench.dispatcher.nominate(pod("a"), "n2")
    refuse(bench, pod("a"), "full")
    bench.transport.gate.set()
    await settle()

    last = bench.transport.sent[-1].body["status"]
    assert last["conditions"][0]["message"] == "full"
    assert last["nominatedNodeName"] == "n2"


GROUPS = "/apis/example.com/v1/namespaces/shop/groups"


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        pytest.param("POST", "application/json", id="create"),
        pytest.param("PUT", "application/json", id="replace"),
        pytest.param("PATCH", "application/merge-patch+json", id="merge patch"),
    ],
)
async def test_request_sends_the_object_and_answers_what_came_of_it(
    bench: Bench, method: str, content_type: str
) -> None:
    bench.transport.answers.append(Response(200, b'{"status": {"running": 3}}'))

    answer = await bench.dispatcher.request(method, f"{GROUPS}/g", {"spec": {"size": 3}})

    (sent,) = bench.transport.sent
    assert (sent.method, sent.path, sent.content_type) == (method, f"{GROUPS}/g", content_type)
    assert sent.body == {"spec": {"size": 3}}
    assert answer == {"status": {"running": 3}}
    assert bench.counts.words == ["request success"]


async def test_request_without_body_or_answer(bench: Bench) -> None:
    bench.transport.answers.append(Response(200, b""))

    assert await bench.dispatcher.request("DELETE", f"{GROUPS}/g") is None
    assert bench.transport.sent[0].body is None


async def test_creation_whose_answer_was_lost_is_not_made_twice(bench: Bench) -> None:
    bench.transport.answers.append(ServerUnreachable("reset"))

    with pytest.raises(ServerUnreachable):
        await bench.dispatcher.request("POST", GROUPS, {})
    assert len(bench.transport.sent) == 1


@pytest.mark.parametrize(
    ("method", "trouble"),
    [
        pytest.param("PATCH", ServerUnreachable("reset"), id="what may be made twice"),
        pytest.param("POST", ServerUnreachable("refused", is_sent=False), id="never sent"),
        pytest.param("POST", refusal(429, "TooManyRequests", "later"), id="put off"),
    ],
)
async def test_request_is_sent_again_when_that_is_safe(
    bench: Bench, method: str, trouble: Response | Exception
) -> None:
    bench.transport.answers.append(trouble)
    task = asyncio.ensure_future(bench.dispatcher.request(method, GROUPS, {}))
    await bench.pass_time(2)

    await task
    assert len(bench.transport.sent) == 2


async def test_no_request_of_a_plugin_passes_the_fence(bench: Bench) -> None:
    bench.dispatcher.fence()

    with pytest.raises(BindFenced):
        await bench.dispatcher.request("POST", GROUPS, {})
    with pytest.raises(BindFenced, match="shop/a"):
        await set_disruption_target(bench, pod("a"))
    bench.dispatcher.nominate(pod("a"), "n1")
    await settle()
    assert bench.transport.sent == []


async def test_victims_go_after_binds_and_before_statuses_at_a_client_side_limit() -> None:
    bench = Bench(qps=1, burst=1)
    await bench.dispatcher.bind(pod("first"), "n1")
    refuse(bench, pod("status"), "full")
    await settle()
    tasks = [
        asyncio.ensure_future(bench.dispatcher.delete_pod(pod("victim"))),
        bench.bind(pod("second")),
    ]
    await bench.pass_time(5)
    await asyncio.gather(*tasks)

    assert bench.names() == ["first", "second", "victim", "status"]
