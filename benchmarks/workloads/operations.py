"""The operations of a workload as data: what each may say, as upstream's files write it.

By the time an operation is made, parameters are values (``countParam: $pods`` has become
``count``) and template paths are absolute. What each does is in the module named in its docstring.

Source: test/integration/scheduler_perf/operations.go, dra.go, update.go of Kubernetes 1.37.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from pyscheduler.config.durations import parse_duration


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    template = Path((info.context or {}).get("folder", ""), path).resolve()
    if not template.is_file():
        raise ValueError(f"no such file: {path}")
    return template


def _seconds(duration: object) -> object:
    return parse_duration(duration) if isinstance(duration, str) else duration


#: relative to the workload file
TemplatePath = Annotated[Path, AfterValidator(_beside_the_file)]
#: as Go writes it, e.g. "10s"
Seconds = Annotated[float, BeforeValidator(_seconds)]


class Written(BaseModel):
    """A part of a workload file: its fields in camelCase, no others, no conversions."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )


class Operation(Written):
    """What all have."""

    opcode: str
    #: its place in the workload, counted from 0 after createPodSets have become createPods; the
    #: loader sets it
    position: int = 0

    @property
    def collects_metrics(self) -> bool:
        """Whether a measurement begins with this operation."""
        return False


class NodeAllocatable(Written):
    """Nodes get these resources, and a CSINode with these drivers."""

    node_allocatable: Mapping[str, str] = Field(default_factory=dict)
    #: what each driver's entry says besides its name, e.g. ``{count: 39}``
    csi_node_allocatable: Mapping[str, Mapping[str, int]] = Field(default_factory=dict)
    migrated_plugins: tuple[str, ...] = ()


class NodeLabel(Written):
    """Nodes get a label, its values in turn."""

    label_key: str
    label_values: Annotated[tuple[str, ...], Field(min_length=1)]


class UniqueNodeLabel(Written):
    """Every node gets a label with a value of its own."""

    label_key: str


class CreateNodes(Operation):
    """Nodes come; see `workloads.nodes`."""

    opcode: Literal["createNodes"]
    count: NonNegativeInt
    node_template_path: TemplatePath | None = None
    template_params: Mapping[str, object] = Field(default_factory=dict)
    node_allocatable_strategy: NodeAllocatable | None = None
    label_node_prepare_strategy: NodeLabel | None = None
    unique_node_label_strategy: UniqueNodeLabel | None = None
    #: so many features, ``Feature1`` and on, are in the node's status
    declared_features: NonNegativeInt = 0


class CreateNamespaces(Operation):
    """Namespaces ``<prefix>-0`` to ``<prefix>-<count-1>`` come; see `workloads.namespaces`."""

    opcode: Literal["createNamespaces"]
    prefix: str
    count: NonNegativeInt
    namespace_template_path: TemplatePath | None = None


class CreatePods(Operation):
    """Pods come, and are waited for; see `workloads.pods`."""

    opcode: Literal["createPods"]
    count: NonNegativeInt
    #: of its own unless given
    namespace: str | None = None
    pod_template_path: TemplatePath | None = None
    template_params: Mapping[str, object] = Field(default_factory=dict)
    collect_metrics: bool = False
    skip_wait_to_completion: bool = False
    #: every pod that gets bound is deleted and replaced, for `duration`
    steady_state: bool = False
    duration: Seconds = 0.0
    persistent_volume_template_path: TemplatePath | None = None
    persistent_volume_claim_template_path: TemplatePath | None = None
    #: so many pods in a row have the same ``signature`` label
    signature_batch_size: Annotated[int, Field(ge=1)] = 1

    @property
    def collects_metrics(self) -> bool:
        """Whether a measurement spans this operation."""
        return self.collect_metrics

    @property
    def target(self) -> str:
        """The namespace the pods are in."""
        return self.namespace or f"namespace-{self.position}"

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.skip_wait_to_completion and (self.collect_metrics or self.steady_state):
            raise ValueError(
                "skipWaitToCompletion excludes collectMetrics and steadyState: they wait"
            )
        if self.steady_state and self.duration <= 0:
            raise ValueError("steadyState needs a duration above 0")
        if (self.persistent_volume_template_path is None) != (
            self.persistent_volume_claim_template_path is None
        ):
            raise ValueError("a persistent volume template and a claim template go together")
        return self


class CreateAny(Operation):
    """Objects of any kind come; see `workloads.objects`."""

    opcode: Literal["createAny"]
    template_path: TemplatePath
    namespace: str = ""
    count: NonNegativeInt = 1
    template_params: Mapping[str, object] = Field(default_factory=dict)


class UpdateAny(Operation):
    """Objects of any kind are replaced; see `workloads.objects`."""

    opcode: Literal["updateAny"]
    template_path: TemplatePath
    namespace: str = ""
    count: NonNegativeInt = 1
    #: 0 for as fast as possible
    update_per_second: NonNegativeInt = 0
    #: the path below the object that is written, e.g. ``(resize,)``
    subresources: tuple[str, ...] = ()


class CreateResourceClaims(Operation):
    """Claims come; see `workloads.claims`."""

    opcode: Literal["createResourceClaims"]
    count: NonNegativeInt
    namespace: str
    template_path: TemplatePath


class AllocResourceClaims(Operation):
    """Claims are given devices without a pod; see `workloads.claims`."""

    opcode: Literal["allocResourceClaims"]
    #: all unless given
    namespace: str = ""


class DeletePods(Operation):
    """Pods go; see `workloads.pods`."""

    opcode: Literal["deletePods"]
    namespace: str
    label_selector: Mapping[str, str] = Field(default_factory=dict)
    #: the next operation begins while they are deleted
    skip_wait_to_completion: bool = False
    #: 0 for all at once
    delete_pods_per_second: NonNegativeInt = 0


class Churn(Operation):
    """Objects come, and go, beside everything that follows; see `workloads.churn`."""

    opcode: Literal["churn"]
    mode: Literal["create", "recreate"]
    #: objects of each template, in mode create 0 for without end
    number: NonNegativeInt = 0
    interval_milliseconds: NonNegativeInt = 0
    #: of its own unless given
    namespace: str | None = None
    template_paths: Annotated[tuple[TemplatePath, ...], Field(min_length=1)]

    @property
    def target(self) -> str:
        """The namespace of what has one."""
        return self.namespace or f"namespace-{self.position}"

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.mode == "recreate" and self.number == 0:
            raise ValueError("number must not be 0 in mode recreate")
        return self


class Barrier(Operation):
    """The pods of earlier operations are scheduled, or were tried; see `workloads.barriers`."""

    opcode: Literal["barrier"]
    #: all that have pods nobody waited for, unless given
    namespaces: tuple[str, ...] = ()
    label_selector: Mapping[str, str] = Field(default_factory=dict)
    stage_requirement: Literal["Scheduled", "Attempted"] = "Scheduled"


class Sleep(Operation):
    """Time passes."""

    opcode: Literal["sleep"]
    duration: Seconds


class StartCollectingMetrics(Operation):
    """A measurement begins."""

    opcode: Literal["startCollectingMetrics"]
    name: str = ""
    #: whose pods count
    namespaces: Annotated[tuple[str, ...], Field(min_length=1)]
    label_selector: Mapping[str, str] = Field(default_factory=dict)

    @property
    def collects_metrics(self) -> bool:
        """Always."""
        return True


class StopCollectingMetrics(Operation):
    """The measurement ends."""

    opcode: Literal["stopCollectingMetrics"]


class CreatePodGroups(Operation):
    """Read, so that the file's other cases can run; pod groups are not here."""

    opcode: Literal["createPodGroups"]
    namespace: str
    template_path: TemplatePath
    count: NonNegativeInt
    template_params: Mapping[str, object] = Field(default_factory=dict)


AnyOperation = Annotated[
    CreateNodes
    | CreateNamespaces
    | CreatePods
    | CreateAny
    | UpdateAny
    | CreateResourceClaims
    | AllocResourceClaims
    | DeletePods
    | Churn
    | Barrier
    | Sleep
    | StartCollectingMetrics
    | StopCollectingMetrics
    | CreatePodGroups,
    Field(discriminator="opcode"),
]
