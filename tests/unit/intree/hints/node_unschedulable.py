"""NodeUnschedulable: nodes that are no longer cordoned, and tolerations of it."""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework import (
    NODE_ADDED,
    NODE_TAINTS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.testing import NodeBuilder, make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

_OPEN = make_node("n")
_CORDONED = make_node("n").unschedulable()
_POD = make_pod("p")
_CORDON_TAINT = "node.kubernetes.io/unschedulable"


def _added(case_id: str, node: NodeBuilder, *, wakes: bool) -> HintCase:
    plugin = default("NodeUnschedulable")
    return HintCase(case_id, plugin, NODE_ADDED, _POD.obj(), None, node.obj(), wakes)


def _changed(case_id: str, old: NodeBuilder, new: NodeBuilder, *, wakes: bool) -> HintCase:
    plugin = default("NodeUnschedulable")
    return HintCase(case_id, plugin, NODE_TAINTS_CHANGED, _POD.obj(), old.obj(), new.obj(), wakes)


def _tolerates(case_id: str, pod: Pod, *, wakes: bool) -> HintCase:
    event = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_TOLERATION)
    return HintCase(
        case_id, default("NodeUnschedulable"), event, _POD.obj(), _POD.obj(), pod, wakes
    )


CASES = (
    _added("open", _OPEN, wakes=True),
    _added("cordoned", _CORDONED, wakes=False),
    _changed("uncordoned", _CORDONED, _OPEN, wakes=True),
    _changed("cordoned", _OPEN, _CORDONED, wakes=False),
    _changed("still-open", _OPEN, _OPEN.taint("k"), wakes=False),
    _changed("still-cordoned", _CORDONED.taint("k"), _CORDONED, wakes=False),
    _tolerates("cordon", _POD.toleration(_CORDON_TAINT, operator="Exists").obj(), wakes=True),
    _tolerates("everything", _POD.toleration(operator="Exists").obj(), wakes=True),
    _tolerates("something-else", _POD.toleration("other", operator="Exists").obj(), wakes=False),
)
