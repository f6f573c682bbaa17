"""Which devices suit a demand, whatever else is taken: selectors, node, and the size of capacities.

What does not depend on the node is worked out once, and stays with the device as long as its slice
does not change.

Called by: ``search`` and ``ledger``. Source: ``allocator_incubating.go`` isSelectable and
selectorsMatch, 1.37.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyscheduler.api.core_v1 import Node
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.selectors import InvalidSelector
from pyscheduler.intree.dynamic_resources.allocation.capacity import InvalidCapacity, consumption
from pyscheduler.intree.dynamic_resources.allocation.counters import Available
from pyscheduler.intree.dynamic_resources.allocation.devices import AllocatedState
from pyscheduler.intree.dynamic_resources.allocation.failures import AllocationFailed
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.allocation.pools import Candidate, Consumption, Pool
from pyscheduler.intree.dynamic_resources.allocation.requests import Demand, Selector
from pyscheduler.intree.dynamic_resources.cel import DeviceSelectors, SelectorError

#: Answers kept per device; a guess: more expressions than that are hardly in use at a time.
_KEPT = 256

_NOTHING: Consumption = {}


@dataclass(slots=True)
class Knowledge:
    """What searches on all nodes of a cycle share."""

    features: Features
    allocated: AllocatedState
    selectors: DeviceSelectors
    #: pool -> what allocated devices leave of its counters
    available: dict[Pool, Available] = field(default_factory=dict)


class Suitability:
    """Answers for one node."""

    def __init__(self, knowledge: Knowledge, node: Node) -> None:
        self._knowledge = knowledge
        self._node = node
        self._selected: dict[tuple[Demand, Candidate], bool] = {}

    def is_selected(self, demand: Demand, candidate: Candidate) -> bool:
        """Whether class and request select the device and it is for the node.

        Raises:
            AllocationFailed: a selector cannot be evaluated.
        """
        key = (demand, candidate)
        found = self._selected.get(key)
        if found is None:
            found = self._selected[key] = self._select(demand, candidate)
        return found

    def consumption(
        self, demand: Demand, candidate: Candidate, *, called: str = ""
    ) -> Consumption | None:
        """Returns what the demand takes of the device's capacities; None: not of this device.

        Args:
            demand: what is asked for.
            candidate: the device.
            called: what the device is called in messages, if not by its full name.

        Raises:
            AllocationFailed: it cannot be computed.
        """
        features = self._knowledge.features
        if not features.consumable_capacity:
            return _NOTHING
        known = candidate.consumptions
        if demand.capacity not in known:
            if len(known) >= _KEPT:
                known.clear()
            try:
                known[demand.capacity] = consumption(
                    demand.capacity,
                    candidate.device,
                    fractional=features.fractional_capacity_range,
                )
            except (InvalidCapacity, InvalidQuantity) as error:
                raise AllocationFailed(
                    f"{demand.described}: checking capacity for device"
                    f" {called or candidate.id}: {error}"
                ) from error
        return known[demand.capacity]

    def _select(self, demand: Demand, candidate: Candidate) -> bool:
        if candidate.device.binding_conditions and not self._knowledge.features.binding_conditions:
            return False
        for selector in demand.selectors:
            verdict = candidate.verdicts.get(selector.expression)
            if verdict is None:
                verdict = self._evaluate(selector, candidate)
                if len(candidate.verdicts) >= _KEPT:
                    candidate.verdicts.clear()
                candidate.verdicts[selector.expression] = verdict
            if not verdict:
                return False
        try:
            return candidate.is_for(self._node)
        except InvalidSelector as error:
            raise AllocationFailed(
                f"device {candidate.id}: failed to parse node selector: {error}"
            ) from error

    def _evaluate(self, selector: Selector, candidate: Candidate) -> bool:
        try:
            program = self._knowledge.selectors.compile(selector.expression)
        except SelectorError as error:
            raise AllocationFailed(f"{selector.where}: CEL compile error: {error}") from error
        try:
            return program.matches(candidate.device, driver=candidate.id.driver)
        except SelectorError as error:
            raise AllocationFailed(
                f"{selector.where} on device {candidate.id}: CEL runtime error: {error}"
            ) from error
