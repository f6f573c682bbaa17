"""The arguments of the two plugins about resources.

Source: kube-scheduler 1.37, ``apis/config/types_pluginargs.go`` and ``validation``.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from pyscheduler import framework as fwk
from pyscheduler.api.resources import CPU, MEMORY
from pyscheduler.config.resource_names import checked_qualified_name
from pyscheduler.config.utilization_shape import UtilizationShapePoint, checked_shape

RATIO = "RequestedToCapacityRatio"


class ResourceSpec(fwk.Args):
    """A resource and how much it counts."""

    name: str = ""
    #: 0 is 1
    weight: Annotated[int, AfterValidator(lambda weight: weight or 1)] = Field(
        default=1, ge=0, le=100
    )


#: A function from utilization to score: straight between its points, flat outside.
Shape = Annotated[
    tuple[UtilizationShapePoint, ...], Field(strict=False), AfterValidator(checked_shape)
]


class RequestedToCapacityRatioParam(fwk.Args):
    """The function that scores a utilization."""

    shape: Shape = ()


CPU_AND_MEMORY = (ResourceSpec(name=CPU), ResourceSpec(name=MEMORY))


class ScoringStrategy(fwk.Args):
    """How NodeResourcesFit ranks the nodes that fit."""

    type: Literal["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]
    resources: Annotated[tuple[ResourceSpec, ...], Field(strict=False)] = CPU_AND_MEMORY
    requested_to_capacity_ratio: RequestedToCapacityRatioParam | None = None

    @field_validator("resources")
    @classmethod
    def _cpu_and_memory_if_empty(
        cls, resources: tuple[ResourceSpec, ...]
    ) -> tuple[ResourceSpec, ...]:
        return resources or CPU_AND_MEMORY

    @field_validator("requested_to_capacity_ratio")
    @classmethod
    def _must_be_there_for_its_type_alone(
        cls, ratio: RequestedToCapacityRatioParam | None, info: ValidationInfo
    ) -> RequestedToCapacityRatioParam | None:
        kind = info.data.get("type")
        if kind == RATIO and ratio is None:
            raise ValueError(f"required with type {RATIO}, with its shape")
        if kind not in (None, RATIO) and ratio is not None:
            raise ValueError(f"must not be given with type {kind}")
        return ratio


#: A resource name, or the part of one before the ``/``.
Name = Annotated[str, AfterValidator(checked_qualified_name)]


class NodeResourcesFitArgs(fwk.Args):
    """Arguments of NodeResourcesFit."""

    #: extended resources that are not checked
    ignored_resources: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    #: prefixes (before the ``/``) of extended resources that are not checked
    ignored_resource_groups: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    scoring_strategy: ScoringStrategy = ScoringStrategy(type="LeastAllocated")

    @field_validator("ignored_resource_groups")
    @classmethod
    def _must_be_prefixes(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        for group in groups:
            if "/" in group:
                raise ValueError(f"resource group {group!r} must not contain '/'")
        return groups


class NodeResourcesBalancedAllocationArgs(fwk.Args):
    """Arguments of NodeResourcesBalancedAllocation."""

    resources: Annotated[tuple[ResourceSpec, ...], Field(strict=False)] = CPU_AND_MEMORY

    @field_validator("resources")
    @classmethod
    def _must_be_plain(cls, resources: tuple[ResourceSpec, ...]) -> tuple[ResourceSpec, ...]:
        names = [resource.name for resource in resources]
        for resource in resources:
            if names.count(resource.name) > 1:
                raise ValueError(f"resource {resource.name!r} is listed twice")
            if resource.weight != 1:
                raise ValueError(f"the weight of {resource.name!r} must be 1")
        return resources or CPU_AND_MEMORY
