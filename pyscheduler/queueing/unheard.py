"""Events that waiting entities have not been judged by yet.

An event that concerns thousands of waiting pods would hold the event loop for tens of
milliseconds, were all of them judged at once. So each of them keeps, in order, the events that it
has still to hear of, and hears them out a few entities at a time (`SchedulingQueue.settle`), or
before anything else happens to it. Every entity is judged by the same events in the same order
as if nothing had been put off.

Called by: ``scheduling_queue``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyscheduler.api.core_v1 import Pod
from pyscheduler.queueing.hints import Audience

#: an event for more entities than this is put off: 200 are judged and moved in about a millisecond
AT_ONCE = 200
#: (entity, event) pairs that may be put off; past them an event waits for nobody. A guess: half a
#: second of work, and about 1 MB
MAX_PAIRS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """One call of `SchedulingQueue.move`."""

    audience: Audience
    old: object
    new: object
    #: False keeps a pod where it is without asking the hints
    pre_check: Callable[[Pod], bool] | None = None


class UnheardEvents:
    """Moves by the uid of the entity that has to hear of them."""

    __slots__ = ("_by_uid", "_max_pairs", "_pairs")

    def __init__(self, *, max_pairs: int = MAX_PAIRS) -> None:
        self._max_pairs = max_pairs
        #: the entity that waits longest in front; a plain dict would search for its front
        self._by_uid: OrderedDict[str, tuple[Move, ...]] = OrderedDict()
        self._pairs = 0

    def __len__(self) -> int:
        """How many entities have something to hear."""
        return len(self._by_uid)

    @property
    def is_full(self) -> bool:
        """True when no more should be put off."""
        return self._pairs >= self._max_pairs

    def add(self, uids: Iterable[str], move: Move) -> None:
        """These entities have to hear of one more move, after those they know."""
        alone = (move,)  # shared: most have nothing else to hear
        for uid in uids:
            known = self._by_uid.get(uid)
            self._by_uid[uid] = alone if known is None else known + alone
            self._pairs += 1

    def take(self, uid: str) -> tuple[Move, ...]:
        """Removes and returns what the entity has to hear, oldest first."""
        moves = self._by_uid.pop(uid, ())
        self._pairs -= len(moves)
        return moves

    def longest_waiting(self) -> str | None:
        """The uid of the entity to hear things out next; None when all have."""
        return next(iter(self._by_uid), None)

    def uids(self) -> set[str]:
        """Who has something to hear."""
        return set(self._by_uid)

    def validate(self) -> None:
        """Asserts that the count is right and nobody is kept for nothing."""
        assert all(self._by_uid.values())
        assert self._pairs == sum(map(len, self._by_uid.values()))
