"""A token bucket for ``clientConnection.qps`` and ``burst``: the optional client-side limit.

By default there is none, since API Priority and Fairness limits at the server and knows more; a
configuration that sets ``qps`` gets one bucket for all writes.
"""

import heapq

from pyscheduler.clock import Clock


class TokenBucket:
    """Lets `qps` callers a second pass, and `burst` at once after a quiet time.

    The next token goes to the waiting caller of the lowest rank, then to who came first. Who waits
    looks again whenever a token may be there: callers are few, since each lane sends a few writes
    at once.
    """

    def __init__(self, qps: float, burst: int, *, clock: Clock) -> None:
        if qps <= 0 or burst < 1:
            raise ValueError(f"qps {qps} and burst {burst} must be positive")
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._updated_at = clock.monotonic()
        #: Rank and number of everybody who waits.
        self._waiting: list[tuple[int, int]] = []
        self._sequence = 0

    async def take(self, rank: int = 0) -> None:
        """Return when the caller may go on; those of lower `rank` go first."""
        if not self._waiting and self.try_take():
            return
        self._sequence += 1
        turn = (rank, self._sequence)
        heapq.heappush(self._waiting, turn)
        try:
            while self._waiting[0] != turn or not self.try_take():
                await self._clock.sleep(self._next_token_s())
        finally:
            self._waiting.remove(turn)
            heapq.heapify(self._waiting)

    def try_take(self) -> bool:
        """Take a token if there is one at once."""
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

    def _next_token_s(self) -> float:
        """Seconds until there is another token, or until who stands in front has taken it."""
        self._refill()
        lacking = 1.0 - self._tokens
        # not less than a millisecond: rounding must not make us look again at the same instant
        return max(lacking / self._qps, 0.001) if lacking > 0 else 1.0 / self._qps

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._updated_at) * self._qps)
        self._updated_at = now
