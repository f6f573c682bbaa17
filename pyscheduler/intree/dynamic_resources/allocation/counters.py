"""Partitionable devices: what the devices of a pool may take out of the counters they share.

Source: `structured/internal/incubating/allocator_incubating.go` checkAvailableCounters, 1.37.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyscheduler.intree.dynamic_resources.allocation.devices import AllocatedState
from pyscheduler.intree.dynamic_resources.allocation.pools import Candidate, Pool


@dataclass(frozen=True, slots=True)
class Available:
    """What a pool has left."""

    #: (counter set, counter) -> billionths
    counters: dict[tuple[str, str], int]
    #: more was taken than there is: nothing that consumes counters can be allocated
    is_overdrawn: bool

    @classmethod
    def of(cls, pool: Pool, allocated: AllocatedState) -> Available:
        """Returns what allocated devices leave, wherever in the pool they are."""
        left = {
            (set_name, name): total
            for set_name, counters in pool.counter_sets.items()
            for name, total in counters.items()
        }
        for candidate in (*pool.candidates, *pool.elsewhere):
            if candidate.counters and allocated.is_allocated(candidate.id):
                for key, nanos in _consumption(candidate):
                    left[key] -= nanos
        return cls(left, any(nanos < 0 for nanos in left.values()))


class Counters:
    """What one search takes out of the counters.

    Args:
        available: what each pool has left; kept by the caller, for all nodes.
        allocated: what is taken already.
    """

    def __init__(self, available: dict[Pool, Available], allocated: AllocatedState) -> None:
        self._available = available
        self._allocated = allocated
        self._consumed: dict[tuple[Pool, tuple[str, str]], int] = {}

    def consume(self, candidate: Candidate, pool: Pool) -> bool:
        """Whether there is enough for the device; if so, it is taken."""
        available = self._available.get(pool)
        if available is None:
            available = self._available[pool] = Available.of(pool, self._allocated)
        if available.is_overdrawn:
            return False
        self._add(candidate, pool, 1)
        for key, _ in _consumption(candidate):
            if self._consumed[pool, key] > available.counters[key]:
                self.give_back(candidate, pool)
                return False
        return True

    def give_back(self, candidate: Candidate, pool: Pool) -> None:
        """Takes back a `consume` that returned True."""
        self._add(candidate, pool, -1)

    def _add(self, candidate: Candidate, pool: Pool, sign: int) -> None:
        for key, nanos in _consumption(candidate):
            self._consumed[pool, key] = self._consumed.get((pool, key), 0) + sign * nanos


def _consumption(candidate: Candidate) -> list[tuple[tuple[str, str], int]]:
    return [
        ((set_name, name), nanos)
        for set_name, consumed in candidate.counters
        for name, nanos in consumed.items()
    ]
