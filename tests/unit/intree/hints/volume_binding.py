"""VolumeBinding: claims and volumes that appear or change, and where volumes can be made."""

from __future__ import annotations

from pyscheduler.api.core_v1 import CSIVolumeSource, Volume
from pyscheduler.framework import (
    NODE_ADDED,
    NODE_LABELS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.intree.volumes.migration import MIGRATED_PLUGINS
from pyscheduler.testing import (
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_node,
    make_pod,
    make_storage_capacity,
    make_storage_class,
    make_volume,
)
from tests.unit.intree.hints.case import HintCase, default

_PLUGIN = default("VolumeBinding")
_POD = (
    make_pod("p")
    .claim("data")
    .ephemeral_volume()
    .volume(Volume("inline", csi=CSIVolumeSource("inline.example.com")))
    .obj()
)


def _case(
    case_id: str,
    resource: EventResource,
    *,
    new: object,
    old: object = None,
    wakes: bool,
) -> HintCase:
    event = ClusterEvent(resource, ActionType.ADD if old is None else ActionType.UPDATE)
    return HintCase(case_id, _PLUGIN, event, _POD, old, new, wakes)


_CLASS = EventResource.STORAGE_CLASS
_CLAIM = EventResource.PERSISTENT_VOLUME_CLAIM
_VOLUME = EventResource.PERSISTENT_VOLUME
_CSI_NODE = EventResource.CSI_NODE
_DRIVER = EventResource.CSI_DRIVER
_CAPACITY = EventResource.CSI_STORAGE_CAPACITY

_LATE = make_storage_class("late").waits()
_DATA = make_claim("data")
_PV = make_volume("pv")
_ON_NODE = make_csi_node("n").driver("a")


def _driver(says: bool | None, *, name: str = "inline.example.com") -> object:
    return make_csi_driver(name, storage_capacity=says)


def _room(capacity: str | None, largest: str | None = None) -> object:
    return make_storage_capacity("c", "late", capacity, maximum_volume_size=largest)


CASES = (
    _case("new", _CLASS, new=_LATE.obj(), wakes=True),
    _case("allows-more", _CLASS, old=_LATE.allowed("z", "a").obj(), new=_LATE.obj(), wakes=True),
    _case(
        "other-parameters",
        _CLASS,
        old=_LATE.allowed("z", "a").obj(),
        new=_LATE.allowed("z", "a").parameter("k", "v").obj(),
        wakes=False,
    ),
    _case("own", _CLAIM, new=_DATA.obj(), wakes=True),
    _case("made-for-it", _CLAIM, new=make_claim("p-v1").obj(), wakes=True),
    _case("another", _CLAIM, new=make_claim("logs").obj(), wakes=False),
    _case("namesake-elsewhere", _CLAIM, new=_DATA.namespace("b").obj(), wakes=False),
    _case("own-changed", _CLAIM, old=_DATA.obj(), new=_DATA.bound_to("pv").obj(), wakes=True),
    _case(
        "another-changed",
        _CLAIM,
        old=make_claim("logs").obj(),
        new=make_claim("logs").bound_to("pv").obj(),
        wakes=False,
    ),
    _case("any", _VOLUME, new=_PV.obj(), wakes=True),
    _case("any-changed", _VOLUME, old=_PV.obj(), new=_PV.label("a", "b").obj(), wakes=True),
    HintCase("any", _PLUGIN, NODE_ADDED, _POD, None, make_node("n").obj(), wakes=True),
    HintCase(
        "any",
        _PLUGIN,
        NODE_LABELS_CHANGED,
        _POD,
        make_node("n").obj(),
        make_node("n").label("a", "b").obj(),
        wakes=True,
    ),
    _case("new", _CSI_NODE, new=_ON_NODE.obj(), wakes=True),
    _case(
        "migrated",
        _CSI_NODE,
        old=_ON_NODE.obj(),
        new=_ON_NODE.annotation(MIGRATED_PLUGINS, "kubernetes.io/aws-ebs").obj(),
        wakes=True,
    ),
    _case(
        "another-driver", _CSI_NODE, old=_ON_NODE.obj(), new=_ON_NODE.driver("b").obj(), wakes=False
    ),
    _case("no-longer-asked", _DRIVER, old=_driver(True), new=_driver(None), wakes=True),
    _case("asked-from-now-on", _DRIVER, old=_driver(False), new=_driver(True), wakes=False),
    _case(
        "of-no-inline-volume",
        _DRIVER,
        old=_driver(True, name="other.example.com"),
        new=_driver(False, name="other.example.com"),
        wakes=False,
    ),
    _case("new", _CAPACITY, new=_room("1Gi"), wakes=True),
    _case("more", _CAPACITY, old=_room("1Gi"), new=_room("2Gi"), wakes=True),
    _case("known-now", _CAPACITY, old=_room(None), new=_room("1Gi"), wakes=True),
    _case("the-same", _CAPACITY, old=_room("1Gi"), new=_room("1Gi"), wakes=False),
    _case("less", _CAPACITY, old=_room("2Gi"), new=_room("1Gi"), wakes=False),
    _case("unknown-now", _CAPACITY, old=_room("2Gi"), new=_room(None), wakes=False),
    _case(
        "more-but-no-larger-volume",
        _CAPACITY,
        old=_room("1Gi", "1Gi"),
        new=_room("2Gi", "1Gi"),
        wakes=False,
    ),
    _case(
        "larger-volumes", _CAPACITY, old=_room("9Gi", "1Gi"), new=_room("9Gi", "2Gi"), wakes=True
    ),
)
