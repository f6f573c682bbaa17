"""A sampling profiler by CPU time: what each function costs a pod, at next to no cost of its own.

The kernel's SIGPROF comes after every few milliseconds of CPU time that the process has used, so a
busy machine does not blur the picture as it does for cProfile's clock, and functions that are
called often are not made to look dear. Time in C is the Python function's that called it.
"""

from __future__ import annotations

import signal
from collections import Counter
from types import FrameType

#: CPU seconds between two samples; Linux's timer tick makes it 4 ms at the least.
INTERVAL_S = 0.004

#: Part of a path that says nothing about where a function is.
_PREFIXES = ("site-packages/", "python3.11/", "pyscheduler/")


class Sampler:
    """Counts samples by stack."""

    def __init__(self) -> None:
        #: whole stacks, innermost function first
        self.stacks: Counter[tuple[str, ...]] = Counter()

    def start(self) -> None:
        """Samples are taken; the main thread's only."""
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def _take(self, _number: int, frame: FrameType | None) -> None:
        if frame is None:  # no Python code
            return
        stack = []
        while frame is not None:
            stack.append(name_of(frame))
            frame = frame.f_back
        self.stacks[tuple(stack)] += 1


def name_of(frame: FrameType) -> str:
    """Returns where a frame's function is, short but enough to find it."""
    code = frame.f_code
    path = code.co_filename
    for prefix in _PREFIXES:
        _, found, rest = path.partition(prefix)
        path = rest if found else path
    if path == "<string>" and frame.f_back is not None:  # generated: a dataclass's __init__
        return f"{code.co_name} called by {name_of(frame.f_back)}"
    return f"{path}:{code.co_firstlineno} {code.co_qualname}"
