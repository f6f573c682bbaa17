"""The arguments of VolumeBinding.

Source: kube-scheduler 1.37, ``apis/config/types_pluginargs.go``.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from pyscheduler import framework as fwk
from pyscheduler.config.utilization_shape import UtilizationShapePoint, checked_shape

#: All of the score for a storage class with no room used, none for a full one.
_FREE_STORAGE: Final = (
    UtilizationShapePoint(utilization=0, score=10),
    UtilizationShapePoint(utilization=100, score=0),
)


class VolumeBindingArgs(fwk.Args):
    """Arguments of VolumeBinding."""

    #: how long a pod waits in PreBind until its claims are bound
    bind_timeout_seconds: int = Field(default=600, ge=0)
    #: from the share of a storage class's capacity that is used to a score; only with the feature
    #: gate StorageCapacityScoring
    shape: Annotated[
        tuple[UtilizationShapePoint, ...],
        Field(strict=False),
        AfterValidator(lambda shape: checked_shape(shape or _FREE_STORAGE)),
    ] = _FREE_STORAGE
