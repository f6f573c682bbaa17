"""Default plugins that do not exist yet, so that nothing is bound as if it were unconstrained.

A pod that needs one of them stays Pending with a message that names the plugin; all other pods
pass. Names and arguments are already known, so that a kube-scheduler configuration loads.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.config.models import Duration
from pyscheduler.config.resource_names import checked_qualified_name
from pyscheduler.config.utilization_shape import UtilizationShapePoint, checked_shape


class InterPodAffinityArgs(fwk.Args):
    """Arguments of InterPodAffinity."""

    hard_pod_affinity_weight: int = Field(default=1, ge=0, le=100)
    ignore_preferred_terms_of_existing_pods: bool = False


def _refuse(_value: object) -> None:
    raise ValueError("must not be given: each pod is spread with its workload's selector")


class DefaultConstraint(fwk.Args):
    """A topology spread constraint for pods that have none; its selector is the workload's."""

    max_skew: int = Field(ge=1)
    topology_key: Annotated[str, AfterValidator(checked_qualified_name)]
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: Annotated[None, BeforeValidator(_refuse)] = Field(
        default=None, validate_default=False
    )
    min_domains: int | None = None
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    match_label_keys: Annotated[tuple[str, ...], Field(strict=False)] = ()


class PodTopologySpreadArgs(fwk.Args):
    """Arguments of PodTopologySpread."""

    default_constraints: Annotated[tuple[DefaultConstraint, ...], Field(strict=False)] = ()
    defaulting_type: Annotated[
        Literal["System", "List"], BeforeValidator(lambda kind: kind or "System")
    ] = "System"

    @field_validator("default_constraints")
    @classmethod
    def _must_differ(
        cls, constraints: tuple[DefaultConstraint, ...]
    ) -> tuple[DefaultConstraint, ...]:
        pairs = [(c.topology_key, c.when_unsatisfiable) for c in constraints]
        if len(set(pairs)) < len(pairs):
            raise ValueError("a topologyKey and whenUnsatisfiable are repeated")
        return constraints

    @field_validator("defaulting_type")
    @classmethod
    def _must_let_a_list_be_used(cls, kind: str, info: ValidationInfo) -> str:
        if info.data.get("default_constraints") and kind == "System":
            raise ValueError("must be List with defaultConstraints")
        return kind


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


def _at_least(least_s: float) -> AfterValidator:
    def check(duration_s: float) -> float:
        if duration_s < least_s:
            raise ValueError(f"must be at least {least_s:g}s, got {duration_s:g}s")
        return duration_s

    return AfterValidator(check)


class DynamicResourcesArgs(fwk.Args):
    """Arguments of DynamicResources, in seconds; a file has them as Go writes durations."""

    #: 0 is no limit
    filter_timeout: Annotated[Duration, _at_least(0)] = Field(default=10.0, validate_default=False)
    binding_timeout: Annotated[Duration, _at_least(1)] = Field(
        default=600.0, validate_default=False
    )


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


class PodTopologySpread(Placeholder):
    """Will spread pods over zones, nodes and other domains."""

    args_model = PodTopologySpreadArgs
    what = "topology spread constraints"

    def is_needed(self, pod: Pod) -> bool:
        """True for hard and soft constraints."""
        return bool(pod.spec.topology_spread_constraints)


class InterPodAffinity(Placeholder):
    """Will place pods near or away from others."""

    args_model = InterPodAffinityArgs
    what = "pod affinity or anti-affinity"

    def is_needed(self, pod: Pod) -> bool:
        """True for required and preferred terms."""
        affinity = pod.spec.affinity
        return affinity is not None and any(
            part is not None and bool(part.required or part.preferred)
            for part in (affinity.pod_affinity, affinity.pod_anti_affinity)
        )


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


class VolumeRestrictions(Placeholder):
    """Will keep pods apart that cannot share a disk."""

    what = "a disk that two pods may not share"

    def is_needed(self, pod: Pod) -> bool:
        """True for the disks that are named in the pod itself."""
        return bool(pod.spec.volumes) and any(
            volume.gce_persistent_disk is not None
            or volume.aws_elastic_block_store is not None
            or volume.iscsi is not None
            or volume.rbd is not None
            for volume in pod.spec.volumes
        )


class DynamicResources(Placeholder):
    """Will allocate devices for resource claims."""

    args_model = DynamicResourcesArgs
    what = "resource claims"

    def is_needed(self, pod: Pod) -> bool:
        """True for claims and claim templates."""
        return bool(pod.spec.resource_claims)


class NameOnly(fwk.Plugin[Any]):
    """A name that a configuration may mention, without any effect yet."""

    not_yet: ClassVar[bool] = True


class NodeVolumeLimits(NameOnly):
    """Will count volumes per driver; pods with claims are held back by VolumeBinding."""


class VolumeZone(NameOnly):
    """Will compare zones of volumes; pods with claims are held back by VolumeBinding."""


class NodeDeclaredFeatures(NameOnly):
    """Will compare the features that a pod needs with those that a node declares."""
