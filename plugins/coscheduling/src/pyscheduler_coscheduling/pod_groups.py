"""The PodGroup resource and how a pod names its group.

``PodGroup`` is ``scheduling.x-k8s.io/v1alpha1``, the API of the coscheduling plugin for
kube-scheduler, so that workloads and operators written for that work here; only the fields that the
decision needs are read.
"""

from __future__ import annotations

import msgspec

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import object_key
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.times import parse_rfc3339

#: the resource, as events and informers name it
POD_GROUPS = "podgroups.v1alpha1.scheduling.x-k8s.io"
#: the label by which a pod belongs to the PodGroup of that name in its namespace
POD_GROUP_LABEL = "scheduling.x-k8s.io/pod-group"


class PodGroupSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What the group asks for."""

    #: pods that must be placed before any of them is bound
    min_member: int = 1
    #: seconds that placed pods wait for the others; None takes the plugin's argument
    schedule_timeout_seconds: int | None = None


class PodGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A gang of pods."""

    metadata: ObjectMeta
    spec: PodGroupSpec = PodGroupSpec()

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return object_key(self.metadata.namespace, self.metadata.name)

    @property
    def created_at(self) -> float:
        """Unix seconds of its creation; 0 while the API server has not said."""
        created = self.metadata.creation_timestamp
        return parse_rfc3339(created) if created else 0.0


def group_key(pod: Pod) -> str:
    """``namespace/name`` of the group that ``pod`` belongs to; empty when it is on its own."""
    name = pod.labels.get(POD_GROUP_LABEL, "")
    return object_key(pod.metadata.namespace, name) if name else ""
