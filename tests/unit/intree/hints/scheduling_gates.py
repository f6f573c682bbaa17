"""SchedulingGates: see ``ALWAYS_WAKE``."""

from __future__ import annotations

from pyscheduler.framework import ActionType, ClusterEvent, EventResource
from pyscheduler.testing import make_pod
from tests.unit.intree.hints.case import HintCase, default

CASES = (
    HintCase(
        id="last-gate-gone",
        plugin=default("SchedulingGates"),
        event=ClusterEvent(
            EventResource.TARGET_POD, ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED
        ),
        pod=make_pod("p").gate("a").obj(),
        old=make_pod("p").gate("a").obj(),
        new=make_pod("p").obj(),
        wakes=True,
    ),
)
