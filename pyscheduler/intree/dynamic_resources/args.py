"""Arguments of DynamicResources."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pyscheduler import framework as fwk
from pyscheduler.config.models import Duration


def _at_least(least_s: float) -> AfterValidator:
    def check(duration_s: float) -> float:
        if duration_s < least_s:
            raise ValueError(f"must be at least {least_s:g}s, got {duration_s:g}s")
        return duration_s

    return AfterValidator(check)


class DynamicResourcesArgs(fwk.Args):
    """Arguments of DynamicResources, in seconds; a file has them as Go writes durations."""

    #: for one pod on one node; 0 is no limit of its own, see ``plugin`` for what limits it besides
    filter_timeout: Annotated[Duration, _at_least(0)] = Field(default=10.0, validate_default=False)
    #: for binding conditions, from the allocation on
    binding_timeout: Annotated[Duration, _at_least(1)] = Field(
        default=600.0, validate_default=False
    )
