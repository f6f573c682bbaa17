"""Default plugins that do not exist yet, so that nothing is bound as if it were unconstrained.

A pod that needs one of them stays Pending with a message that names the plugin; all other pods
pass. Names and arguments are already known, so that a kube-scheduler configuration loads.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    Field,
)

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.config.utilization_shape import UtilizationShapePoint, checked_shape

#: All of the score for a storage class with no room used, none for a full one.
_FREE_STORAGE: Final = (
    UtilizationShapePoint(utilization=0, score=10),
    UtilizationShapePoint(utilization=100, score=0),
)


class VolumeBindingArgs(fwk.Args):
    """Arguments of VolumeBinding."""

    bind_timeout_seconds: int = Field(default=600, ge=0)
    #: from the share of a storage class's capacity that is used to a score
    shape: Annotated[
        tuple[UtilizationShapePoint, ...],
        Field(strict=False),
        AfterValidator(lambda shape: checked_shape(shape or _FREE_STORAGE)),
    ] = _FREE_STORAGE


class Placeholder(fwk.PreFilterPlugin, fwk.SignPlugin, fwk.EnqueueExtensions, fwk.Plugin[Any]):
    """Rejects the pods that would need the plugin, and skips all others."""

    #: True: the name is known and the plugin is still to be written
    not_yet: ClassVar[bool] = True
    #: what a pod has that needs the plugin
    what: ClassVar[str] = ""

    depends_on = ()

    def is_needed(self, pod: Pod) -> bool:
        """True when the plugin would have a say about ``pod``."""
        raise NotImplementedError

    def sign_pod(self, pod: Pod) -> tuple[bool]:
        """Whether the pod needs the plugin."""
        return (self.is_needed(pod),)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Names the plugin that is missing."""
        if not self.is_needed(pod):
            return fwk.SKIP
        return fwk.unresolvable(
            f"the {self.name} plugin is not available yet, and the pod has {self.what}"
        )

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """Only what the pod itself becomes can help."""
        own_update = fwk.ClusterEvent(fwk.EventResource.TARGET_POD, fwk.ActionType.UPDATE)
        return [fwk.ClusterEventWithHint(own_update, self.after_pod_change)]

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod itself no longer needs the plugin."""
        if isinstance(new, Pod) and new.uid == pod.uid and not self.is_needed(new):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP


class VolumeBinding(Placeholder):
    """Will find and bind the volumes of claims."""

    args_model = VolumeBindingArgs
    what = "persistent volume claims"

    def is_needed(self, pod: Pod) -> bool:
        """True for claims, and for volumes that become claims."""
        return bool(pod.spec.volumes) and any(
            volume.persistent_volume_claim is not None or volume.ephemeral is not None
            for volume in pod.spec.volumes
        )
