"""What happened in the cluster, as the queue and the hints see it.

A watch event becomes one or more `ClusterEvent` s: a resource and what was done to it. Plugins
register for events with an optional hint, and the queue asks the hints of the plugins that
rejected a pod whether it may fit now.

Source: kube-scheduler 1.37, ``framework/types.go`` (names, bit order, matching rule).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum, IntFlag, StrEnum

from pyscheduler.api.core_v1 import Pod


class ActionType(IntFlag):
    """What was done to an object; bits in upstream's order."""

    ADD = 1 << 0
    DELETE = 1 << 1
    UPDATE_NODE_ALLOCATABLE = 1 << 2
    UPDATE_NODE_LABEL = 1 << 3
    UPDATE_NODE_TAINT = 1 << 4
    UPDATE_NODE_CONDITION = 1 << 5
    UPDATE_NODE_ANNOTATION = 1 << 6
    UPDATE_NODE_DECLARED_FEATURE = 1 << 7
    UPDATE_NODE_PREEMPTION_POLICY = 1 << 8
    UPDATE_POD_LABEL = 1 << 9
    UPDATE_POD_SCALE_DOWN = 1 << 10
    UPDATE_POD_SCALE_UP = 1 << 11
    UPDATE_POD_TOLERATION = 1 << 12
    UPDATE_POD_SCHEDULING_GATES_ELIMINATED = 1 << 13
    UPDATE_POD_GENERATED_RESOURCE_CLAIM = 1 << 14

    UPDATE = (1 << 15) - 1 - 0b11
    ALL = (1 << 15) - 1


class EventResource(StrEnum):
    """The kinds of objects that events speak of."""

    POD = "Pod"
    ASSIGNED_POD = "AssignedPod"
    UNSCHEDULED_POD = "UnscheduledPod"
    TARGET_POD = "TargetPod"
    NODE = "Node"
    PERSISTENT_VOLUME = "PersistentVolume"
    PERSISTENT_VOLUME_CLAIM = "PersistentVolumeClaim"
    CSI_NODE = "storage.k8s.io/CSINode"
    CSI_DRIVER = "storage.k8s.io/CSIDriver"
    VOLUME_ATTACHMENT = "storage.k8s.io/VolumeAttachment"
    CSI_STORAGE_CAPACITY = "storage.k8s.io/CSIStorageCapacity"
    STORAGE_CLASS = "storage.k8s.io/StorageClass"
    RESOURCE_CLAIM = "resource.k8s.io/ResourceClaim"
    RESOURCE_SLICE = "resource.k8s.io/ResourceSlice"
    DEVICE_CLASS = "resource.k8s.io/DeviceClass"
    #: named so that registrations load; raised once pod groups are scheduled
    POD_GROUP = "scheduling.k8s.io/PodGroup"
    COMPOSITE_POD_GROUP = "scheduling.k8s.io/CompositePodGroup"
    WILDCARD = "*"


_KINDS = {str(kind): kind for kind in EventResource}
_POD_KINDS = frozenset(
    {EventResource.ASSIGNED_POD, EventResource.UNSCHEDULED_POD, EventResource.TARGET_POD}
)
#: ``foos.v1.example.com``: a group has at least one dot of its own, or stands for itself
_DOTS_OF_A_CUSTOM_RESOURCE = 2


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """A resource and what was done to it (or, in a registration, what one wants to hear of)."""

    #: an `EventResource`, or ``plural.version.group`` of a custom resource
    resource: EventResource | str
    action: ActionType
    #: shown in metrics and logs; empty means resource and action
    custom_label: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.resource, EventResource):
            return
        kind = _KINDS.get(self.resource)
        if kind is not None:
            object.__setattr__(self, "resource", kind)
        elif self.resource.count(".") < _DOTS_OF_A_CUSTOM_RESOURCE:
            raise ValueError(
                f"event resource {self.resource!r} is neither a known kind"
                " nor plural.version.group of a custom resource"
            )

    @property
    def label(self) -> str:
        """The event's name in metrics and logs."""
        if self.custom_label:
            return self.custom_label
        resource = (
            self.resource.value if isinstance(self.resource, EventResource) else self.resource
        )
        return f"{resource}{action_label(self.action)}"

    @property
    def is_wildcard(self) -> bool:
        """True for the events that concern every pod."""
        return self.resource is EventResource.WILDCARD and self.action == ActionType.ALL

    def matches(self, incoming: ClusterEvent) -> bool:
        """True when this registration wants to hear of ``incoming``."""
        if self.is_wildcard:
            return True
        resource_matches = (
            self.resource is EventResource.WILDCARD
            or self.resource == incoming.resource
            or (self.resource is EventResource.POD and incoming.resource in _POD_KINDS)
        )
        return bool(
            resource_matches and self.action & incoming.action and incoming.action <= self.action
        )

    def __or__(self, other: ClusterEvent) -> ClusterEvent:
        """Both actions on the one resource, for registrations."""
        if self.resource != other.resource:
            raise ValueError(f"cannot join events of {self.resource} and {other.resource}")
        return ClusterEvent(self.resource, self.action | other.action)


def action_label(action: ActionType) -> str:
    """``Add``, ``UpdateNodeTaint`` and the like; several joined with ``|``."""
    if action == ActionType.ALL:
        return "All"
    if action == ActionType.UPDATE:
        return "Update"
    names = [
        "".join(part.capitalize() for part in (bit.name or "").split("_"))
        for bit in ActionType
        if action & bit
    ]
    return "|".join(names)


class QueueingHint(Enum):
    """A hint's answer: whether the event may make the pod schedulable."""

    SKIP = "QueueSkip"
    QUEUE = "Queue"


#: ``hint(pod, old, new)``: ``old`` is None on add, ``new`` is None on delete. Must not look at the
#: snapshot, which belongs to a cycle; a hint that raises counts as QUEUE.
HintFn = Callable[[Pod, object, object], QueueingHint]

#: ``pre_hint(old, new)``: the keys (``namespace/name``) of the pods that the event may concern, or
#: None for all. Asked once per event, before any pod is looked at; only pods named here are shown
#: to the hint of the same registration. A pre-hint that raises counts as None.
PreHintFn = Callable[[object, object], Collection[str] | None]


@dataclass(frozen=True, slots=True)
class ClusterEventWithHint:
    """A registration: the event, and the hint to ask (None: always queue)."""

    event: ClusterEvent
    hint: HintFn | None = None
    #: unused unless the feature gate SchedulerPreQueueingHints is on
    pre_hint: PreHintFn | None = None
    #: the keys of all pods that the plugin's PreEnqueue gated and may let in by now (more do no
    #: harm); the event then passes by the others that it gates. None: each of them is asked about
    let_in: PreHintFn | None = None


# The events that plugins register for and that the event handlers raise.
NODE_ADDED = ClusterEvent(EventResource.NODE, ActionType.ADD)
NODE_DELETED = ClusterEvent(EventResource.NODE, ActionType.DELETE)
NODE_ALLOCATABLE_CHANGED = ClusterEvent(EventResource.NODE, ActionType.UPDATE_NODE_ALLOCATABLE)
NODE_LABELS_CHANGED = ClusterEvent(EventResource.NODE, ActionType.UPDATE_NODE_LABEL)
NODE_TAINTS_CHANGED = ClusterEvent(EventResource.NODE, ActionType.UPDATE_NODE_TAINT)
NODE_CONDITIONS_CHANGED = ClusterEvent(EventResource.NODE, ActionType.UPDATE_NODE_CONDITION)
NODE_ANNOTATIONS_CHANGED = ClusterEvent(EventResource.NODE, ActionType.UPDATE_NODE_ANNOTATION)
NODE_DECLARED_FEATURES_CHANGED = ClusterEvent(
    EventResource.NODE, ActionType.UPDATE_NODE_DECLARED_FEATURE
)
ASSIGNED_POD_ADDED = ClusterEvent(EventResource.ASSIGNED_POD, ActionType.ADD)
ASSIGNED_POD_DELETED = ClusterEvent(EventResource.ASSIGNED_POD, ActionType.DELETE)
POD_ADDED = ClusterEvent(EventResource.POD, ActionType.ADD)
POD_DELETED = ClusterEvent(EventResource.POD, ActionType.DELETE)

WILDCARD = ClusterEvent(EventResource.WILDCARD, ActionType.ALL)
UNSCHEDULABLE_TIMEOUT = ClusterEvent(EventResource.WILDCARD, ActionType.ALL, "UnschedulableTimeout")
FORCE_ACTIVATE = ClusterEvent(EventResource.WILDCARD, ActionType.ALL, "ForceActivate")
#: what a plugin without EnqueueExtensions hears of: all that upstream's do, no custom resources
EVERYTHING = tuple(
    ClusterEventWithHint(ClusterEvent(resource, ActionType.ALL))
    for resource in (
        EventResource.POD,
        EventResource.NODE,
        EventResource.PERSISTENT_VOLUME,
        EventResource.PERSISTENT_VOLUME_CLAIM,
        EventResource.CSI_NODE,
        EventResource.CSI_DRIVER,
        EventResource.CSI_STORAGE_CAPACITY,
        EventResource.STORAGE_CLASS,
        EventResource.RESOURCE_CLAIM,
        EventResource.DEVICE_CLASS,
    )
)
