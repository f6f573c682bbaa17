"""The search for devices on one node: depth first, the first full solution is taken.

Claims are served in order, within a claim its requests, within a request its alternatives, and for
each device that an alternative demands the candidates in the order of pools, slices and devices.
Within one alternative only combinations are tried, not permutations: the next device comes after
the last one. When nothing is left to try, the last device is given back.

A step ends as

* DONE: everything from there on is allocated
* FAILED: nothing was found; what was chosen before may be at fault
* TOO_MANY: the claim would have more devices than it may; other devices for the same requests would
  not change that, another alternative might

Steps are generators that yield the step to take next, so that a search can be as deep as it likes
without recursion.

Called by: ``allocator``. Source: ``allocator_incubating.go`` allocateOne, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from pyscheduler.api.core_v1 import Node
from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import ALLOCATION_RESULTS_MAX, ResourceClaim
from pyscheduler.intree.dynamic_resources.allocation.failures import (
    AllocationAborted,
    AllocationFailed,
)
from pyscheduler.intree.dynamic_resources.allocation.ledger import Ledger, Taken
from pyscheduler.intree.dynamic_resources.allocation.pools import Candidate, Pool
from pyscheduler.intree.dynamic_resources.allocation.requests import Demand, Wanted
from pyscheduler.intree.dynamic_resources.allocation.suitability import Knowledge, Suitability

#: Where to go on: index of the pool, index of the candidate in it.
_Position: TypeAlias = tuple[int, int]

_START: _Position = (0, 0)


class _Outcome(Enum):
    DONE = "done"
    FAILED = "failed"
    TOO_MANY = "too many"


#: A step, which yields the steps it depends on and is sent how they ended.
_Step: TypeAlias = "Generator[_Step, _Outcome, _Outcome]"


@dataclass(frozen=True, slots=True, eq=False)
class ClaimPlan:
    """A claim and its requests."""

    claim: ResourceClaim
    wanted: tuple[Wanted, ...]


class Search:
    """One search: for some claims, on one node, once.

    Args:
        knowledge: what does not depend on the node.
        node: where.
        plans: the claims.
        pools: what the node sees, in order.
        is_expired: whether to give up; asked before each device, as a selector may take long.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        node: Node,
        *,
        plans: Sequence[ClaimPlan],
        pools: Sequence[Pool],
        is_expired: Callable[[], bool],
    ) -> None:
        self._plans = plans
        self._pools = pools
        self._is_expired = is_expired
        self._suitability = Suitability(knowledge, node)
        self._ledger = Ledger(knowledge, self._suitability, claims=[plan.claim for plan in plans])
        #: demands for all devices -> those devices
        self._all: dict[Demand, list[tuple[Pool, Candidate]]] = {}
        #: (claim, request) -> the alternative that was chosen
        self._chosen: dict[tuple[int, int], Demand] = {}

    def run(self) -> bool:
        """Whether all claims can be served; then `taken` and `chosen` say how.

        Raises:
            AllocationFailed: a claim, class or slice cannot be understood, or must be waited for.
            AllocationAborted: the time was up.
        """
        for plan in self._plans:
            self._gather(plan)
        return _run(self._serve_claim(0)) is _Outcome.DONE

    def taken(self, claim: int) -> Sequence[Taken]:
        """Returns the devices of the claim, in the order of its requests."""
        return self._ledger.taken[claim]

    def chosen(self, claim: int) -> list[Demand]:
        """Returns the alternative that was chosen for each request of the claim."""
        wanted = self._plans[claim].wanted
        return [self._chosen[claim, request] for request in range(len(wanted))]

    # --- beforehand -------------------------------------------------------------------------------

    def _gather(self, plan: ClaimPlan) -> None:
        """Finds out how many "all devices" are; refuses a claim that wants too many in any case."""
        least = 0
        for wanted in plan.wanted:
            for demand in wanted.alternatives:
                if demand.wants_all:
                    self._all[demand] = list(self._every_match(demand))
            more = min(self._count(demand) for demand in wanted.alternatives)
            if least + more > ALLOCATION_RESULTS_MAX:
                raise AllocationFailed(
                    f"claim {key_of(plan.claim)}, request {wanted.name}: adding {more} devices"
                    f" exceeds the claim limit of {ALLOCATION_RESULTS_MAX}, with {least} already"
                    " accounted for"
                )
            least += more

    def _count(self, demand: Demand) -> int:
        return len(self._all[demand]) if demand.wants_all else demand.count

    def _every_match(self, demand: Demand) -> Iterator[tuple[Pool, Candidate]]:
        for pool in self._pools:
            if not pool.is_usable:
                state = "being updated" if pool.is_incomplete else "invalid"
                raise AllocationFailed(
                    f"{demand.described}: asks for all devices, but resource pool {pool.id} is"
                    f" currently {state}"
                )
            for candidate in pool.candidates:
                self._look_at_the_clock()
                # What is left of its capacity does not matter here: a device that has not enough
                # left is one of all devices, and cannot be had.
                if not self._suitability.is_selected(demand, candidate):
                    continue
                # By its name alone, as upstream calls it here.
                called = candidate.id.device
                if self._suitability.consumption(demand, candidate, called=called) is not None:
                    yield pool, candidate

    # --- steps ------------------------------------------------------------------------------------

    def _serve_claim(self, claim: int) -> _Step:
        if claim == len(self._plans):
            return _Outcome.DONE
        # Never TOO_MANY: the least alternatives fit, `_gather` saw to that.
        return (yield self._serve_request(claim, 0))

    def _serve_request(self, claim: int, request: int) -> _Step:
        if request == len(self._plans[claim].wanted):
            return (yield self._serve_claim(claim + 1))
        outcome = _Outcome.TOO_MANY
        for demand in self._plans[claim].wanted[request].alternatives:
            self._chosen[claim, request] = demand
            found = yield self._take_devices(claim, request, demand, got=0, start=_START)
            if found is _Outcome.DONE:
                return found
            if found is _Outcome.FAILED:
                outcome = found
        return outcome

    def _take_devices(
        self, claim: int, request: int, demand: Demand, *, got: int, start: _Position
    ) -> _Step:
        self._look_at_the_clock()
        count = self._count(demand)
        if demand.wants_all and not count:
            return _Outcome.FAILED
        if got >= count:
            return (yield self._serve_request(claim, request + 1))
        if count - got > ALLOCATION_RESULTS_MAX - len(self._ledger.taken[claim]):
            return _Outcome.TOO_MANY
        if demand.wants_all:
            attempts: Iterator[tuple[_Position, Pool, Candidate]]
            attempts = iter([(_START, *self._all[demand][got])])
        else:
            attempts = self._usable(claim, demand, start)
        for next_start, pool, candidate in attempts:
            if not self._ledger.take(claim, demand, candidate, pool, must=demand.wants_all):
                continue
            outcome = yield self._take_devices(
                claim, request, demand, got=got + 1, start=next_start
            )
            if outcome is _Outcome.DONE:
                return outcome
            self._ledger.give_back(claim)
            if outcome is _Outcome.TOO_MANY:
                return outcome
        return _Outcome.FAILED

    def _usable(
        self, claim: int, demand: Demand, start: _Position
    ) -> Iterator[tuple[_Position, Pool, Candidate]]:
        """Yields what is worth trying, and where to go on after it."""
        ledger, suitability = self._ledger, self._suitability
        first_pool, first = start
        for pool_index in range(first_pool, len(self._pools)):
            pool = self._pools[pool_index]
            candidates = pool.candidates if pool.is_usable else ()
            for index in range(first, len(candidates)):
                candidate = candidates[index]
                # The cheapest question first.
                if ledger.is_in_use(claim, demand, candidate):
                    continue
                self._look_at_the_clock()
                if suitability.is_selected(demand, candidate) and ledger.has_capacity(
                    demand, candidate
                ):
                    yield (pool_index, index + 1), pool, candidate
            first = 0

    def _look_at_the_clock(self) -> None:
        if self._is_expired():
            raise AllocationAborted("filter operation aborted: the time was up")


def _run(step: _Step) -> _Outcome:
    """Returns how the step ends, after all that it depends on."""
    pending = [step]
    outcome: _Outcome | None = None
    while pending:
        try:
            # The first `send` of a generator must be None; it ends nothing.
            following = pending[-1].send(outcome)  # type: ignore[arg-type]  # see above
        except StopIteration as end:
            pending.pop()
            outcome = end.value
        else:
            pending.append(following)
            outcome = None
    assert outcome is not None
    return outcome
