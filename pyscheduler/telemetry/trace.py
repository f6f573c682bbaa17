"""Where the time of a slow cycle went: named steps, reported only when the whole took too long.

A trace is made per cycle and costs two clock readings and a list append a step, so it can stay on.
The caller owns it: `step` after each stage, `report` at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger


class Trace:
    """The steps of one piece of work.

    Args:
        name: what is being done, as it will stand in the log.
        monotonic: the clock that durations are taken from, in seconds.
    """

    __slots__ = ("_monotonic", "_started_s", "_steps", "name")

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        self.name = name
        self._monotonic = monotonic
        self._started_s = monotonic()
        self._steps: list[tuple[str, float]] = []

    def step(self, name: str) -> None:
        """Close the step `name`: it lasted from the end of the one before until now."""
        self._steps.append((name, self._monotonic()))

    def elapsed_s(self) -> float:
        """Return the seconds since the trace began."""
        return self._monotonic() - self._started_s

    def durations_ms(self) -> dict[str, float]:
        """Return the milliseconds of each step; a name used again is summed."""
        durations: dict[str, float] = {}
        before_s = self._started_s
        for name, end_s in self._steps:
            durations[name] = durations.get(name, 0.0) + (end_s - before_s) * 1e3
            before_s = end_s
        return {name: round(duration_ms, 3) for name, duration_ms in durations.items()}

    def report(self, logger: FilteringBoundLogger, *, longer_than_s: float, **keys: object) -> bool:
        """Log the steps if the whole took longer than the threshold; returns whether it did."""
        elapsed_s = self.elapsed_s()
        if elapsed_s <= longer_than_s:
            return False
        logger.warning(
            "slow", work=self.name, ms=round(elapsed_s * 1e3, 3), steps=self.durations_ms(), **keys
        )
        return True
