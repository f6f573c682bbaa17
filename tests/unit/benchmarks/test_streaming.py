from __future__ import annotations

import signal

import pytest

from benchmarks.memory_watch import MemoryWatch
from benchmarks.streaming import LIST, WATCH_LIST, Outcome
from tests.controlplane.process import Process, Usage

MIB = 1 << 20


def outcome(
    client_mib: int, *, mode: str = WATCH_LIST, reflectors: int = 4, end: str = "synchronised"
) -> Outcome:
    return Outcome(
        mode=mode,
        reflectors=reflectors,
        end=end,
        seconds=1.0,
        server_before_bytes=MIB,
        server_peak_bytes=MIB,
        client_peak_bytes=client_mib * MIB,
        kept_bytes=100 * MIB,
        largest_bytes=2 * MIB,
    )


@pytest.mark.parametrize(
    ("measured", "is_kept"),
    [
        # 100 kept + 64 + 4 reflectors * 2 * 2 MiB
        pytest.param(outcome(180), True, id="just what it may take"),
        pytest.param(outcome(181), False, id="more than it may take"),
        pytest.param(outcome(181, reflectors=5), True, id="more reflectors"),
        pytest.param(outcome(10, end="server out of memory"), False, id="not synchronised"),
        pytest.param(outcome(900, mode=LIST), True, id="a list, which promises nothing"),
        pytest.param(
            outcome(900, mode=LIST, end="server out of memory"), True, id="a list that failed"
        ),
    ],
)
def test_promise_is_about_watch_lists(measured: Outcome, *, is_kept: bool) -> None:
    assert measured.keeps_promise is is_kept


class FakeProcess(Process):
    """A process that has used what it is told."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.signals: list[signal.Signals] = []

    @property
    def exit_code(self) -> int | None:
        return None

    def usage(self) -> Usage:
        if self.peak_bytes < 0:
            raise FileNotFoundError
        return Usage(cpu_s=0.0, peak_memory_bytes=self.peak_bytes)

    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)


def test_process_above_its_limit_is_killed() -> None:
    process = FakeProcess()
    watch = MemoryWatch(process, limit_bytes=100)
    process.peak_bytes = 100
    watch.look()
    assert not process.signals
    process.peak_bytes = 101
    watch.look()
    assert process.signals == [signal.SIGKILL]
    assert watch.was_killed


def test_peak_of_a_process_that_is_gone_stays() -> None:
    process = FakeProcess()
    watch = MemoryWatch(process, limit_bytes=100)
    process.peak_bytes = 70
    watch.look()
    process.peak_bytes = -1
    watch.look()
    assert watch.peak_bytes == 70
