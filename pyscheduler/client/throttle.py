"""A token bucket for ``clientConnection.qps`` and ``burst``: the optional client-side limit.

By default there is none, since API Priority and Fairness limits at the server and knows more; a
configuration that sets ``qps`` gets one bucket for all writes.
"""

from pyscheduler.clock import Clock


class TokenBucket:
    """Lets `qps` callers a second pass, and `burst` at once after a quiet time.

    Callers pass in the order they came. A token is taken when asked for, before the wait that it
    may cost, so that later callers queue up behind.
    """

    def __init__(self, qps: float, burst: int, *, clock: Clock) -> None:
        if qps <= 0 or burst < 1:
            raise ValueError(f"qps {qps} and burst {burst} must be positive")
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._updated_at = clock.monotonic()

    async def take(self) -> None:
        """Return when the caller may go on."""
        delay_s = self.reserve_s()
        if delay_s > 0:
            await self._clock.sleep(delay_s)

    def reserve_s(self) -> float:
        """Take a token, now or on credit, and return the seconds to wait for it."""
        self._refill()
        self._tokens -= 1
        return 0.0 if self._tokens >= 0 else -self._tokens / self._qps

    def try_take(self) -> bool:
        """Take a token if there is one at once; never on credit."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def is_full(self) -> bool:
        """Whether nobody has taken a token for so long that the bucket could be forgotten."""
        self._refill()
        return self._tokens >= self._burst

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._updated_at) * self._qps)
        self._updated_at = now
