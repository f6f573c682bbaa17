"""The plugin keeps the promises that the runtime relies on, with constraints of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyscheduler.api.apps_v1 import ReplicaSet, ReplicaSetSpec
from pyscheduler.api.core_v1 import Service, ServiceSpec
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.framework import EventResource, Plugin
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.testing import (
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
    parametrize_with_checks,
)
from tests.unit.intree.pod_topology_spread.clusters import (
    HOSTNAME,
    SOFT,
    WEB,
    ZONE,
    node_in,
    web,
    webs,
)

ARGS: list[dict[str, Any]] = [
    {},
    {
        "defaultingType": "List",
        "defaultConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
            {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
            {"maxSkew": 1, "topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway"},
        ],
    },
]

NODES = [
    node_in("a", "a1").label(ZONE, "a").label("rack", "1").obj(),
    node_in("a", "a2").label(ZONE, "a").label("disk", "ssd").obj(),
    node_in("b", "b1").label(ZONE, "b").label("rack", "2").label("disk", "ssd").obj(),
    node_in("b", "b2").label(ZONE, "b").label("rack", "2").taint("dedicated").obj(),
    node_in("c", "c1").label("rack", "1").taint("soft", effect="PreferNoSchedule").obj(),
    node_in("", "blank").label(ZONE, "").obj(),
    make_node("lost").obj(),
]

EXISTING = [
    *webs(a1=2, a2=1, b1=1, lost=3, blank=1),
    make_pod("db").label("app", "db").node("b2").obj(),
    web("elsewhere").namespace("other").node("c1").obj(),
    web("versioned").label("version", "1").node("b2").obj(),
]

_NOT_DB = LabelSelector(match_expressions=(LabelSelectorRequirement("app", "NotIn", ("db",)),))
_ODD = LabelSelector(match_expressions=(LabelSelectorRequirement("app", "Near", ("web",)),))

PODS = [
    make_pod("bare").obj(),
    web("served").obj(),
    web("owned").owner("ReplicaSet", "web").obj(),
    web("by-zone").spread("zone").obj(),
    web("twin").label("index", "1").spread("zone", selector=WEB).obj(),
    make_pod("stranger").spread("zone", selector=WEB).obj(),
    web("by-all").spread("zone", max_skew=2).spread("rack").spread(HOSTNAME).obj(),
    web("selects").node_selector({"disk": "ssd"}).spread("zone").obj(),
    web("ignores")
    .node_selector({"disk": "ssd"})
    .spread("zone", node_affinity_policy="Ignore")
    .obj(),
    web("honors").spread("zone", node_taints_policy="Honor").obj(),
    web("tolerates")
    .toleration("dedicated", operator="Exists")
    .spread("zone", node_taints_policy="Honor")
    .obj(),
    web("revised").label("version", "1").spread("zone", match_label_keys=["version"]).obj(),
    web("not-db").spread("zone", max_skew=3, selector=_NOT_DB).obj(),
    web("softly").spread("zone", when_unsatisfiable=SOFT).obj(),
    web("softly-by-all")
    .spread("zone", when_unsatisfiable=SOFT, max_skew=3)
    .spread("rack", when_unsatisfiable=SOFT, node_taints_policy="Honor")
    .spread(HOSTNAME, when_unsatisfiable=SOFT)
    .obj(),
    web("both").spread("zone", max_skew=2).spread(HOSTNAME, when_unsatisfiable=SOFT).obj(),
    web("elsewhere-too").namespace("other").spread("zone").obj(),
    web("unreadable").spread("zone", selector=_ODD).obj(),
]

OBJECTS: dict[EventResource | str, list[object]] = {
    "services.v1": [
        Service(ObjectMeta(name="web", namespace="default"), ServiceSpec(WEB.match_labels))
    ],
    "replicasets.v1.apps": [
        ReplicaSet(ObjectMeta(name="web", namespace="default"), ReplicaSetSpec(_NOT_DB))
    ],
}


def _plugins() -> list[Plugin[Any]]:
    return [make_plugin(PodTopologySpread, args, handle=fake_handle()) for args in ARGS]


@parametrize_with_checks(_plugins(), pods=PODS, nodes=NODES, existing=EXISTING, objects=OBJECTS)
def test_conformance(check: Callable[[], None]) -> None:
    check()
