"""NodeName: see ``ALWAYS_WAKE``."""

from __future__ import annotations

from pyscheduler.framework import NODE_ADDED
from pyscheduler.testing import make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

CASES = (
    HintCase(
        id="any-node",
        plugin=default("NodeName"),
        event=NODE_ADDED,
        pod=make_pod("p").node("n").obj(),
        old=None,
        new=make_node("n").obj(),
        wakes=True,
    ),
)
