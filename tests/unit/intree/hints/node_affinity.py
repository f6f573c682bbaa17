"""NodeAffinity: nodes whose labels match now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyscheduler.framework import NODE_ADDED, NODE_LABELS_CHANGED, Plugin
from pyscheduler.intree.node_affinity import NodeAffinity
from pyscheduler.testing import (
    NodeBuilder,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)
from tests.unit.intree.hints.case import HintCase, default

_SELECTS = make_pod("p").node_selector({"zone": "a"})
_REQUIRES = make_pod("p").required_affinity(("cores", "Gt", ["8"]))
_NODE = make_node("n")
_A = _NODE.label("zone", "a")
_B = _NODE.label("zone", "b")

_PLAIN = default("NodeAffinity")


def _enforcing() -> Plugin[Any]:
    term = {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}
    required = {"nodeSelectorTerms": [term]}
    added = {"requiredDuringSchedulingIgnoredDuringExecution": required}
    return make_plugin(NodeAffinity, {"addedAffinity": added}, handle=fake_handle())


def _added(
    case_id: str,
    pod: PodBuilder,
    node: NodeBuilder,
    *,
    wakes: bool,
    plugin: Callable[[], Plugin[Any]] = _PLAIN,
) -> HintCase:
    return HintCase(case_id, plugin, NODE_ADDED, pod.obj(), None, node.obj(), wakes)


def _changed(
    case_id: str,
    pod: PodBuilder,
    old: NodeBuilder,
    new: NodeBuilder,
    *,
    wakes: bool,
    plugin: Callable[[], Plugin[Any]] = _PLAIN,
) -> HintCase:
    return HintCase(case_id, plugin, NODE_LABELS_CHANGED, pod.obj(), old.obj(), new.obj(), wakes)


CASES = (
    _added("selected", _SELECTS, _A, wakes=True),
    _added("not-selected", _SELECTS, _B, wakes=False),
    _added("required", _REQUIRES, _NODE.label("cores", "9"), wakes=True),
    _added("not-required", _REQUIRES, _NODE.label("cores", "8"), wakes=False),
    _added("enforced", _SELECTS, _A.label("pool", "x"), wakes=True, plugin=_enforcing),
    _added("not-enforced", _SELECTS, _A, wakes=False, plugin=_enforcing),
    _changed("matches-now", _SELECTS, _B, _A, wakes=True),
    _changed("matched-before", _SELECTS, _A, _A.label("x", "y"), wakes=False),
    _changed("matches-no-longer", _SELECTS, _A, _B, wakes=False),
    _changed("never-matched", _SELECTS, _NODE, _B, wakes=False),
)
