"""PodTopologySpread: pods, nodes and labels that its hard constraints see."""

from __future__ import annotations

from typing import Any

from pyscheduler.api.core_v1 import Service, ServiceSpec
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.framework import (
    ASSIGNED_POD_ADDED,
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    NODE_DELETED,
    NODE_LABELS_CHANGED,
    NODE_TAINTS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
    Plugin,
)
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.testing import (
    FakeInformers,
    NodeBuilder,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)
from tests.unit.intree.hints.case import HintCase, default

_RELABELLED = ClusterEvent(EventResource.ASSIGNED_POD, ActionType.UPDATE_POD_LABEL)
_OWN_LABELS = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_LABEL)
_OWN_TOLERATIONS = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_TOLERATION)

_DB = LabelSelector(match_labels=FrozenMap({"app": "db"}))
_ODD = LabelSelector(match_expressions=(LabelSelectorRequirement("app", "Near", ("web",)),))

_POD = make_pod("p").label("app", "web")
_WAITS = _POD.spread("zone").spread("rack", selector=_DB)
_PREFERS = _POD.spread("zone", when_unsatisfiable="ScheduleAnyway")
_HONORS = _POD.spread("zone", node_taints_policy="Honor")
_ON_SSD = _WAITS.node_selector({"disk": "ssd"})
_ON_SSD_COUNTING_ALL = _POD.spread("zone", node_affinity_policy="Ignore").node_selector(
    {"disk": "ssd"}
)
_UNREADABLE = _POD.spread("zone", selector=_ODD)

_WEB = make_pod("q").label("app", "web").node("n")
_OTHER = make_pod("q").label("app", "other").node("n")
_NODE = make_node("n")
_IN_ZONE = _NODE.label("zone", "a")
_IN_BOTH = _IN_ZONE.label("rack", "1")


def _strict_by_default() -> Plugin[Any]:
    """A service's pods are spread strictly unless they say otherwise."""
    informers = FakeInformers()
    service = Service(
        ObjectMeta(name="web", namespace="default"), ServiceSpec(FrozenMap({"app": "web"}))
    )
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    args = {"defaultingType": "List", "defaultConstraints": [constraint]}
    plugin = make_plugin(PodTopologySpread, args, handle=fake_handle(informers=informers))
    informers.of("services.v1").put(service)
    return plugin


def _pod_case(
    case_id: str,
    event: ClusterEvent,
    pod: PodBuilder,
    old: PodBuilder | None,
    new: PodBuilder | None,
    *,
    wakes: bool,
) -> HintCase:
    was, now = (None if known is None else known.obj() for known in (old, new))
    return HintCase(case_id, default("PodTopologySpread"), event, pod.obj(), was, now, wakes)


def _added(case_id: str, pod: PodBuilder, added: PodBuilder, *, wakes: bool) -> HintCase:
    return _pod_case(case_id, ASSIGNED_POD_ADDED, pod, None, added, wakes=wakes)


def _deleted(case_id: str, pod: PodBuilder, gone: PodBuilder, *, wakes: bool) -> HintCase:
    return _pod_case(case_id, ASSIGNED_POD_DELETED, pod, gone, None, wakes=wakes)


def _relabelled(
    case_id: str, pod: PodBuilder, old: PodBuilder, new: PodBuilder, *, wakes: bool
) -> HintCase:
    return _pod_case(case_id, _RELABELLED, pod, old, new, wakes=wakes)


def _own(
    case_id: str, event: ClusterEvent, old: PodBuilder, new: PodBuilder, *, wakes: bool
) -> HintCase:
    """The pod itself changed."""
    return _pod_case(case_id, event, new, old, new, wakes=wakes)


def _node_case(
    case_id: str,
    event: ClusterEvent,
    old: NodeBuilder | None,
    new: NodeBuilder | None,
    *,
    wakes: bool,
    pod: PodBuilder = _WAITS,
) -> HintCase:
    was, now = (None if known is None else known.obj() for known in (old, new))
    return HintCase(case_id, default("PodTopologySpread"), event, pod.obj(), was, now, wakes)


CASES = (
    _added("counts", _WAITS, _WEB, wakes=True),
    _added("counts-for-the-second-constraint", _WAITS, _WEB.label("app", "db"), wakes=True),
    _added("does-not-count", _WAITS, _OTHER, wakes=False),
    _added("of-another-namespace", _WAITS, _WEB.namespace("other"), wakes=False),
    _added("nominated", _WAITS, _WEB.node("").nominated("n"), wakes=True),
    _added("without-a-node", _WAITS, _WEB.node(""), wakes=False),
    _added("for-a-soft-constraint", _PREFERS, _WEB, wakes=False),
    _added("unreadable", _UNREADABLE, _OTHER, wakes=True),
    _added("unreadable-without-a-node", _UNREADABLE, _OTHER.node(""), wakes=False),
    _added("of-a-service-without-default-constraints", _POD, _WEB, wakes=False),
    HintCase(
        "by-default",
        _strict_by_default,
        ASSIGNED_POD_ADDED,
        _POD.obj(),
        None,
        _WEB.obj(),
        wakes=True,
    ),
    HintCase(
        "by-default-of-others",
        _strict_by_default,
        ASSIGNED_POD_ADDED,
        _POD.obj(),
        None,
        _OTHER.obj(),
        wakes=False,
    ),
    _deleted("counted", _WAITS, _WEB, wakes=True),
    _deleted("did-not-count", _WAITS, _OTHER, wakes=False),
    _deleted("of-another-namespace", _WAITS, _WEB.namespace("other"), wakes=False),
    _relabelled("counts-now", _WAITS, _OTHER, _WEB, wakes=True),
    _relabelled("counts-no-more", _WAITS, _WEB, _OTHER, wakes=True),
    _relabelled("counts-for-another", _WAITS, _WEB, _WEB.label("app", "db"), wakes=True),
    _relabelled("still-counts", _WAITS, _WEB, _WEB.label("more", "x"), wakes=False),
    _relabelled("nothing-changed", _WAITS, _WEB, _WEB, wakes=False),
    _relabelled("without-a-node", _WAITS, _OTHER.node(""), _WEB.node(""), wakes=False),
    _own("one-of-them-no-more", _OWN_LABELS, _WAITS, _WAITS.label("app", "x"), wakes=True),
    _own("still-one-of-them", _OWN_LABELS, _WAITS, _WAITS.label("more", "x"), wakes=False),
    _own("unreadable", _OWN_LABELS, _UNREADABLE, _UNREADABLE.label("more", "x"), wakes=True),
    _pod_case("of-another-pod", _OWN_LABELS, _WAITS, _OTHER, _WEB, wakes=False),
    _own(
        "where-taints-count", _OWN_TOLERATIONS, _HONORS, _HONORS.toleration("dedicated"), wakes=True
    ),
    _own(
        "where-they-do-not", _OWN_TOLERATIONS, _WAITS, _WAITS.toleration("dedicated"), wakes=False
    ),
    _node_case("has-all-keys", NODE_ADDED, None, _IN_BOTH, wakes=True),
    _node_case("has-one-of-two-keys", NODE_ADDED, None, _IN_ZONE, wakes=False),
    _node_case("unreadable", NODE_ADDED, None, _NODE, wakes=True, pod=_UNREADABLE),
    _node_case("had-all-keys", NODE_DELETED, _IN_BOTH, None, wakes=True),
    _node_case("had-one-of-two-keys", NODE_DELETED, _IN_ZONE, None, wakes=False),
    _node_case("gets-all-keys", NODE_LABELS_CHANGED, _IN_ZONE, _IN_BOTH, wakes=True),
    _node_case("loses-a-key", NODE_LABELS_CHANGED, _IN_BOTH, _IN_ZONE, wakes=True),
    _node_case("moves", NODE_LABELS_CHANGED, _IN_BOTH, _IN_BOTH.label("zone", "b"), wakes=True),
    _node_case(
        "moves-without-counting",
        NODE_LABELS_CHANGED,
        _IN_ZONE,
        _IN_ZONE.label("zone", "b"),
        wakes=False,
    ),
    _node_case(
        "another-label", NODE_LABELS_CHANGED, _IN_BOTH, _IN_BOTH.label("disk", "x"), wakes=False
    ),
    _node_case(
        "is-ruled-out-by-a-label",
        NODE_LABELS_CHANGED,
        _IN_BOTH.label("disk", "ssd"),
        _IN_BOTH,
        wakes=True,
        pod=_ON_SSD,
    ),
    _node_case(
        "is-ruled-in-by-a-label",
        NODE_LABELS_CHANGED,
        _IN_BOTH,
        _IN_BOTH.label("disk", "ssd"),
        wakes=True,
        pod=_ON_SSD,
    ),
    _node_case(
        "is-ruled-out-where-that-does-not-count",
        NODE_LABELS_CHANGED,
        _IN_BOTH.label("disk", "ssd"),
        _IN_BOTH,
        wakes=False,
        pod=_ON_SSD_COUNTING_ALL,
    ),
    _node_case("is-tainted", NODE_TAINTS_CHANGED, _IN_BOTH, _IN_BOTH.taint("t"), wakes=True),
    _node_case(
        "is-tainted-without-counting",
        NODE_TAINTS_CHANGED,
        _IN_ZONE,
        _IN_ZONE.taint("t"),
        wakes=False,
    ),
)
