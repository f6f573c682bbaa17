"""Functions from utilization to score, as the arguments of several plugins describe them.

Apart from the plugins, which do not know one another.

Source: kube-scheduler 1.37, ``apis/config/types_pluginargs.go`` and ``validation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from pydantic import Field

from pyscheduler.framework.args import Args
from pyscheduler.framework.arithmetic import truncated_quotient
from pyscheduler.framework.scores import MAX_NODE_SCORE

#: A point of a shape scores 0..10, a node 0..100.
_SCALE: Final = MAX_NODE_SCORE // 10


class UtilizationShapePoint(Args):
    """A point of the function from utilization to score."""

    #: percent of the allocatable amount
    utilization: int = Field(default=0, ge=0, le=100)
    #: 0 worst, 10 best
    score: int = Field(default=0, ge=0, le=10)


def checked_shape(shape: tuple[UtilizationShapePoint, ...]) -> tuple[UtilizationShapePoint, ...]:
    """Return the points, of which there are some, each to the right of the one before.

    Raises:
        ValueError: that is not so.
    """
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


def score_at(shape: Sequence[UtilizationShapePoint], utilization: int) -> int:
    """Return the score at ``utilization`` percent, 0..100: on the line between the points."""
    if utilization <= shape[0].utilization:
        return shape[0].score * _SCALE
    for left, right in pairwise(shape):
        if utilization <= right.utilization:
            rise = (right.score - left.score) * _SCALE * (utilization - left.utilization)
            run = right.utilization - left.utilization
            return left.score * _SCALE + truncated_quotient(rise, run)
    return shape[-1].score * _SCALE
