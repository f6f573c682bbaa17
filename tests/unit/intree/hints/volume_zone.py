"""VolumeZone: claims, volumes and classes that appear or change."""

from __future__ import annotations

from pyscheduler.framework import (
    NODE_ADDED,
    NODE_LABELS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.testing import make_claim, make_node, make_pod, make_storage_class, make_volume
from tests.unit.intree.hints.case import HintCase, default

_PLUGIN = default("VolumeZone")
_POD = make_pod("p").claim("data").ephemeral_volume().obj()
_ADD, _UPDATE = ActionType.ADD, ActionType.UPDATE


def _case(
    case_id: str,
    resource: EventResource,
    *,
    new: object,
    old: object = None,
    wakes: bool,
) -> HintCase:
    event = ClusterEvent(resource, _ADD if old is None else _UPDATE)
    return HintCase(case_id, _PLUGIN, event, _POD, old, new, wakes)


_CLASS = EventResource.STORAGE_CLASS
_CLAIM = EventResource.PERSISTENT_VOLUME_CLAIM
_VOLUME = EventResource.PERSISTENT_VOLUME
_DATA = make_claim("data")
_PV = make_volume("pv").zone("a")

CASES = (
    _case("waits", _CLASS, new=make_storage_class("c").waits().obj(), wakes=True),
    _case("binds-at-once", _CLASS, new=make_storage_class("c").obj(), wakes=False),
    _case(
        "says-nothing", _CLASS, new=make_storage_class("c").binding_mode(None).obj(), wakes=False
    ),
    _case("own-claim", _CLAIM, new=_DATA.obj(), wakes=True),
    _case("another-claim", _CLAIM, new=make_claim("logs").obj(), wakes=False),
    _case("claim-of-another-namespace", _CLAIM, new=_DATA.namespace("b").obj(), wakes=False),
    _case("claim-made-for-it", _CLAIM, new=make_claim("p-v1").obj(), wakes=False),
    _case("own-claim-changed", _CLAIM, old=_DATA.obj(), new=_DATA.bound_to("pv").obj(), wakes=True),
    _case(
        "another-claim-changed",
        _CLAIM,
        old=make_claim("logs").obj(),
        new=make_claim("logs").bound_to("pv").obj(),
        wakes=False,
    ),
    _case("any-volume", _VOLUME, new=_PV.obj(), wakes=True),
    _case("volume-elsewhere", _VOLUME, old=_PV.obj(), new=_PV.zone("b").obj(), wakes=True),
    _case("volume-anywhere", _VOLUME, old=_PV.obj(), new=make_volume("pv").obj(), wakes=True),
    _case(
        "volume-with-more-labels",
        _VOLUME,
        old=_PV.obj(),
        new=_PV.label("tier", "gold").obj(),
        wakes=False,
    ),
    _case(
        "same-zones-in-another-order",
        _VOLUME,
        old=_PV.zone("a__b").obj(),
        new=_PV.zone("b__a").obj(),
        wakes=False,
    ),
    HintCase("any-node", _PLUGIN, NODE_ADDED, _POD, None, make_node("n").obj(), wakes=True),
    HintCase(
        "any-label",
        _PLUGIN,
        NODE_LABELS_CHANGED,
        _POD,
        make_node("n").obj(),
        make_node("n").label("tier", "gold").obj(),
        wakes=True,
    ),
)
