"""All slices, by pool and by node, with the taints that rules add; kept up to date one by one.

Apart from ``pools`` because this is a matter of API events, that one of what a node sees. The
plugin puts in and takes out what its informers tell; `snapshot` is what a cycle works with and
does not change. Pools that nothing happened to are carried over from one snapshot to the next,
with all that was worked out about them.

Source: `resourceslice/tracker/tracker.go`, 1.37. Knowing difference: of several rules for one
device the taints come in the order of the rules' names (upstream: in any order).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from pyscheduler.api.resource_v1 import Device, DeviceTaintRule, ResourceSlice
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.allocation.pools import PoolID, PoolSlices


@dataclass(frozen=True, slots=True)
class PoolIndex:
    """The pools at one moment."""

    pools: Mapping[PoolID, PoolSlices]
    #: node name -> pools with slices that name the node
    on_node: Mapping[str, frozenset[PoolID]]
    #: pools with slices that name no node
    floating: frozenset[PoolID]

    def of_node(self, node_name: str) -> list[PoolSlices]:
        """Returns the pools that may have something for the node."""
        names = self.on_node.get(node_name)
        found = self.floating if names is None else self.floating | names
        return [self.pools[pool] for pool in found]

    def may_have_devices(self, node_name: str) -> bool:
        """False if no pool can have anything for the node."""
        return bool(self.floating) or node_name in self.on_node


class Inventory:
    """Follows slices and taint rules.

    Args:
        features: what is switched on.
    """

    def __init__(self, *, features: Features) -> None:
        self._features = features
        self._rules: dict[str, DeviceTaintRule] = {}
        #: as the API has them
        self._slices: dict[str, ResourceSlice] = {}
        #: pool -> slice name -> the slice with the rules' taints
        self._tainted: dict[PoolID, dict[str, ResourceSlice]] = {}
        #: pools that changed since the last snapshot
        self._changed: set[PoolID] = set()
        self._snapshot = PoolIndex({}, {}, frozenset())

    def put_slice(self, slice_: ResourceSlice) -> None:
        """The slice is there, or is like this now."""
        self.drop_slice(slice_.metadata.name)
        self._slices[slice_.metadata.name] = slice_
        self._store(self._with_taints(slice_))

    def drop_slice(self, name: str) -> None:
        """The slice is gone; nothing happens if it was not there."""
        slice_ = self._slices.pop(name, None)
        if slice_ is None:
            return
        pool = PoolID.of(slice_)
        of_pool = self._tainted[pool]
        del of_pool[name]
        if not of_pool:
            del self._tainted[pool]
        self._changed.add(pool)

    def put_rule(self, rule: DeviceTaintRule) -> tuple[str, ...]:
        """The rule is there, or is like this now; returns the slices whose taints changed."""
        name = rule.metadata.name
        before = self._rules.get(name)
        self._rules[name] = rule
        return self._taint_again([rule] if before is None else [before, rule])

    def drop_rule(self, name: str) -> tuple[str, ...]:
        """The rule is gone; returns the slices whose taints changed."""
        rule = self._rules.pop(name, None)
        return () if rule is None else self._taint_again([rule])

    def snapshot(self) -> PoolIndex:
        """Returns the pools as they are now."""
        if self._changed:
            self._snapshot = self._next_snapshot()
            self._changed.clear()
        return self._snapshot

    def _store(self, tainted: ResourceSlice) -> None:
        pool = PoolID.of(tainted)
        self._tainted.setdefault(pool, {})[tainted.metadata.name] = tainted
        self._changed.add(pool)

    def _taint_again(self, rules: Iterable[DeviceTaintRule]) -> tuple[str, ...]:
        if not self._features.device_taints:
            return ()
        changed = []
        for name, slice_ in self._slices.items():
            if not any(_concerns(rule, slice_) for rule in rules):
                continue
            tainted = self._with_taints(slice_)
            if tainted != self._tainted[PoolID.of(slice_)][name]:
                self._store(tainted)
                changed.append(name)
        return tuple(changed)

    def _with_taints(self, slice_: ResourceSlice) -> ResourceSlice:
        if not self._features.device_taints:
            return slice_
        rules = [rule for _, rule in sorted(self._rules.items()) if _concerns(rule, slice_)]
        if not rules:
            return slice_
        devices = tuple([_tainted(device, rules) for device in slice_.spec.devices])
        return replace(slice_, spec=replace(slice_.spec, devices=devices))

    def _next_snapshot(self) -> PoolIndex:
        before = self._snapshot
        pools = dict(before.pools)
        on_node = dict(before.on_node)
        floating = set(before.floating)
        for pool in self._changed:
            old = pools.pop(pool, None)
            for node_name in () if old is None else old.node_names:
                left = on_node.pop(node_name) - {pool}
                if left:
                    on_node[node_name] = left
            floating.discard(pool)
            if pool not in self._tainted:
                continue
            new = PoolSlices(pool, self._tainted[pool].values(), features=self._features)
            pools[pool] = new
            for node_name in new.node_names:
                on_node[node_name] = on_node.get(node_name, frozenset()) | {pool}
            if new.is_floating:
                floating.add(pool)
        return PoolIndex(pools, on_node, frozenset(floating))


def _concerns(rule: DeviceTaintRule, slice_: ResourceSlice) -> bool:
    """Whether the rule may taint devices of the slice; a rule without a selector taints none."""
    selector = rule.spec.device_selector
    return (
        selector is not None
        and selector.driver in (None, slice_.spec.driver)
        and selector.pool in (None, slice_.spec.pool.name)
    )


def _tainted(device: Device, rules: Iterable[DeviceTaintRule]) -> Device:
    added = tuple(
        [
            rule.spec.taint
            for rule in rules
            if rule.spec.device_selector is not None
            and rule.spec.device_selector.device in (None, device.name)
        ]
    )
    return replace(device, taints=device.taints + added) if added else device
