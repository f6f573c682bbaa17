"""A bounded queue of background writes with a few workers: one for conditions, one for events.

Items have a key; a newer item of the same key is merged into the one that waits, and never
overtakes one under way. Workers exist only while there is something to do, so an idle lane costs
nothing, and a busy one makes no task per write.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class WriteLane(Generic[K, V]):
    """Sends items in the order they came, at most `limit` at once.

    Args:
        send: carries one item out; it handles its own failures and must not raise.
        limit: workers at most.
        capacity: items that may wait; beyond it the oldest is given up.
        on_dropped: is told of each item given up.
    """

    def __init__(
        self,
        send: Callable[[K, V], Awaitable[None]],
        *,
        limit: int,
        capacity: int,
        on_dropped: Callable[[V], None],
    ) -> None:
        self._send = send
        self._limit = limit
        self._capacity = capacity
        self._on_dropped = on_dropped
        self._waiting: OrderedDict[K, V] = OrderedDict()
        #: Keys being sent, each with the future of those who wait for its end.
        self._sending: dict[K, asyncio.Future[None] | None] = {}
        #: Items whose key is being sent: they go to the front of the queue after that.
        self._held: dict[K, V] = {}
        self._workers: set[asyncio.Task[None]] = set()
        #: Workers that will still look for an item: a task that has stopped looking stays in
        #: `_workers` until its callback runs, and must not be counted on.
        self._looking = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sending) + len(self._held)

    def put(self, key: K, item: V) -> None:
        """Queue `item`, in place of one of that key which was not sent yet."""
        if key in self._sending:
            self._held[key] = item
            return
        if key not in self._waiting and len(self._waiting) >= self._capacity:
            _, oldest = self._waiting.popitem(last=False)
            self._on_dropped(oldest)
        self._waiting[key] = item
        idle = self._looking - len(self._sending)
        if self._looking < self._limit and idle < len(self._waiting):
            self._looking += 1
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def get(self, key: K) -> V | None:
        """Return the item of that key that was not sent yet."""
        return self._held.get(key) or self._waiting.get(key)

    def discard(self, key: K) -> None:
        """Take back an item that was not sent yet, if there is one."""
        self._waiting.pop(key, None)
        self._held.pop(key, None)

    async def finished(self, key: K) -> None:
        """Return when nothing of that key is being sent."""
        if key in self._sending:
            done = self._sending[key]
            if done is None:
                done = asyncio.get_running_loop().create_future()
                self._sending[key] = done
            await asyncio.shield(done)

    def is_sending(self, key: K) -> bool:
        """Whether an item of that key is on its way."""
        return key in self._sending

    async def close(self) -> None:
        """Give up what waits and cancel what is under way; may be called twice."""
        self._waiting.clear()
        self._held.clear()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        # gathered, not awaited one by one: a cancellation of ours must not be taken for theirs
        await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        try:
            while self._waiting:
                key, item = self._waiting.popitem(last=False)
                self._sending[key] = None
                try:
                    await self._send(key, item)
                finally:
                    self._end(key)
        finally:
            self._looking -= 1

    def _end(self, key: K) -> None:
        done = self._sending.pop(key)
        if done is not None and not done.done():
            done.set_result(None)
        if key in self._held:
            self._waiting[key] = self._held.pop(key)
            self._waiting.move_to_end(key, last=False)
