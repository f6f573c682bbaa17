"""InterPodAffinity: pods and nodes that make a difference to what the pod requires.

Cases named ``gap`` are those in which kube-scheduler does not wake a pod that could go on.
"""

from __future__ import annotations

from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement
from pyscheduler.framework import (
    ASSIGNED_POD_ADDED,
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    NODE_LABELS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.testing import NodeBuilder, PodBuilder, make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

_RELABELLED = ClusterEvent(EventResource.ASSIGNED_POD, ActionType.UPDATE_POD_LABEL)
_OWN_LABELS = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_LABEL)

_ODD = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Near"),))
_TEAM = LabelSelector(match_labels=FrozenMap({"team": "red"}))
_NO_TEAM = LabelSelector(
    match_expressions=(LabelSelectorRequirement(key="team", operator="DoesNotExist"),)
)

_POD = make_pod("p").label("app", "web")
_NEAR = _POD.affinity("zone", {"app": "db"}).affinity("rack", {"tier": "data"})
_APART = _POD.anti_affinity("zone", {"app": "db"}).anti_affinity("rack", {"app": "cache"})
_PREFERS = _POD.affinity("zone", {"app": "db"}, weight=10)
_UNREADABLE = _POD.affinity("zone", _ODD)
_ANTI_UNREADABLE = _POD.anti_affinity("zone", _ODD)

_DB = make_pod("db").label("app", "db").node("n")
_BOTH = _DB.label("tier", "data")
_OTHER = make_pod("other").label("app", "other").node("n")
_PLAIN = make_node("n")
_ZONE_A, _ZONE_B = _PLAIN.label("zone", "a"), _PLAIN.label("zone", "b")


def _added(case_id: str, pod: PodBuilder, added: PodBuilder, *, wakes: bool) -> HintCase:
    plugin = default("InterPodAffinity")
    return HintCase(case_id, plugin, ASSIGNED_POD_ADDED, pod.obj(), None, added.obj(), wakes)


def _deleted(case_id: str, pod: PodBuilder, gone: PodBuilder, *, wakes: bool) -> HintCase:
    plugin = default("InterPodAffinity")
    return HintCase(case_id, plugin, ASSIGNED_POD_DELETED, pod.obj(), gone.obj(), None, wakes)


def _relabelled(
    case_id: str, pod: PodBuilder, old: PodBuilder, new: PodBuilder, *, wakes: bool
) -> HintCase:
    plugin = default("InterPodAffinity")
    return HintCase(case_id, plugin, _RELABELLED, pod.obj(), old.obj(), new.obj(), wakes)


def _joined(case_id: str, pod: PodBuilder, node: NodeBuilder, *, wakes: bool) -> HintCase:
    plugin = default("InterPodAffinity")
    return HintCase(case_id, plugin, NODE_ADDED, pod.obj(), None, node.obj(), wakes)


def _moved(
    case_id: str, pod: PodBuilder, old: NodeBuilder, new: NodeBuilder, *, wakes: bool
) -> HintCase:
    plugin = default("InterPodAffinity")
    return HintCase(case_id, plugin, NODE_LABELS_CHANGED, pod.obj(), old.obj(), new.obj(), wakes)


CASES = (
    _added("means-all-terms", _NEAR, _BOTH, wakes=True),
    _added("means-one-of-two-terms", _NEAR, _DB, wakes=False),
    _added("of-another-namespace", _NEAR, _BOTH.namespace("other"), wakes=False),
    _added("nominated", _NEAR, _BOTH.node("").nominated("n"), wakes=True),
    _added("without-a-node", _NEAR, _BOTH.node(""), wakes=False),
    _added("for-anti-affinity", _APART, _OTHER, wakes=False),
    _added("for-preferred", _PREFERS, _DB, wakes=False),
    _added("affinity-unreadable", _UNREADABLE, _OTHER, wakes=True),
    _added("anti-affinity-unreadable", _ANTI_UNREADABLE, _OTHER, wakes=True),
    _added("unreadable-without-a-node", _UNREADABLE, _OTHER.node(""), wakes=False),
    _added("preferred-unreadable", _POD.affinity("zone", _ODD, weight=1), _OTHER, wakes=False),
    _added(
        "gap-in-a-selected-namespace",
        _POD.affinity("zone", {"app": "db"}, namespace_selector=_TEAM),
        _DB.namespace("red"),
        wakes=False,
    ),
    _added(
        "in-any-namespace",
        _POD.affinity("zone", {"app": "db"}, namespace_selector=LabelSelector()),
        _DB.namespace("red"),
        wakes=True,
    ),
    _added(
        "in-a-namespace-without-a-label",
        _POD.affinity("zone", {"app": "db"}, namespace_selector=_NO_TEAM),
        _DB.namespace("red"),
        wakes=True,
    ),
    _relabelled("comes-near", _NEAR, _DB, _BOTH, wakes=True),
    _relabelled("was-near", _NEAR, _BOTH, _BOTH.label("more", "x"), wakes=False),
    _relabelled("still-not-near", _NEAR, _OTHER, _DB, wakes=False),
    _relabelled("no-longer-in-the-way", _APART, _DB, _DB.label("app", "x"), wakes=True),
    _relabelled("in-the-way-of-another-term", _APART, _DB, _DB.label("app", "cache"), wakes=False),
    _relabelled("was-not-in-the-way", _APART, _OTHER, _DB, wakes=False),
    _relabelled("without-a-node", _NEAR, _DB.node(""), _BOTH.node(""), wakes=False),
    _deleted("was-in-the-way", _APART, _DB, wakes=True),
    _deleted("of-the-second-term", _APART, _OTHER.label("app", "cache"), wakes=True),
    _deleted("was-not-in-the-way", _APART, _OTHER, wakes=False),
    _deleted("without-a-node", _APART, _DB.node(""), wakes=False),
    _deleted("kept-the-pod-out", _POD, _OTHER.anti_affinity("zone", {"app": "web"}), wakes=True),
    _deleted("kept-others-out", _POD, _OTHER.anti_affinity("zone", {"app": "x"}), wakes=False),
    _deleted("unreadable", _POD, _OTHER.anti_affinity("zone", _ODD), wakes=True),
    _deleted(
        "gap-the-pod-is-the-first-now",
        _POD.affinity("zone", {"app": "web"}),
        _POD.node("n"),
        wakes=False,
    ),
    _deleted(
        "gap-kept-a-selected-namespace-out",
        _POD,
        _OTHER.anti_affinity("zone", {"app": "web"}, namespace_selector=_TEAM),
        wakes=False,
    ),
    HintCase(
        "own-labels",
        default("InterPodAffinity"),
        _OWN_LABELS,
        _POD.obj(),
        _POD.obj(),
        _POD.label("app", "x").obj(),
        wakes=True,
    ),
    _joined("with-a-key", _NEAR, _ZONE_A, wakes=True),
    _joined("without-the-keys", _NEAR, _PLAIN, wakes=False),
    _joined("for-anti-affinity", _APART, _PLAIN, wakes=True),
    _joined("for-preferred", _PREFERS, _ZONE_A, wakes=False),
    _joined("unreadable", _UNREADABLE, _PLAIN, wakes=True),
    _joined("gap-others-keep-the-pod-out", _POD, _ZONE_A, wakes=False),
    _moved("gets-the-key", _NEAR, _PLAIN, _ZONE_A, wakes=True),
    _moved("changes-domain", _NEAR, _ZONE_A, _ZONE_B, wakes=True),
    _moved("loses-the-key", _NEAR, _ZONE_A, _PLAIN, wakes=False),
    _moved("other-label", _NEAR, _ZONE_A, _ZONE_A.label("x", "y"), wakes=False),
    _moved("leaves-the-domain", _APART, _ZONE_A, _PLAIN, wakes=True),
    _moved("changes-domain-apart", _APART, _ZONE_A, _ZONE_B, wakes=True),
    _moved("gets-the-key-apart", _APART, _PLAIN, _ZONE_A, wakes=False),
    _moved("other-label-apart", _APART, _ZONE_A, _ZONE_A.label("x", "y"), wakes=False),
)
