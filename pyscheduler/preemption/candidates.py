"""What a dry run finds: nodes on which a pod would fit, and who would have to leave.

Called by: ``dry_run`` makes them; ``ranking`` chooses among them, ``executor`` carries one out.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyscheduler.api.core_v1 import Pod


@dataclass(frozen=True, slots=True)
class Victims:
    """The pods that have to leave one node."""

    #: the most important first; never empty
    pods: tuple[Pod, ...]
    #: how many of them leave although their disruption budget is exhausted
    pdb_violations: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node on which the pod fits once the victims have left."""

    node_name: str
    victims: Victims
