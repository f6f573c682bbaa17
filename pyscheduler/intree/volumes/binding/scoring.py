"""StorageCapacityScoring: a node's score by how full the storage that the claims get would be.

Per storage class, requested and capacity are summed: over the volumes that were found, or, if none
was found, over those to be made: then the capacity is that of one CSIStorageCapacity, as several
volumes share it. The class scores what ``shape`` says of ``requested * 100 / capacity`` percent (of
100 where more is requested than there is, or nothing is there); the node scores the mean of its
classes, rounded half away from zero, and 0 without any.

Called by: ``plugin``. Sums and products wrap around as Go's int64 do.
Source: kube-scheduler 1.37, ``plugins/volumebinding/scorer.go`` and Score in volume_binding.go.
Knowing differences: a capacity that is not published (``maximumVolumeSize`` alone is) counts as
nothing, and the class of a claim may stand in its annotation, where upstream panics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pyscheduler import framework as fwk
from pyscheduler.api.quantity import InvalidQuantity, value
from pyscheduler.config.utilization_shape import UtilizationShapePoint, score_at
from pyscheduler.framework.arithmetic import wrapped_int64
from pyscheduler.intree.volumes.binding.finding import STORAGE
from pyscheduler.intree.volumes.binding.search import Outcome

_FULL: Final = 100


def curve_of(shape: Sequence[UtilizationShapePoint]) -> Sequence[int]:
    """The scores of 0 to 100 percent."""
    return tuple(score_at(shape, percent) for percent in range(_FULL + 1))


def score_of(outcome: Outcome, curve: Sequence[int]) -> int:
    """0..100: the score of the nodes with that outcome."""
    usages = _usages(outcome)
    if not usages:
        return 0
    total = sum(curve[_percent(*usage)] for usage in usages.values())
    return fwk.round_half_away(total / len(usages))


def _usages(outcome: Outcome) -> Mapping[str, tuple[int, int]]:
    """Bytes requested and there, by storage class."""
    usages: dict[str, tuple[int, int]] = {}
    for match in outcome.matches:
        name = match.volume.spec.storage_class_name
        requested, capacity = usages.get(name, (0, 0))
        usages[name] = (
            wrapped_int64(requested + _bytes(match.claim.spec.resources.requests)),
            wrapped_int64(capacity + _bytes(match.volume.spec.capacity)),
        )
    if outcome.matches:
        return usages
    for provision in outcome.provisions:
        if provision.room is None:
            continue
        name = provision.claim.class_name
        requested, _ = usages.get(name, (0, 0))
        wanted = _bytes(provision.claim.spec.resources.requests)
        usages[name] = (wrapped_int64(requested + wanted), provision.room.capacity)
    return usages


def _percent(requested: int, capacity: int) -> int:
    """0..100; what wrapped around to less than nothing scores as nothing does."""
    if capacity == 0 or requested > capacity:
        return _FULL
    percent = fwk.truncated_quotient(wrapped_int64(requested * _FULL), capacity)
    return min(max(percent, 0), _FULL)


def _bytes(quantities: Mapping[str, str]) -> int:
    try:
        return value(quantities.get(STORAGE, "0"))
    except InvalidQuantity:
        return 0  # neither a claim nor a volume that cannot be understood comes this far
