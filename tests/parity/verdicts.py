"""What a scheduler made of a pod, in the same terms for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: node -> plugin -> weighted score; plugins that gave 0 are left out, for one that is skipped and
#: one that scores 0 move the choice alike.
Scores = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement.

    Attributes:
        node: the pod's host; "" while it waits.
        reason: of the PodScheduled condition of a pod that waits.
        message: of that condition; what the gate said, if the pod was gated.
        gate: the plugin that kept it out of the queue, if one did.
        plugins: for which the pod waits.
        scores: by node and plugin, if two nodes or more were feasible.
        totals: by node.
        nominated: the node on which room is made.
        victims: ``namespace/name`` of the pods that had to leave.
        rejected: node -> plugin that rejected it first; only ours tells.
        woken: the label of the event that let it try again, "" if none did.
        choices: what was decided for the pod's own claims: volumes, nodes, devices.
    """

    node: str = ""
    reason: str = ""
    message: str = ""
    gate: str = ""
    plugins: tuple[str, ...] = ()
    scores: Scores = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    nominated: str = ""
    victims: tuple[str, ...] = ()
    rejected: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    woken: str = ""

    @property
    def best(self) -> frozenset[str]:
        """The nodes with the highest total."""
        top = max(self.totals.values(), default=0)
        return frozenset(node for node, total in self.totals.items() if total == top)

    def to_data(self) -> dict[str, Any]:
        """As JSON has it, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Verdict:
        """What `to_data` gave."""
        lists = {name: tuple(data[name]) for name in ("plugins", "victims") if name in data}
        return cls(**{**data, **lists})


def without_zeros(scores: Scores) -> dict[str, dict[str, int]]:
    """The scores of plugins that moved the node's total."""
    return {
        node: {plugin: score for plugin, score in by_plugin.items() if score}
        for node, by_plugin in scores.items()
    }
