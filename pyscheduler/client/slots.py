"""A counted gate whose next place goes to the most important one who waits."""

import asyncio
import heapq


class PrioritySlots:
    """At most `limit` at once; the waiting one of the highest priority goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Slots in use; after `open_to_all` it may exceed the limit.
        self.taken = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = 0
        self._is_open = False

    @property
    def waiting(self) -> int:
        """Those who wait for a slot."""
        return len(self._waiting)

    async def acquire(self, priority: int) -> None:
        """Return when a slot is ours; those of higher `priority` go first, then the earlier."""
        if self.taken < self.limit or self._is_open:
            self.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._waiting, (-priority, self._sequence, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Hand the slot to the next, which then need not be counted anew."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def open_to_all(self) -> None:
        """Let everybody through at once, who will find the fence."""
        self._is_open = True
        for _, _, turn in self._waiting:
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
        self._waiting.clear()
