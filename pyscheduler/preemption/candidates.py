"""What a dry run finds: nodes on which a pod would fit, and who would have to leave.

Called by: ``dry_run`` makes them; ``ranking`` chooses among them, ``executor`` carries one out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.times import parse_rfc3339

#: pods of one node, and of one template, started in the same few seconds
unix_seconds = lru_cache(maxsize=8192)(parse_rfc3339)

#: makes any priority (an int32) at least 0
_PRIORITY_OFFSET = 2**31


class Cost(NamedTuple):
    """What the victims of one node are compared by."""

    pdb_violations: int
    highest_priority: int
    #: their sum; each counts as at least 0, so that few pods cost less than many
    priorities: int
    pods: int
    #: all of the highest priority have started
    have_begun: bool
    #: Unix seconds at which the first of the highest priority that has begun started
    earliest_start: float


@dataclass(frozen=True)
class Victims:
    """The pods that have to leave one node.

    One object may stand for a node in many preemptions, so its cost is found once.
    """

    #: the most important first; never empty
    pods: tuple[Pod, ...]
    #: how many of them leave although their disruption budget is exhausted
    pdb_violations: int = 0

    @cached_property
    def cost(self) -> Cost:
        """All that the criteria of ``ranking`` look at."""
        priorities = [pod.priority for pod in self.pods]
        highest = max(priorities)
        starts = [pod.status.start_time for pod in self.pods if pod.priority == highest]
        begun = [unix_seconds(start) for start in starts if start is not None]
        return Cost(
            self.pdb_violations,
            highest,
            sum(priorities) + _PRIORITY_OFFSET * len(priorities),
            len(priorities),
            have_begun=len(begun) == len(starts),
            earliest_start=min(begun, default=math.inf),
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node on which the pod fits once the victims have left."""

    node_name: str
    victims: Victims
