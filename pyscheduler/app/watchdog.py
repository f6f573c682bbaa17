"""Sees from another thread that the scheduling loop is held, says by what, and ends the process.

A blocked loop cannot report itself. The loop stamps a `Heartbeat` every few milliseconds (and
thereby measures its own lag); the `Watchdog`'s thread looks whether it still does. After a second
without one it logs the plugin, the hook, the pod and the loop's stack, once per hold. A leader
that is held for the renew deadline no longer renews its Lease (the elector asks `held_for`), and
the watchdog ends the process: a standby goes on, and this one must not wake up later and bind.

A suspended process (SIGSTOP, a frozen machine) is not held: its time does not count.

When not even the watchdog's thread gets to run, an alarm by processor time has the interpreter dump
the loop's stack. A process has one such timer: a profiler that samples by it keeps it, and then
there is no such dump.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final, TextIO

from pyscheduler.telemetry.current_work import HELD_TOO_LONG_S, CurrentWork
from pyscheduler.telemetry.instruments import Counter, Histogram
from pyscheduler.telemetry.logs import get_logger

logger = get_logger(__name__)

#: Often enough to see single slow turns, at 0.1 % of a core.
BEAT_INTERVAL_S: Final = 0.01
#: How often the watchdog looks; also how exact `Watchdog.held_for` is.
TICK_S: Final = 0.1
#: A tick that comes later than this found the process suspended, or the interpreter held.
_OVERSLEPT_S: Final = 5 * TICK_S
#: Innermost frames that are logged: enough for a hook and what it called.
_STACK_DEPTH: Final = 16
#: How often the interpreter's own dump is put off; each time costs a thread.
_DUMP_POSTPONED_EVERY_TICKS: Final = 10


class Heartbeat:
    """The scheduling loop's sign of life, and the sampler of its lag.

    Args:
        lag: takes the lateness of each beat in seconds.
        monotonic: the clock in seconds.
        interval_s: from one beat to the next.
    """

    def __init__(
        self,
        lag: Histogram,
        *,
        monotonic: Callable[[], float],
        interval_s: float = BEAT_INTERVAL_S,
    ) -> None:
        #: How often the loop has come round; read by the watchdog's thread.
        self.beats = 0
        self._lag = lag
        self._monotonic = monotonic
        self._interval_s = interval_s
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat on `loop` from now on."""
        self._arm(loop)

    def stop(self) -> None:
        """Beat no more; may be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_s = self._monotonic() + self._interval_s
        self._timer = loop.call_later(self._interval_s, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self.beats += 1
        self._lag.observe(max(0.0, self._monotonic() - self._due_s))
        self._arm(loop)


class Watchdog:
    """Watches a heartbeat from a thread of its own.

    Made on the thread that runs the scheduling loop: that one's stack is what it reports.

    Args:
        heartbeat: what the loop stamps.
        work: what the loop is doing, by name.
        held: counts the holds that were reported.
        monotonic: the clock in seconds.
        is_leading: whether this process schedules; asked on the watchdog's thread.
        exit_after_s: for how long a leader's loop may be held before the process ends.
        report_after_s: for how long the loop may be held before that is logged.
        exit_process: ends the process at once, with the status given.
        cpu_time: seconds of processor time that this process has used.
        dump_to: takes the stack of the main thread when not even the watchdog's thread gets to run
            (native code that computes and keeps the interpreter lock); None for no such dump.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        work: CurrentWork,
        *,
        held: Counter,
        monotonic: Callable[[], float],
        is_leading: Callable[[], bool],
        exit_after_s: float,
        report_after_s: float = HELD_TOO_LONG_S,
        exit_process: Callable[[int], object] = os._exit,
        cpu_time: Callable[[], float] = time.process_time,
        dump_to: TextIO | None = None,
    ) -> None:
        self._heartbeat = heartbeat
        self._work = work
        self._held = held
        self._monotonic = monotonic
        self._is_leading = is_leading
        self._exit_after_s = exit_after_s
        self._report_after_s = report_after_s
        self._exit_process = exit_process
        self._cpu_time = cpu_time
        self._dump_to = dump_to
        self._watched_thread = threading.get_ident()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._ticks = 0
        self._seen_beats = heartbeat.beats
        self._last_tick_s = monotonic()
        self._last_cpu_s = cpu_time()
        #: Seconds since the last beat, as far as the process was running; written by `tick`.
        self._held_s = 0.0
        #: Whether the present hold has been logged.
        self._is_reported = False
        #: Whether this process led at any time of the present hold: losing the Lease meanwhile
        #: (the elector stops renewing it) must not spare it.
        self._has_led = False

    def start(self) -> None:
        """Watch from now on."""
        self._last_tick_s, self._last_cpu_s = self._monotonic(), self._cpu_time()
        if self._dump_to is not None and not _is_sampled():
            _dump_on_alarm(self._dump_to)
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; may be called again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def held_for(self) -> float:
        """Return for how many seconds the loop has been held, 0 while it comes round."""
        return self._held_s if self._heartbeat.beats == self._seen_beats else 0.0

    def tick(self) -> None:
        """Look once; the watchdog's thread does so every `TICK_S`."""
        elapsed_s = self._time_running()
        beats = self._heartbeat.beats
        if beats != self._seen_beats:
            if self._is_reported:
                logger.warning("scheduling loop goes on", held_s=round(self._held_s, 1))
            self._seen_beats = beats
            self._held_s = 0.0
            self._is_reported = self._has_led = False
            return
        self._held_s += elapsed_s
        if self._held_s < self._report_after_s:
            return
        self._has_led = self._has_led or self._is_leading()
        if not self._is_reported:
            self._is_reported = True
            self._held.inc()
            self._report("scheduling loop is held")
        if self._has_led and self._held_s >= self._exit_after_s:
            self._report("scheduling loop was held for too long, ending this process")
            self._exit_process(1)

    def _time_running(self) -> float:
        """Return the seconds since the last tick in which this process was not suspended."""
        now_s, cpu_s = self._monotonic(), self._cpu_time()
        elapsed_s, used_s = now_s - self._last_tick_s, cpu_s - self._last_cpu_s
        self._last_tick_s, self._last_cpu_s = now_s, cpu_s
        if elapsed_s > _OVERSLEPT_S and used_s < elapsed_s / 2:
            return TICK_S
        return elapsed_s

    def _report(self, message: str) -> None:
        work = self._work
        logger.error(
            message,
            held_s=round(self._held_s, 1),
            plugin=work.plugin,
            hook=work.hook,
            pod=work.pod,
            stack=self._stack(),
        )

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched_thread)  # noqa: SLF001  # its only way
        return "" if frame is None else "".join(traceback.format_stack(frame, _STACK_DEPTH))

    def _run(self) -> None:
        try:
            while not self._stopping.wait(TICK_S):
                self._postpone_dump()
                self.tick()
        finally:
            if self._dump_to is not None:
                _set_alarm(0)

    def _postpone_dump(self) -> None:
        """Let the main thread's stack be dumped unless this is called again in time."""
        if self._dump_to is not None and self._ticks % _DUMP_POSTPONED_EVERY_TICKS == 0:
            _set_alarm(self._exit_after_s)
        self._ticks += 1


def _dump_on_alarm(file: TextIO) -> None:
    """The main thread writes its stack at every alarm, whoever has the interpreter lock.

    `faulthandler.dump_traceback_later` will not do: it reads the stacks of threads that run, which
    crashes, and goes off in a process that was suspended. This goes by processor time, and a thread
    reads its own stack.
    """
    if hasattr(faulthandler, "register"):  # not on Windows
        faulthandler.register(signal.SIGPROF, file=file, all_threads=False)


def _set_alarm(after_s: float) -> None:
    """Sets the alarm off after so many seconds of processor time; 0 for never."""
    if hasattr(signal, "setitimer") and not _is_sampled():
        signal.setitimer(signal.ITIMER_PROF, after_s)


def _is_sampled() -> bool:
    """Claims that a profiler has the timer: the alarm's goes off once, a profiler's repeats."""
    if not hasattr(signal, "getitimer"):
        return False
    _, every_s = signal.getitimer(signal.ITIMER_PROF)
    return every_s > 0
