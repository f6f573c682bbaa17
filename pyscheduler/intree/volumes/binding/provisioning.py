"""Dynamic provisioning: whether a volume can be made for a claim, for a pod on a given node.

It can be where all of this holds:

- the class has a provisioner;
- the node's labels match one of the class's allowed topologies, if it has any;
- there is room, if the claim says how much it wants and the provisioner is a CSI driver that
  publishes its capacity: one of the class's CSIStorageCapacity objects that the node has access to
  has room for one volume of the size (``maximumVolumeSize``, else ``capacity``).

Called by: ``search``. A capacity that cannot be understood is none; a topology term neither.
Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go`` checkVolumeProvisions and
hasEnoughCapacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pyscheduler.api.quantity import InvalidQuantity, value
from pyscheduler.api.selectors import InvalidSelector, Requirement, Selector, selector
from pyscheduler.api.storage_v1 import (
    CSIDriver,
    CSIStorageCapacity,
    StorageClass,
    TopologySelectorTerm,
)
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim
from pyscheduler.intree.volumes.binding.annotations import NO_PROVISIONER
from pyscheduler.intree.volumes.binding.reach import NOWHERE, ByLabels, Reach, Rule, rule_of
from pyscheduler.intree.volumes.binding.reasons import NO_ROOM, NO_VOLUME


@dataclass(frozen=True, slots=True)
class Room:
    """What matters of a CSIStorageCapacity."""

    #: bytes that the largest volume may have; -1: none can be made
    limit: int
    #: bytes in all, 0 where that is not said
    capacity: int
    #: from which nodes
    rule: Rule


_NO_ROOM: Final = Room(-1, 0, rule_of(NOWHERE))


def room_of(published: CSIStorageCapacity) -> Room:
    """Reads what a driver published."""
    try:
        limit = volume_limit(published)
        capacity = 0 if published.capacity is None else value(published.capacity)
        topology = selector(published.node_topology)
    except (InvalidQuantity, InvalidSelector):
        return _NO_ROOM
    if limit is None or topology.is_nothing:
        return _NO_ROOM
    return Room(limit, capacity, rule_of(Reach(labels=topology)))


def volume_limit(published: CSIStorageCapacity) -> int | None:
    """Bytes that the largest volume may have; None where that is not said.

    Raises:
        InvalidQuantity: it is said in words that are no quantity.
    """
    written = published.maximum_volume_size
    written = published.capacity if written is None else written
    return None if written is None else value(written)


class Provision(NamedTuple):
    """A volume that is to be made."""

    claim: PersistentVolumeClaim
    #: where it has room; None where nobody says
    room: Room | None = None


class Provisioner:
    """Says where a volume can be made for one claim.

    Args:
        claim: of the class.
        storage_class: how volumes are made for it.
        driver: the CSI driver of the class's provisioner, if it is one.
        rooms: what is published for the class.
        size: bytes that the claim wants; None: it does not say.
    """

    def __init__(
        self,
        claim: PersistentVolumeClaim,
        storage_class: StorageClass,
        *,
        driver: CSIDriver | None,
        rooms: Iterable[Room],
        size: int | None,
    ) -> None:
        self._claim = claim
        self._can_be_made = storage_class.provisioner not in ("", NO_PROVISIONER)
        self._allowed = _allowed(storage_class.allowed_topologies)
        self._rooms: ByLabels[Room] | None = None
        if size is not None and driver is not None and driver.spec.storage_capacity:
            self._rooms = ByLabels()
            for room in rooms:
                if room.limit >= size:
                    self._rooms.add(room, room.rule)

    @property
    def keys(self) -> frozenset[str]:
        """The node labels that the answer depends on."""
        keys = frozenset[str]()
        if self._can_be_made:
            keys = keys.union(*(term.keys for term in self._allowed or ()))
            if self._rooms is not None:
                keys |= self._rooms.keys
        return keys

    def judge(self, labels: Mapping[str, str]) -> Provision | str:
        """The volume to be made for a node with these labels, or why there can be none."""
        if not self._can_be_made:
            return NO_VOLUME
        if self._allowed is not None and not any(term.matches(labels) for term in self._allowed):
            return NO_VOLUME
        if self._rooms is None:
            return Provision(self._claim)
        room = next(self._rooms.reachable(labels), None)
        return NO_ROOM if room is None else Provision(self._claim, room)


def _allowed(terms: tuple[TopologySelectorTerm, ...]) -> tuple[Selector, ...] | None:
    """The terms of which one must match; None: there are none to match."""
    if not terms:
        return None
    return tuple(
        Selector(
            tuple(
                Requirement(one.key, "In", frozenset(one.values))
                for one in term.match_label_expressions
            )
        )
        for term in terms
        if term.match_label_expressions and all(one.values for one in term.match_label_expressions)
    )
