"""NodeVolumeLimits: more room on a node, volumes that leave one, claims that were missing."""

from __future__ import annotations

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    AzureFileVolumeSource,
    EphemeralVolumeSource,
    Volume,
)
from pyscheduler.framework import ASSIGNED_POD_DELETED, ActionType, ClusterEvent, EventResource
from pyscheduler.testing import (
    CSINodeBuilder,
    PodBuilder,
    make_attachment,
    make_claim,
    make_csi_node,
    make_pod,
)
from tests.unit.intree.hints.case import HintCase, default

_PLUGIN = default("NodeVolumeLimits")
_DRIVER = "ebs.csi.aws.com"
_CSI_NODE_ADDED = ClusterEvent(EventResource.CSI_NODE, ActionType.ADD)
_CSI_NODE_CHANGED = ClusterEvent(EventResource.CSI_NODE, ActionType.UPDATE)
_CLAIM_ADDED = ClusterEvent(EventResource.PERSISTENT_VOLUME_CLAIM, ActionType.ADD)
_ATTACHMENT_DELETED = ClusterEvent(EventResource.VOLUME_ATTACHMENT, ActionType.DELETE)

_INLINE = Volume("v", aws_elastic_block_store=AWSElasticBlockStoreVolumeSource("vol-1"))
_SHARE = Volume("v", azure_file=AzureFileVolumeSource("secret", "share"))
_EPHEMERAL = Volume("data", ephemeral=EphemeralVolumeSource())
_POD = make_pod("p").claim("data").volume(_EPHEMERAL)
_OTHER = make_pod("other").node("n")
_NODE = make_csi_node("n")


def _limit(case_id: str, old: CSINodeBuilder, new: CSINodeBuilder, *, wakes: bool) -> HintCase:
    pod = _POD.obj()
    return HintCase(case_id, _PLUGIN, _CSI_NODE_CHANGED, pod, old.obj(), new.obj(), wakes)


def _left(case_id: str, gone: PodBuilder, *, wakes: bool) -> HintCase:
    pod = _POD.obj()
    return HintCase(case_id, _PLUGIN, ASSIGNED_POD_DELETED, pod, gone.obj(), None, wakes)


def _detached(case_id: str, pod: PodBuilder, *, wakes: bool, driver: str = _DRIVER) -> HintCase:
    gone = make_attachment("at", driver=driver, node="n", volume="pv")
    return HintCase(case_id, _PLUGIN, _ATTACHMENT_DELETED, pod.obj(), gone, None, wakes)


CASES = (
    _limit("more", _NODE.driver("d", limit=1), _NODE.driver("d", limit=2), wakes=True),
    _limit("as-many", _NODE.driver("d", limit=1), _NODE.driver("d", limit=1), wakes=False),
    _limit("fewer", _NODE.driver("d", limit=2), _NODE.driver("d", limit=1), wakes=False),
    _limit("a-driver-with-limit", _NODE, _NODE.driver("d", limit=1), wakes=True),
    _limit("a-driver-without-limit", _NODE, _NODE.driver("d"), wakes=False),
    _limit("no-limit-any-more", _NODE.driver("d", limit=1), _NODE.driver("d"), wakes=False),
    _left("had-a-claim", _OTHER.claim("x"), wakes=True),
    _left("had-an-ephemeral-volume", _OTHER.volume(_EPHEMERAL), wakes=True),
    _left("had-a-migrated-volume", _OTHER.volume(_INLINE), wakes=True),
    _left("had-a-volume-once-built-in", _OTHER.volume(_SHARE), wakes=True),
    _left("had-another-volume", _OTHER.volume(Volume("v")), wakes=False),
    _left("had-none", _OTHER, wakes=False),
    _left("was-promised", make_pod("other").nominated("n").claim("x"), wakes=True),
    _left("was-pending", make_pod("other").claim("x"), wakes=False),
    *(
        HintCase(case_id, _PLUGIN, _CLAIM_ADDED, _POD.obj(), None, claim.obj(), wakes)
        for case_id, claim, wakes in (
            ("own-claim", make_claim("data"), True),
            ("claim-made-for-it", make_claim("p-data"), True),
            ("another-claim", make_claim("logs"), False),
            ("claim-of-another-namespace", make_claim("data").namespace("b"), False),
        )
    ),
    _detached("pod-with-a-claim", make_pod("p").claim("data"), wakes=True),
    _detached("pod-with-a-volume-of-the-driver", make_pod("p").volume(_INLINE), wakes=True),
    _detached(
        "pod-with-a-volume-of-another", make_pod("p").volume(_INLINE), wakes=False, driver="other"
    ),
    _detached("pod-with-an-ephemeral-volume", make_pod("p").volume(_EPHEMERAL), wakes=False),
    HintCase("any-csi-node", _PLUGIN, _CSI_NODE_ADDED, _POD.obj(), None, _NODE.obj(), wakes=True),
)
