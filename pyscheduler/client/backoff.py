"""Jittered exponential back-off, the same for reads, watches and writes."""

from random import Random

from pyscheduler.clock import Clock


class Backoff:
    """Delays that double from `first_s` to `limit_s`, each stretched at random by up to `jitter`.

    The jitter spreads the clients of a server that comes back. After `reset_s` without a failure
    the delays begin anew.
    """

    def __init__(
        self,
        first_s: float,
        limit_s: float,
        *,
        rng: Random,
        clock: Clock,
        jitter: float = 1.0,
        reset_s: float = 120.0,
    ) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._rng = rng
        self._clock = clock
        self._jitter = jitter
        self._reset_s = reset_s
        self._next_s = first_s
        self._failed_at: float | None = None

    def next_s(self) -> float:
        """Return the seconds to wait after one more failure."""
        now = self._clock.monotonic()
        if self._failed_at is not None and now - self._failed_at > self._reset_s:
            self._next_s = self._first_s
        delay_s = self._next_s * (1.0 + self._jitter * self._rng.random())
        self._failed_at = now + delay_s
        self._next_s = min(self._limit_s, self._next_s * 2)
        return min(delay_s, self._limit_s)

    def reset(self) -> None:
        """Begin anew: something succeeded."""
        self._next_s = self._first_s
        self._failed_at = None
