import asyncio
import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from pyscheduler.client.errors import Forbidden, ServerUnreachable
from pyscheduler.client.leader_election import LeaderElector, LeaseTimes
from pyscheduler.client.rest import Rest
from pyscheduler.client.transport import Response
from pyscheduler.clock import FakeClock
from tests.unit.client.scripted import ScriptedTransport, cancelled, refusal, settle

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


class LeaseServer(ScriptedTransport):
    """Keeps one lease, with optimistic concurrency, as the API server does."""

    def __init__(self) -> None:
        super().__init__()
        self.lease: dict[str, Any] | None = None
        self.trouble: Exception | Response | None = None
        self.is_hung = False
        self.writes = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        assert timeout_s is not None
        await asyncio.sleep(0)
        if self.is_hung:
            await asyncio.get_running_loop().create_future()
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if self.trouble is not None:
            return self.trouble
        if method == "GET":
            assert path == f"{PATH}/pyscheduler"
            if self.lease is None:
                return refusal(404, "NotFound")
            return Response(200, json.dumps(self.lease).encode())
        sent = json.loads(body or b"")
        if method == "POST":
            if self.lease is not None:
                return refusal(409, "AlreadyExists")
        elif (
            self.lease is None
            or sent["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]
        ):
            return refusal(409, "Conflict")
        return self.keep(sent)

    def keep(self, lease: dict[str, Any]) -> Response:
        self.writes += 1
        lease["metadata"]["resourceVersion"] = str(self.writes)
        self.lease = lease
        return Response(200, json.dumps(lease).encode())

    def held_by(self, holder: str, *, transitions: int = 4, duration_s: int = 15) -> None:
        self.keep(
            {
                "metadata": {"name": "pyscheduler", "namespace": "kube-system"},
                "spec": {
                    "holderIdentity": holder,
                    "leaseDurationSeconds": duration_s,
                    "leaseTransitions": transitions,
                    "renewTime": f"2023-11-14T22:13:{self.writes:02}.000000Z",
                },
            }
        )

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec


class Candidate:
    def __init__(self, server: LeaseServer, clock: FakeClock, identity: str = "me") -> None:
        self.words: list[str] = []
        self.is_alive = True
        self.elector = LeaderElector(
            Rest(server, clock=clock, rng=Random(1)),
            namespace="kube-system",
            name="pyscheduler",
            identity=identity,
            clock=clock,
            rng=Random(1),
            on_started=lambda: self.words.append("started"),
            on_stopped=lambda reason: self.words.append(f"stopped: {reason}"),
            on_new_leader=lambda leader: self.words.append(f"leader {leader}"),
            may_renew=lambda: self.is_alive,
        )
        self.task = asyncio.ensure_future(self.elector.run())


class Bench:
    def __init__(self) -> None:
        self.server = LeaseServer()
        self.clock = FakeClock()
        self.candidates: list[Candidate] = []

    def candidate(self, identity: str = "me") -> Candidate:
        self.candidates.append(Candidate(self.server, self.clock, identity))
        return self.candidates[-1]

    async def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 5)):
            await settle()
            self.clock.advance(0.2)
        await settle()

    async def stop(self) -> None:
        self.server.trouble = ServerUnreachable("over")
        self.server.is_hung = False
        for candidate in self.candidates:
            await cancelled(candidate.task)


@pytest.fixture
async def bench() -> Any:
    made = Bench()
    yield made
    await made.stop()


async def test_lease_is_made_when_there_is_none(bench: Bench) -> None:
    me = bench.candidate()
    await settle()

    assert me.words == ["leader me", "started"]
    assert me.elector.is_leading
    assert bench.server.spec == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "2023-11-14T22:13:20.000000Z",
        "renewTime": "2023-11-14T22:13:20.000000Z",
        "leaseTransitions": 0,
    }


async def test_lease_is_renewed_each_retry_period(bench: Bench) -> None:
    bench.candidate()
    await settle()
    await bench.pass_time(9)

    assert bench.server.writes == 5
    assert bench.server.spec["acquireTime"] == "2023-11-14T22:13:20.000000Z"
    assert bench.server.spec["renewTime"] > "2023-11-14T22:13:27"


async def test_held_lease_is_taken_once_it_was_seen_unchanged_for_its_duration(
    bench: Bench,
) -> None:
    bench.server.held_by("other")
    me = bench.candidate()
    await bench.pass_time(14.8)
    assert me.words == ["leader other"]
    await bench.pass_time(0.4)  # not a retry period later

    assert me.words == ["leader other", "leader me", "started"]
    assert bench.server.spec["leaseTransitions"] == 5


async def test_lease_that_its_holder_renews_is_never_taken(bench: Bench) -> None:
    bench.server.held_by("other")
    me = bench.candidate()
    for _ in range(10):
        await bench.pass_time(5)
        bench.server.held_by("other")

    assert me.words == ["leader other"]


async def test_times_in_the_lease_do_not_matter(bench: Bench) -> None:
    bench.server.held_by("other")
    bench.server.spec["renewTime"] = "1999-01-01T00:00:00.000000Z"
    me = bench.candidate()
    await bench.pass_time(10)

    assert not me.elector.is_leading


async def test_released_lease_is_taken_at_once(bench: Bench) -> None:
    bench.server.held_by("", duration_s=1)
    me = bench.candidate()
    await settle()

    assert me.elector.is_leading


async def test_cancelling_releases_the_lease(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    await cancelled(me.task)

    assert me.words[-1] == "stopped: released"
    assert bench.server.spec["holderIdentity"] == ""
    assert bench.server.spec["leaseDurationSeconds"] == 1


async def test_standby_goes_without_a_trace(bench: Bench) -> None:
    bench.server.held_by("other")
    me = bench.candidate()
    await settle()
    await cancelled(me.task)

    assert bench.server.spec["holderIdentity"] == "other"
    assert me.words == ["leader other"]


async def test_one_of_two_candidates_leads(bench: Bench) -> None:
    first, second = bench.candidate("first"), bench.candidate("second")
    await bench.pass_time(10)

    assert first.elector.is_leading + second.elector.is_leading == 1


async def test_being_slower_than_another_candidate_is_no_trouble(bench: Bench) -> None:
    with capture_logs() as logged:
        bench.candidate("first")
        bench.candidate("second")
        await bench.pass_time(10)

    assert [line["event"] for line in logged if line["log_level"] == "warning"] == []


async def test_standby_takes_over_from_a_leader_that_died(bench: Bench) -> None:
    first = bench.candidate("first")
    await settle()
    second = bench.candidate("second")
    await bench.pass_time(4)
    first.elector._is_leading = False  # killed: it releases nothing
    await cancelled(first.task)
    await bench.pass_time(15 + 2 * 2)

    assert second.elector.is_leading
    assert bench.server.spec["leaseTransitions"] == 1


async def test_leading_ends_when_the_server_is_away_for_the_renew_deadline(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    bench.server.trouble = ServerUnreachable("refused")
    await bench.pass_time(9.4)
    assert me.elector.is_leading
    await bench.pass_time(0.8)

    assert me.words[-1] == "stopped: refused"
    assert await me.task == "refused"


async def test_short_trouble_is_survived(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    bench.server.trouble = refusal(500)
    await bench.pass_time(6)
    bench.server.trouble = None
    await bench.pass_time(30)

    assert me.elector.is_leading


async def test_hung_request_does_not_outlive_the_renew_deadline(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    bench.server.is_hung = True
    await bench.pass_time(9.4)
    assert not me.task.done()
    await bench.pass_time(0.8)

    assert "no answer about the lease" in me.words[-1]


async def test_leading_ends_when_another_one_took_the_lease(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    bench.server.held_by("usurper")
    await bench.pass_time(3)

    assert await me.task == "the lease was taken by usurper"


async def test_foreign_annotation_does_not_cost_the_lease(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    assert bench.server.lease is not None
    bench.server.lease["metadata"]["annotations"] = {"note": "x"}
    bench.server.keep(bench.server.lease)
    await bench.pass_time(5)

    assert me.elector.is_leading
    assert bench.server.lease["metadata"]["annotations"] == {"note": "x"}


async def test_lease_is_given_up_when_the_scheduling_loop_is_held(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    me.is_alive = False
    await bench.pass_time(10.2)

    assert await me.task == "the scheduling loop is held"


async def test_first_look_without_rights_is_an_error(bench: Bench) -> None:
    bench.server.trouble = refusal(403, "Forbidden", 'cannot get resource "leases"')
    me = bench.candidate()

    with pytest.raises(Forbidden, match="cannot get resource"):
        await me.task


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"lease_duration_s": 10.0}, id="duration not above deadline"),
        pytest.param({"retry_period_s": 9.0}, id="deadline too near the period"),
    ],
)
def test_times_that_cannot_work_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be longer"):
        LeaseTimes(**times)


async def test_the_moment_until_which_it_holds_moves_with_each_renewal(bench: Bench) -> None:
    me = bench.candidate()
    await settle()
    first = me.elector.holds_until
    assert first == bench.clock.monotonic() + 10

    await bench.pass_time(3)
    renewed = me.elector.holds_until
    assert first + 2 <= renewed <= first + 3

    bench.server.trouble = ServerUnreachable("away")
    await bench.pass_time(5)
    assert me.elector.holds_until == renewed

    await cancelled(me.task)
    assert me.elector.holds_until == 0
