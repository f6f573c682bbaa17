"""Every volume plugin keeps the promises that the runtime relies on, with volumes of all sorts."""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler.intree.volumes.binding import VolumeBinding
from pyscheduler.intree.volumes.limits import NodeVolumeLimits
from pyscheduler.intree.volumes.restrictions import VolumeRestrictions
from pyscheduler.intree.volumes.zone import VolumeZone
from pyscheduler.testing import parametrize_with_checks
from tests.unit.intree.volumes.samples import EXISTING, NODES, OBJECTS, PODS


@parametrize_with_checks(
    [VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone],
    pods=PODS,
    nodes=NODES,
    existing=EXISTING,
    objects=OBJECTS,
)
def test_conformance(check: Callable[[], None]) -> None:
    check()
