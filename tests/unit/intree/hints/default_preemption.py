"""DefaultPreemption: see ``NEVER_WAKE``."""

from __future__ import annotations

from pyscheduler.framework import ASSIGNED_POD_DELETED
from pyscheduler.testing import make_pod
from tests.unit.intree.hints.case import HintCase, default

CASES = (
    HintCase(
        id="victim-gone",
        plugin=default("DefaultPreemption"),
        event=ASSIGNED_POD_DELETED,
        pod=make_pod("p").priority(10).nominated("n").obj(),
        old=make_pod("victim").node("n").obj(),
        new=None,
        wakes=False,
    ),
)
