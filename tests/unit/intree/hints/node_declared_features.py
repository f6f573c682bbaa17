"""NodeDeclaredFeatures: nodes that declare something else, and pods that need something else."""

from __future__ import annotations

from pyscheduler.framework import (
    NODE_ADDED,
    NODE_DECLARED_FEATURES_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.testing import NodeBuilder, PodBuilder, make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

_PLUGIN = default("NodeDeclaredFeatures")
_POD = make_pod("p").own_users_on_host_network()
_NODE = make_node("n")


def _changed(case_id: str, old: NodeBuilder, new: NodeBuilder, *, wakes: bool) -> HintCase:
    event = NODE_DECLARED_FEATURES_CHANGED
    return HintCase(case_id, _PLUGIN, event, _POD.obj(), old.obj(), new.obj(), wakes)


def _itself(case_id: str, new: PodBuilder, *, wakes: bool) -> HintCase:
    event = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE)
    return HintCase(case_id, _PLUGIN, event, _POD.obj(), _POD.obj(), new.obj(), wakes)


CASES = (
    HintCase("any-node", _PLUGIN, NODE_ADDED, _POD.obj(), None, _NODE.obj(), wakes=True),
    _changed("declares-it", _NODE, _NODE.declared_feature("X"), wakes=True),
    _changed("declares-less", _NODE.declared_feature("X"), _NODE, wakes=True),
    _changed("declares-the-same", _NODE, _NODE.label("a", "b"), wakes=False),
    _itself("needs-less", make_pod("p"), wakes=True),
    _itself("needs-the-same", _POD.label("a", "b"), wakes=False),
)
