import asyncio
import itertools
import tracemalloc
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from pyscheduler.api.codec import PODS, Interner, decoder
from pyscheduler.api.core_v1 import Pod
from pyscheduler.client.errors import Forbidden, ServerUnreachable, Unauthorized
from pyscheduler.client.informer import Informer
from pyscheduler.client.reflector import Reflector
from pyscheduler.clock import FakeClock
from tests.unit.client.scripted import (
    HANG,
    Script,
    ScriptedTransport,
    bookmark,
    cancelled,
    line,
    list_page,
    refusal,
    settle,
    status,
    wire_pod,
)


class Journal:
    """What the handlers were told, as short words."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def on_add(self, added: Pod, initial: bool) -> None:
        self.words.append(f"{'initial' if initial else 'add'} {added.name}")

    def on_update(self, old: Pod, new: Pod) -> None:
        was, now = old.metadata.resource_version, new.metadata.resource_version
        self.words.append(f"update {new.name} {was}>{now}")

    def on_delete(self, deleted: Pod) -> None:
        self.words.append(f"delete {deleted.name} {deleted.uid}")


class Counts:
    def __init__(self) -> None:
        self.words: list[str] = []

    def synced(self, mode: str) -> None:
        self.words.append(f"synced {mode}")

    def expired(self) -> None:
        self.words.append("expired")

    def reconnected(self, reason: str) -> None:
        self.words.append(f"reconnected {reason}")

    def watch_event(self) -> None:
        pass

    def malformed(self) -> None:
        self.words.append("malformed")


class Bench:
    """A reflector on a scripted transport and a clock that stands still."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport()
        self.informer: Informer[Pod] = Informer(clock=self.clock)
        self.journal = Journal()
        self.informer.add_handler(self.journal)
        self.counts = Counts()
        self.reflector = Reflector(
            self.transport,
            decoder(PODS, Interner()),
            self.informer,
            params={"fieldSelector": "status.phase!=Failed"},
            clock=self.clock,
            rng=Random(1),
            metrics=self.counts,
        )

    async def run(self, *scripts: Script | Exception, pauses: int = 0) -> None:
        """Play the streams, skipping that many pauses, and stop."""
        self.transport.streams.extend(scripts)
        task = asyncio.ensure_future(self.reflector.run())
        await settle()
        for _ in range(pauses):
            self.clock.advance(60)
            await settle()
        if task.done():
            await task
        await cancelled(task)

    def asked(self, parameter: str) -> list[str | None]:
        return [sent.params.get(parameter) for sent in self.transport.sent]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def initial(*pods: dict[str, Any], version: int) -> bytes:
    return b"".join([line("ADDED", wire) for wire in pods]) + bookmark(version, is_end=True)


async def test_watch_list_syncs_and_goes_on_in_the_same_stream(bench: Bench) -> None:
    await bench.run(
        Script(
            [
                initial(wire_pod("b", 9), wire_pod("a", 4), version=10),
                line("MODIFIED", wire_pod("a", 11)),
                line("DELETED", wire_pod("b", 12)),
                HANG,
            ]
        )
    )

    assert bench.journal.words == ["initial b", "initial a", "update a 4>11", "delete b uid-b"]
    assert bench.informer.synced.is_set()
    assert bench.informer.last_resource_version == "12"
    assert len(bench.transport.sent) == 1
    params = bench.transport.sent[0].params
    assert 300 <= int(params.pop("timeoutSeconds")) <= 600
    assert params == {
        "watch": "1",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "resourceVersion": "",
        "fieldSelector": "status.phase!=Failed",
    }


async def test_nothing_is_told_before_the_end_bookmark(bench: Bench) -> None:
    await bench.run(Script([line("ADDED", wire_pod("a", 4)), bookmark(5), HANG]))

    assert bench.journal.words == []
    assert not bench.informer.synced.is_set()


async def test_lines_are_joined_across_chunks(bench: Bench) -> None:
    whole = initial(wire_pod("a", 4), wire_pod("b", 5), version=10)
    await bench.run(Script([whole[i : i + 7] for i in range(0, len(whole), 7)] + [HANG]))

    assert bench.journal.words == ["initial a", "initial b"]


async def test_ended_stream_is_reopened_at_the_last_version_at_once(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), version=10), line("ADDED", wire_pod("b", 15))]),
        Script([bookmark(20), line("MODIFIED", wire_pod("b", 21))]),
        Script([HANG]),
    )

    assert bench.asked("resourceVersion") == ["", "15", "21"]
    assert bench.asked("sendInitialEvents") == ["true", None, None]
    assert bench.counts.words == ["synced watchlist", "reconnected ended", "reconnected ended"]


async def test_versions_of_initial_events_are_no_progress(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("z", 99), version=50), ServerUnreachable("reset")]),
        Script([HANG]),
        pauses=1,
    )

    assert bench.asked("resourceVersion") == ["", "50"]


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(Script([b"{}"], status=422), id="422 of a server without WatchList"),
        pytest.param(Script([b"oops"], status=500), id="500"),
    ],
)
async def test_list_in_pages_when_watch_list_is_refused(bench: Bench, refused: Script) -> None:
    bench.transport.answers.extend(
        [
            list_page(wire_pod("a", 1), version=30, continue_="more"),
            list_page(wire_pod("b", 2), version=30),
        ]
    )
    await bench.run(refused, Script([line("ADDED", wire_pod("c", 31)), HANG]))

    assert bench.journal.words == ["initial a", "initial b", "add c"]
    assert bench.asked("limit") == [None, "500", "500", None]
    assert bench.asked("continue") == [None, None, "more", None]
    assert bench.asked("resourceVersion")[-1] == "30"
    assert bench.counts.words == ["synced list"]


async def test_list_after_three_streams_that_end_early(bench: Bench) -> None:
    bench.transport.answers.append(list_page(wire_pod("a", 1), version=30))
    early = [Script([line("ADDED", wire_pod("a", 1))]) for _ in range(3)]
    await bench.run(*early, Script([HANG]), pauses=3)

    assert bench.journal.words == ["initial a"]
    assert bench.counts.words == ["reconnected early end"] * 3 + ["synced list"]


async def test_expired_continue_token_begins_the_list_again(bench: Bench) -> None:
    bench.transport.answers.extend(
        [
            list_page(wire_pod("a", 1), version=30, continue_="old"),
            refusal(410, "Expired"),
            list_page(wire_pod("b", 2), version=40),
        ]
    )
    await bench.run(Script([b"{}"], status=422), Script([HANG]))

    assert bench.journal.words == ["initial b"]
    assert bench.asked("resourceVersion")[-1] == "40"


async def test_410_in_the_stream_syncs_anew_and_tells_what_vanished(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), wire_pod("b", 5), version=10)]),
        Script([line("ERROR", status(410, "Expired", "too old resource version"))]),
        Script([initial(wire_pod("b", 5), wire_pod("c", 99), version=100), HANG]),
        pauses=1,
    )

    assert bench.journal.words == ["initial a", "initial b", "delete a uid-a", "add c"]
    assert bench.asked("resourceVersion") == ["", "10", "10"]
    assert bench.asked("sendInitialEvents") == ["true", None, "true"]
    assert bench.counts.words.count("expired") == 1


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(status(410, "Gone", "gone"), id="410"),
        pytest.param(
            status(504, "Timeout", "x", causes=[{"reason": "ResourceVersionTooLarge"}]),
            id="too large resource version",
        ),
    ],
)
async def test_sync_asks_for_no_version_when_ours_cannot_be_served(
    bench: Bench, refused: dict[str, Any]
) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), version=10)]),
        Script([line("ERROR", status(410, "Expired"))]),
        Script([line("ERROR", refused)]),
        Script([initial(wire_pod("a", 4), version=12), HANG]),
        pauses=2,
    )

    assert bench.asked("resourceVersion") == ["", "10", "10", ""]


async def test_older_state_is_refused_until_a_quorum_read_confirms_it(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), version=10)]),
        Script([line("ERROR", status(410, "Expired"))]),
        Script([initial(version=7), HANG]),
        Script([initial(wire_pod("b", 8), version=8), HANG]),
        pauses=2,
    )

    assert bench.asked("resourceVersion") == ["", "10", "10", ""]
    assert bench.journal.words == ["initial a", "delete a uid-a", "add b"]


async def test_same_name_with_another_uid_is_a_delete_and_an_add(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4, uid="one"), version=10)]),
        Script([line("ERROR", status(410, "Expired"))]),
        Script([initial(wire_pod("a", 20, uid="two"), version=30), HANG]),
        pauses=1,
    )

    assert bench.journal.words == ["initial a", "delete a one", "add a"]


async def test_malformed_object_is_left_out_alone(bench: Bench) -> None:
    broken = wire_pod("bad", 5, priority="high")
    with capture_logs() as logs:
        await bench.run(
            Script(
                [
                    initial(wire_pod("a", 4), broken, version=10),
                    line("MODIFIED", wire_pod("a", 11, priority="high")),
                    line("ADDED", wire_pod("c", 12)),
                    HANG,
                ]
            )
        )

    assert bench.journal.words == ["initial a", "add c"]
    assert bench.counts.words == ["malformed", "synced watchlist", "malformed"]
    told = [log for log in logs if log["log_level"] == "error"]
    assert [log["pod"] for log in told] == ["shop/bad", "shop/a"]
    assert "priority" in told[0]["reason"]


async def test_malformed_object_keeps_its_last_state_over_a_sync(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), version=10)]),
        Script([line("ERROR", status(410, "Expired"))]),
        Script([initial(wire_pod("a", 20, priority="high"), version=30), HANG]),
        pauses=1,
    )

    assert bench.journal.words == ["initial a"]
    assert "shop/a" in bench.informer


async def test_deletion_of_a_malformed_object_is_a_deletion(bench: Bench) -> None:
    await bench.run(
        Script(
            [
                initial(wire_pod("a", 4), version=10),
                line("DELETED", wire_pod("a", 20, priority="high")),
                HANG,
            ]
        )
    )

    assert bench.journal.words == ["initial a", "delete a uid-a"]


async def test_silent_stream_is_given_up_after_the_server_timeout(bench: Bench) -> None:
    bench.transport.streams.append(Script([initial(wire_pod("a", 4), version=10), HANG]))
    task = asyncio.ensure_future(bench.reflector.run())
    for _ in range(130):
        await settle()
        bench.clock.advance(5)
    await settle()
    await cancelled(task)

    assert bench.asked("resourceVersion") == ["", "10"]
    assert "reconnected silent" in bench.counts.words


async def test_stream_that_stops_its_bookmarks_is_given_up_sooner(bench: Bench) -> None:
    bench.transport.streams.append(
        Script([initial(wire_pod("a", 4), version=10), bookmark(20), HANG])
    )
    task = asyncio.ensure_future(bench.reflector.run())
    for _ in range(33):
        await settle()
        bench.clock.advance(5)
    await settle()
    await cancelled(task)

    assert bench.asked("resourceVersion") == ["", "20"]


async def test_server_that_never_answers_is_asked_again(bench: Bench) -> None:
    bench.transport.streams.append(Script([HANG]))
    task = asyncio.ensure_future(bench.reflector.run())
    for _ in range(15):
        await settle()
        bench.clock.advance(5)
    await settle()
    await cancelled(task)

    assert bench.asked("sendInitialEvents") == ["true", "true"]


async def test_cut_line_is_not_progress(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), version=10), line("ADDED", wire_pod("b", 11))[:-20]]),
        Script([HANG]),
        pauses=1,
    )

    assert bench.asked("resourceVersion") == ["", "10"]
    assert "reconnected broken" in bench.counts.words


async def test_lost_connection_is_told_once_and_so_is_the_recovery(bench: Bench) -> None:
    with capture_logs() as logs:
        await bench.run(
            Script([initial(wire_pod("a", 4), version=10), ServerUnreachable("reset")]),
            *[ServerUnreachable("refused") for _ in range(4)],
            Script([HANG]),
            pauses=6,
        )

    words = [log["event"] for log in logs]
    assert words == ["synchronised", "watch lost, trying again", "watch recovered"]
    assert bench.reflector.is_connected


async def test_pauses_grow_to_ten_seconds_and_stay_there(bench: Bench) -> None:
    bench.transport.streams.extend([ServerUnreachable("refused") for _ in range(9)])
    task = asyncio.ensure_future(bench.reflector.run())
    moments: list[float] = []
    for _ in range(2000):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if len(bench.transport.sent) > len(moments):
            moments.append(bench.clock.monotonic())
        bench.clock.advance(0.1)
    await cancelled(task)

    pauses = [later - sooner for sooner, later in itertools.pairwise(moments)]
    assert 0.8 <= pauses[0] <= 1.8
    assert 1.6 <= pauses[1] <= 3.4
    assert 9.9 <= max(pauses[:9]) <= 10.3


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(401, Unauthorized, id="expired token"),
        pytest.param(403, Forbidden, id="rights lacking"),
    ],
)
async def test_first_sync_ends_the_run_when_refused(
    bench: Bench, code: int, expected: type[Exception]
) -> None:
    text = 'pods is forbidden: User "u" cannot list resource "pods" in API group ""'
    bench.transport.answers.append(refusal(code, "Forbidden", text))

    with pytest.raises(expected, match="cannot list resource"):
        await bench.run(Script([b"{}"], status=code))


async def test_refusal_while_running_is_waited_out(bench: Bench) -> None:
    await bench.run(
        Script([initial(wire_pod("a", 4), version=10)]),
        Script([b"{}"], status=403),
        Script([line("ADDED", wire_pod("b", 12)), HANG]),
        pauses=1,
    )

    assert bench.journal.words == ["initial a", "add b"]


async def test_decoding_passes_control_on_every_five_milliseconds() -> None:
    class SlowClock(FakeClock):
        """Each look at the clock costs a millisecond."""

        def monotonic(self) -> float:
            self.advance(0.001)
            return super().monotonic()

        async def sleep(self, delay_s: float) -> None:
            if delay_s == 0:
                yields.append(self._elapsed_s)
            await super().sleep(delay_s)

    class Nowhere:
        async def replace(self, objects: Sequence[Pod], **_: Any) -> None:
            pass

        def apply(self, event_type: str, changed: Pod) -> None:
            pass

        def on_bookmark(self, resource_version: str) -> None:
            pass

        def on_malformed(self, error: Exception) -> None:
            pass

    yields: list[float] = []
    transport = ScriptedTransport()
    live = b"".join(line("ADDED", wire_pod(f"p{i}", 11 + i)) for i in range(40))
    transport.streams.append(Script([initial(version=10), live, HANG]))
    reflector = Reflector(
        transport, decoder(PODS, Interner()), Nowhere(), clock=SlowClock(), rng=Random(1)
    )
    task = asyncio.ensure_future(reflector.run())
    await settle()
    await cancelled(task)

    assert len(yields) >= 6


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_any_moment_it_ends(bench: Bench, turns: int) -> None:
    # Also while it tidies up after a stream that has just ended.
    ends = [Script([initial(version=10)]), *(Script([bookmark(20)]) for _ in range(turns))]
    bench.transport.streams.extend([*ends, Script([HANG])])
    task = asyncio.ensure_future(bench.reflector.run())
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()
    await settle()
    assert task.done()


async def test_a_stream_that_waits_holds_no_line_that_it_has_passed_on(bench: Bench) -> None:
    size = 1 << 20
    large = line("ADDED", {**wire_pod("a", 5), "status": {"unknown": "x" * size}})
    bench.transport.streams.append(Script([large, HANG]))
    tracemalloc.start()
    try:
        task = asyncio.ensure_future(bench.reflector.run())
        await settle()
        held_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await cancelled(task)
    assert peak_bytes > size
    assert held_bytes < size / 2
