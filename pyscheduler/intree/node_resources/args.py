"""The arguments of the two plugins about resources.

Source: kube-scheduler 1.37, ``apis/config/types_pluginargs.go`` and ``validation``.
"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pyscheduler import framework as fwk
from pyscheduler.api.resources import CPU, MEMORY


class ResourceSpec(fwk.Args):
    """A resource and how much it counts."""

    name: str = Field(min_length=1)
    weight: int = Field(default=1, ge=1, le=100)


class UtilizationShapePoint(fwk.Args):
    """A point of the function from utilization to score."""

    #: percent of the allocatable amount
    utilization: int = Field(ge=0, le=100)
    #: 0 worst, 10 best
    score: int = Field(ge=0, le=10)


class RequestedToCapacityRatioParam(fwk.Args):
    """The function that scores a utilization: straight between points, flat outside."""

    shape: Annotated[tuple[UtilizationShapePoint, ...], Field(strict=False)]

    @field_validator("shape")
    @classmethod
    def _must_increase(
        cls, shape: tuple[UtilizationShapePoint, ...]
    ) -> tuple[UtilizationShapePoint, ...]:
        # not min_length: that would complain once more about points that are wrong themselves
        if not shape:
            raise ValueError("at least one point is needed")
        for left, right in pairwise(shape):
            if left.utilization >= right.utilization:
                raise ValueError(
                    "utilization values must be strictly increasing, but"
                    f" {right.utilization} follows {left.utilization}"
                )
        return shape


CPU_AND_MEMORY = (ResourceSpec(name=CPU), ResourceSpec(name=MEMORY))


class ScoringStrategy(fwk.Args):
    """How NodeResourcesFit ranks the nodes that fit."""

    type: Literal["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"] = "LeastAllocated"
    resources: Annotated[tuple[ResourceSpec, ...], Field(strict=False)] = CPU_AND_MEMORY
    requested_to_capacity_ratio: RequestedToCapacityRatioParam | None = None

    @field_validator("resources")
    @classmethod
    def _cpu_and_memory_if_empty(
        cls, resources: tuple[ResourceSpec, ...]
    ) -> tuple[ResourceSpec, ...]:
        return resources or CPU_AND_MEMORY

    @model_validator(mode="after")
    def _must_have_a_shape(self) -> "ScoringStrategy":
        if self.type == "RequestedToCapacityRatio" and self.requested_to_capacity_ratio is None:
            raise ValueError("type RequestedToCapacityRatio needs requestedToCapacityRatio.shape")
        return self


class NodeResourcesFitArgs(fwk.Args):
    """Arguments of NodeResourcesFit."""

    #: extended resources that are not checked
    ignored_resources: Annotated[tuple[str, ...], Field(strict=False)] = ()
    #: prefixes (before the ``/``) of extended resources that are not checked
    ignored_resource_groups: Annotated[tuple[str, ...], Field(strict=False)] = ()
    scoring_strategy: ScoringStrategy = ScoringStrategy()

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
