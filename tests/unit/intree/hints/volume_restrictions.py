"""VolumeRestrictions: pods that give up a disk or a claim, claims that were missing."""

from __future__ import annotations

from pyscheduler.api.core_v1 import GCEPersistentDiskVolumeSource, Volume
from pyscheduler.framework import (
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.testing import PodBuilder, make_claim, make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

_PLUGIN = default("VolumeRestrictions")
_CLAIM_ADDED = ClusterEvent(EventResource.PERSISTENT_VOLUME_CLAIM, ActionType.ADD)


def _disk(name: str, *, read_only: bool = False) -> Volume:
    return Volume("disk", gce_persistent_disk=GCEPersistentDiskVolumeSource(name, read_only))


_POD = make_pod("p").volume(_disk("x")).claim("data")
_OTHER = make_pod("other").node("n")


def _left(case_id: str, gone: PodBuilder, *, wakes: bool, pod: PodBuilder = _POD) -> HintCase:
    return HintCase(case_id, _PLUGIN, ASSIGNED_POD_DELETED, pod.obj(), gone.obj(), None, wakes)


CASES = (
    _left("had-the-disk", _OTHER.volume(_disk("x")), wakes=True),
    _left("had-another-disk", _OTHER.volume(_disk("y")), wakes=False),
    _left("had-the-claim", _OTHER.claim("data"), wakes=True),
    _left("had-another-claim", _OTHER.claim("logs"), wakes=False),
    _left("had-nothing", _OTHER, wakes=False),
    _left(
        "both-only-read",
        _OTHER.volume(_disk("x", read_only=True)),
        wakes=False,
        pod=make_pod("p").volume(_disk("x", read_only=True)),
    ),
    _left("another-namespace", _OTHER.namespace("b").volume(_disk("x")).claim("data"), wakes=False),
    *(
        HintCase(case_id, _PLUGIN, _CLAIM_ADDED, _POD.obj(), None, claim.obj(), wakes)
        for case_id, claim, wakes in (
            ("own-claim", make_claim("data"), True),
            ("another-claim", make_claim("logs"), False),
            ("claim-of-another-namespace", make_claim("data").namespace("b"), False),
        )
    ),
    HintCase("any-node", _PLUGIN, NODE_ADDED, _POD.obj(), None, make_node("n").obj(), wakes=True),
)
