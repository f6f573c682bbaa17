"""TaintToleration: nodes whose taints the pod tolerates now."""

from __future__ import annotations

from pyscheduler.framework import (
    NODE_ADDED,
    NODE_TAINTS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.testing import NodeBuilder, PodBuilder, make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

_POD = make_pod("p").toleration("gpu", operator="Exists")
_FREE = make_node("n")
_TOLERATED = _FREE.taint("gpu", "yes")
_UNTOLERATED = _FREE.taint("other")


def _added(case_id: str, node: NodeBuilder, *, wakes: bool) -> HintCase:
    plugin = default("TaintToleration")
    return HintCase(case_id, plugin, NODE_ADDED, _POD.obj(), None, node.obj(), wakes)


def _changed(case_id: str, old: NodeBuilder, new: NodeBuilder, *, wakes: bool) -> HintCase:
    plugin = default("TaintToleration")
    return HintCase(case_id, plugin, NODE_TAINTS_CHANGED, _POD.obj(), old.obj(), new.obj(), wakes)


def _tolerates(case_id: str, pod: PodBuilder, *, wakes: bool) -> HintCase:
    event = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_TOLERATION)
    plugin = default("TaintToleration")
    return HintCase(case_id, plugin, event, _POD.obj(), _POD.obj(), pod.obj(), wakes)


CASES = (
    _added("without-taints", _FREE, wakes=True),
    _added("tolerated", _TOLERATED, wakes=True),
    _added("soft", _FREE.taint("other", effect="PreferNoSchedule"), wakes=True),
    _added("untolerated", _UNTOLERATED, wakes=False),
    _added("one-of-two-untolerated", _TOLERATED.taint("other"), wakes=False),
    _changed("taint-gone", _UNTOLERATED, _FREE, wakes=True),
    _changed("became-tolerable", _UNTOLERATED, _TOLERATED, wakes=True),
    _changed("tolerated-before", _TOLERATED, _FREE, wakes=False),
    _changed("still-untolerated", _UNTOLERATED, _UNTOLERATED.taint("gpu"), wakes=False),
    _tolerates("one-more", _POD.toleration("other", operator="Exists"), wakes=True),
)
