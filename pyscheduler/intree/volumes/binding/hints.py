"""What may help a pod that VolumeBinding rejected.

Source: kube-scheduler 1.37, ``plugins/volumebinding/volume_binding.go`` EventsToRegister.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim
from pyscheduler.framework.cluster_events import (
    NODE_ADDED,
    NODE_LABELS_CHANGED,
    ActionType,
    ClusterEvent,
    ClusterEventWithHint,
    EventResource,
    QueueingHint,
)
from pyscheduler.intree.volumes.binding.provisioning import volume_limit
from pyscheduler.intree.volumes.claims import uses_claim
from pyscheduler.intree.volumes.migration import MIGRATED_PLUGINS


def _queue_if(helps: bool) -> QueueingHint:  # what it says of itself
    return QueueingHint.QUEUE if helps else QueueingHint.SKIP


def after_class_change(pod: Pod, old: object, new: object) -> QueueingHint:
    """QUEUE for a new class, and when volumes may be made elsewhere."""
    if not isinstance(old, StorageClass) or not isinstance(new, StorageClass):
        return QueueingHint.QUEUE
    return _queue_if(old.allowed_topologies != new.allowed_topologies)


def after_claim_change(pod: Pod, old: object, new: object) -> QueueingHint:
    """QUEUE when the claim is the pod's."""
    return _queue_if(isinstance(new, PersistentVolumeClaim) and uses_claim(pod, new))


def after_csi_node_change(pod: Pod, old: object, new: object) -> QueueingHint:
    """QUEUE for a new one, and when other plugins are migrated on the node."""
    if not isinstance(old, CSINode) or not isinstance(new, CSINode):
        return QueueingHint.QUEUE
    return _queue_if(_migrated(old) != _migrated(new))


def after_driver_change(pod: Pod, old: object, new: object) -> QueueingHint:
    """QUEUE when a driver of the pod's inline volumes no longer publishes its capacity."""
    if not isinstance(old, CSIDriver) or not isinstance(new, CSIDriver):
        return QueueingHint.SKIP
    return _queue_if(
        bool(old.spec.storage_capacity)
        and not new.spec.storage_capacity
        and any(
            volume.csi is not None and volume.csi.driver == new.name for volume in pod.spec.volumes
        )
    )


def after_capacity_change(pod: Pod, old: object, new: object) -> QueueingHint:
    """QUEUE for a new one, and when larger volumes can be made.

    Raises:
        InvalidQuantity: it cannot be understood, which counts as QUEUE.
    """
    if not isinstance(old, CSIStorageCapacity) or not isinstance(new, CSIStorageCapacity):
        return QueueingHint.QUEUE
    before, now = volume_limit(old), volume_limit(new)
    return _queue_if(now is not None and (before is None or now > before))


def _migrated(csi_node: CSINode) -> str:
    return csi_node.metadata.annotations.get(MIGRATED_PLUGINS, "")


_ADDED_OR_CHANGED: Final = ActionType.ADD | ActionType.UPDATE

#: The events, and who judges them; all that happens to volumes may help.
EVENTS: Final[Sequence[ClusterEventWithHint]] = (
    ClusterEventWithHint(
        ClusterEvent(EventResource.STORAGE_CLASS, _ADDED_OR_CHANGED), after_class_change
    ),
    ClusterEventWithHint(
        ClusterEvent(EventResource.PERSISTENT_VOLUME_CLAIM, _ADDED_OR_CHANGED), after_claim_change
    ),
    ClusterEventWithHint(ClusterEvent(EventResource.PERSISTENT_VOLUME, _ADDED_OR_CHANGED)),
    ClusterEventWithHint(NODE_ADDED | NODE_LABELS_CHANGED),
    ClusterEventWithHint(
        ClusterEvent(EventResource.CSI_NODE, _ADDED_OR_CHANGED), after_csi_node_change
    ),
    ClusterEventWithHint(
        ClusterEvent(EventResource.CSI_DRIVER, ActionType.UPDATE), after_driver_change
    ),
    ClusterEventWithHint(
        ClusterEvent(EventResource.CSI_STORAGE_CAPACITY, _ADDED_OR_CHANGED), after_capacity_change
    ),
)
