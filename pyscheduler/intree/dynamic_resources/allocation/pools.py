"""What a node sees of a pool: the slices of the newest generation, all of them there, and valid.

The flow: `PoolSlices` holds all slices of one pool and answers `seen_from(node)`; nodes that see
the same slices share one `Pool`. Most pools belong to one node, so nothing is done twice.

A pool is, as seen from a node:

* absent: no slice is for the node, or the newest generation has none for it
* incomplete: slices are missing; nothing is taken from it until they are there
* invalid: device names or counter sets are not unique, or a counter that is consumed does not exist
* usable

Source: `structured/internal/incubating/pools_incubating.go`, 1.37.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pyscheduler.api.core_v1 import Node, NodeSelector
from pyscheduler.api.quantity import nano_value
from pyscheduler.api.resource_v1 import (
    CapacityRequirements,
    CounterMap,
    Device,
    ResourceSlice,
)
from pyscheduler.api.selectors import InvalidSelector, node_selector
from pyscheduler.intree.dynamic_resources.allocation.devices import DeviceID
from pyscheduler.intree.dynamic_resources.allocation.failures import AllocationFailed
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.quantities import Quantity


class PoolID(NamedTuple):
    """What names a pool in the whole cluster."""

    driver: str
    pool: str

    def __str__(self) -> str:
        return f"{self.driver}/{self.pool}"

    @classmethod
    def of(cls, slice_: ResourceSlice) -> PoolID:
        """Returns the pool the slice belongs to."""
        return cls(slice_.spec.driver, slice_.spec.pool.name)


#: What a request takes of a device's capacities, by qualified name.
Consumption = Mapping[str, Quantity]

#: Counter set -> counter -> billionths.
Counters = Mapping[str, Mapping[str, int]]


@dataclass(slots=True, eq=False)
class Candidate:
    """A device that may be allocated, with what is worked out about it once.

    Lives as long as its slice does not change, across cycles.
    """

    id: DeviceID
    device: Device
    slice_: ResourceSlice
    #: one entry per consumption: counter set, and what is taken out of its counters
    counters: tuple[tuple[str, Mapping[str, int]], ...]
    #: CEL expression -> whether it selects the device
    verdicts: dict[str, bool] = field(default_factory=dict)
    #: what is asked of its capacities -> what is taken; None: the device cannot serve it
    consumptions: dict[CapacityRequirements | None, Consumption | None] = field(
        default_factory=dict
    )

    def is_for(self, node: Node) -> bool:
        """Whether the device itself can be used on the node, if its slice leaves that to it.

        Raises:
            InvalidSelector: its node selector cannot be understood.
        """
        device = self.device
        if not self.slice_.spec.per_device_node_selection:
            return True
        return node_matches(
            node,
            node_name=device.node_name,
            all_nodes=device.all_nodes,
            selector=device.node_selector,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """A pool as some nodes see it."""

    id: PoolID
    #: in the order in which they are tried
    candidates: tuple[Candidate, ...] = ()
    #: devices that those nodes cannot use, but which consume counters too
    elsewhere: tuple[Candidate, ...] = ()
    counter_sets: Counters = field(default_factory=dict)
    is_incomplete: bool = False
    #: why nothing can be taken from it; "" if it is valid
    invalid_reason: str = ""
    #: where it stands among the pools: those with binding conditions come last
    rank: tuple[bool, PoolID] = field(init=False)

    def __post_init__(self) -> None:
        has_conditions = any(c.device.binding_conditions for c in self.candidates)
        object.__setattr__(self, "rank", (has_conditions, self.id))

    @property
    def is_usable(self) -> bool:
        """Whether devices can be taken."""
        return not self.is_incomplete and not self.invalid_reason


def node_matches(
    node: Node, *, node_name: str | None, all_nodes: bool, selector: NodeSelector | None
) -> bool:
    """Whether something that is for nodes chosen like this is for the node.

    Raises:
        InvalidSelector: the selector cannot be understood.
    """
    if node_name:
        return node.metadata.name == node_name
    if all_nodes:
        return True
    if selector is None:
        return False
    labels, name = node.metadata.labels, node.metadata.name
    return any(term.matches(labels, name) for term in node_selector(selector))


class PoolSlices:
    """All slices of one pool, of whatever generation."""

    def __init__(
        self, pool: PoolID, slices: Iterable[ResourceSlice], *, features: Features
    ) -> None:
        self.id = pool
        self._features = features
        self._slices = sorted(slices, key=lambda slice_: slice_.metadata.name)
        names = {slice_.spec.node_name for slice_ in self._slices}
        #: Nodes that slices name.
        self.node_names = frozenset(name for name in names if name)
        #: Whether some slice names no node, so that any node may see the pool.
        self.is_floating = len(names) > len(self.node_names)
        self._candidates: dict[str, tuple[Candidate, ...]] = {}
        #: what was seen: names of slices -> the pool
        self._seen: dict[tuple[str, ...], Pool | None] = {}
        #: the same by the node's name, if nothing else about the node matters
        self._seen_by_name: dict[str, Pool | None] = {}

    def seen_from(self, node: Node) -> Pool | None:
        """Returns what the node sees of the pool; None if that is nothing.

        Raises:
            AllocationFailed: a node selector cannot be understood.
        """
        if self.is_floating:
            return self._seen_now(node)
        name = node.metadata.name
        if name not in self._seen_by_name:
            self._seen_by_name[name] = self._seen_now(node)
        return self._seen_by_name[name]

    def _seen_now(self, node: Node) -> Pool | None:
        relevant = self._newest_relevant(node)
        if not relevant:
            return None
        key = tuple([slice_.metadata.name for slice_ in relevant])
        try:
            return self._seen[key]
        except KeyError:
            pool = self._seen[key] = self._build(relevant)
            return pool

    def _newest_relevant(self, node: Node) -> list[ResourceSlice]:
        relevant: list[ResourceSlice] = []
        for slice_ in self._slices:
            if self._is_ignored(slice_) or not _is_relevant(slice_, node):
                continue
            newer = (
                slice_.spec.pool.generation - relevant[0].spec.pool.generation if relevant else 1
            )
            if newer > 0:
                relevant = [slice_]
            elif newer == 0:
                relevant.append(slice_)
        return relevant

    def _is_ignored(self, slice_: ResourceSlice) -> bool:
        spec = slice_.spec
        if not self._features.partitionable_devices and (
            spec.per_device_node_selection or spec.shared_counters
        ):
            return True
        return _uses_compatibility_groups(slice_)

    def _build(self, relevant: Sequence[ResourceSlice]) -> Pool | None:
        wanted = relevant[0].spec.pool
        if len(relevant) == wanted.resource_slice_count:
            return self._validated(relevant, ())
        # The missing ones may be for other nodes, or a newer generation has nothing for this one.
        generations = [slice_.spec.pool.generation for slice_ in self._slices]
        if max(generations) > wanted.generation:
            return None
        of_generation = [
            slice_
            for slice_ in self._slices
            if slice_.spec.pool.generation == wanted.generation
            and not _uses_compatibility_groups(slice_)
        ]
        if len(of_generation) != wanted.resource_slice_count:
            return Pool(self.id, is_incomplete=True)
        return self._validated(relevant, [s for s in of_generation if s not in relevant])

    def _validated(
        self, relevant: Sequence[ResourceSlice], others: Sequence[ResourceSlice]
    ) -> Pool:
        counts = self._features.partitionable_devices
        with_counters = [s for s in (*relevant, *others) if counts and s.spec.shared_counters]
        candidates = self._devices_of(relevant, leave_out=with_counters)
        elsewhere = self._devices_of(others, leave_out=with_counters)
        counter_sets: Counters = {}
        invalid = _twice("duplicate device name", [candidate.id.device for candidate in candidates])
        if not invalid and counts:
            sets = [shared for s in with_counters for shared in s.spec.shared_counters]
            counter_sets = {shared.name: _nanos(shared.counters) for shared in sets}
            invalid = _twice("duplicate counter set name", [shared.name for shared in sets])
            invalid = invalid or _unknown_counter((*candidates, *elsewhere), counter_sets)
        if invalid:
            return Pool(self.id, invalid_reason=invalid)
        return Pool(self.id, candidates, elsewhere if counts else (), counter_sets)

    def _devices_of(
        self, slices: Iterable[ResourceSlice], *, leave_out: Sequence[ResourceSlice]
    ) -> tuple[Candidate, ...]:
        return tuple(
            [
                candidate
                for slice_ in slices
                if slice_ not in leave_out
                for candidate in self._candidates_of(slice_)
            ]
        )

    def _candidates_of(self, slice_: ResourceSlice) -> tuple[Candidate, ...]:
        name = slice_.metadata.name
        if name not in self._candidates:
            self._candidates[name] = tuple(
                [
                    Candidate(
                        DeviceID(*self.id, device.name),
                        device,
                        slice_,
                        tuple(
                            [(c.counter_set, _nanos(c.counters)) for c in device.consumes_counters]
                        ),
                    )
                    for device in slice_.spec.devices
                ]
            )
        return self._candidates[name]


def _is_relevant(slice_: ResourceSlice, node: Node) -> bool:
    spec = slice_.spec
    try:
        if spec.node_name or spec.all_nodes or spec.node_selector is not None:
            return node_matches(
                node,
                node_name=spec.node_name,
                all_nodes=spec.all_nodes,
                selector=spec.node_selector,
            )
    except InvalidSelector as error:
        raise _not_understood(f"slice {slice_.metadata.name}", error) from error
    if not spec.per_device_node_selection:
        return False
    for device in spec.devices:
        try:
            if node_matches(
                node,
                node_name=device.node_name,
                all_nodes=device.all_nodes,
                selector=device.node_selector,
            ):
                return True
        except InvalidSelector as error:
            about = f"device {device.name} in slice {slice_.metadata.name}"
            raise _not_understood(about, error) from error
    return False


def _not_understood(about: str, error: InvalidSelector) -> AllocationFailed:
    return AllocationFailed(
        f"gather pool information: failed to perform node selection for {about}: {error}"
    )


def _uses_compatibility_groups(slice_: ResourceSlice) -> bool:
    return any(
        consumption.compatibility_groups
        for device in slice_.spec.devices
        for consumption in device.consumes_counters
    )


def _nanos(counters: CounterMap) -> Mapping[str, int]:
    return {name: nano_value(counter.value) for name, counter in counters.items()}


def _twice(what: str, names: Iterable[str]) -> str:
    known = set()
    for name in names:
        if name in known:
            return f"{what} {name}"
        known.add(name)
    return ""


def _unknown_counter(candidates: Iterable[Candidate], counter_sets: Counters) -> str:
    for candidate in candidates:
        for set_name, consumed in candidate.counters:
            counters = counter_sets.get(set_name)
            if counters is None:
                return f"counter set {set_name} not found"
            for name in consumed:
                if name not in counters:
                    return f"counter {name} not found in counter set {set_name}"
    return ""
