"""Which stage of a pod's way a sample counts for."""

from __future__ import annotations

import pytest

from benchmarks.stages import REST, STAGES, costs_of, rows_of, stage_of

_BELOW = ("cycle/scheduling.py:99 SchedulingAlgorithm.schedule", "cycle/loop.py:104 Scheduler.run")


@pytest.mark.parametrize(
    ("stack", "stage"),
    [
        (("api/codec.py:295 Decoder.watch_event", "client/reflector.py:1 R.run"), 3),
        (("runtime/scoring.py:46 Scoring.score", *_BELOW), 9),
        (("intree/x.py:3 X.sign_pod", "runtime/profile.py:225 Profile.sign", *_BELOW), 2),
        (("telemetry/logs.py:91 _LineWriter.msg", "cycle/loop.py:206 Scheduler._assume"), 0),
        (
            (
                "client/connection.py:52 C.exchange",
                "client/dispatcher.py:310 Dispatcher._send_bind",
            ),
            7,
        ),
        (("client/connection.py:52 C.exchange", "client/background_writes.py:217 E._send"), 6),
    ],
    ids=["decoding", "scoring", "signing", "logging", "bind", "event"],
)
def test_a_sample_counts_for_the_stage_it_is_in(stack: tuple[str, ...], stage: int) -> None:
    assert stage_of(stack) == STAGES[stage].name


def test_a_stack_that_no_stage_knows_is_the_rest() -> None:
    assert stage_of(("asyncio/runners.py:86 Runner.run",)) == REST


def test_samples_share_the_cpu_time() -> None:
    stacks = [[3, "api/codec.py:1 d"], [1, "asyncio/runners.py:86 Runner.run"]]
    found = costs_of("Basic/1", {"cpu_s": 0.004, "stacks": stacks}, pods=10)
    assert found.total_us == pytest.approx(400)
    assert found.by_stage[STAGES[3].name] == pytest.approx(300)
    rows = rows_of([found])
    assert rows[3][2] == "300"
    assert rows[-1][2] == "400"
