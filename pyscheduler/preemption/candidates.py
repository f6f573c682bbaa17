"""What a dry run finds: nodes on which a pod would fit, and who would have to leave.

Called by: ``dry_run`` makes them; ``ranking`` chooses among them, ``executor`` carries one out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.times import parse_rfc3339

#: pods of one node, and of one template, started in the same few seconds
unix_seconds = lru_cache(maxsize=8192)(parse_rfc3339)

#: makes any priority (an int32) at least 0
_PRIORITY_OFFSET = 2**31


@dataclass(frozen=True)
class Victims:
    """The pods that have to leave one node.

    One object may stand for a node in many preemptions, so what they are compared by is found once.
    """

    #: the most important first; never empty
    pods: tuple[Pod, ...]
    #: how many of them leave although their disruption budget is exhausted
    pdb_violations: int = 0

    @cached_property
    def highest_priority(self) -> int:
        """Of any of them."""
        return max(pod.priority for pod in self.pods)

    @cached_property
    def priorities(self) -> int:
        """Their sum; each counts as at least 0, so that few pods cost less than many."""
        return sum(pod.priority + _PRIORITY_OFFSET for pod in self.pods)

    @cached_property
    def highest(self) -> tuple[Pod, ...]:
        """Those of the highest priority."""
        return tuple(pod for pod in self.pods if pod.priority == self.highest_priority)

    @cached_property
    def have_begun(self) -> bool:
        """True when all of the highest priority have started."""
        return all(pod.status.start_time is not None for pod in self.highest)

    @cached_property
    def earliest_start(self) -> float:
        """Unix seconds at which the first of the highest priority that has begun started."""
        starts = (pod.status.start_time for pod in self.highest)
        return min((unix_seconds(start) for start in starts if start is not None), default=math.inf)

    @cached_property
    def cost(self) -> tuple[float, ...]:
        """All that the criteria of ``ranking`` look at."""
        return (
            self.pdb_violations,
            self.highest_priority,
            self.priorities,
            len(self.pods),
            self.have_begun,
            self.earliest_start,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node on which the pod fits once the victims have left."""

    node_name: str
    victims: Victims
