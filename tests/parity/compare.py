"""What must be equal between two verdicts: `differences` is the whole definition of parity."""

from __future__ import annotations

from dataclasses import dataclass

from tests.parity.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not equal.

    Attributes:
        what: the field of the verdict, and the node and plugin where it has them.
        theirs: what the oracle says.
        ours: what we say.
    """

    what: str
    theirs: object
    ours: object

    def __str__(self) -> str:
        return f"{self.what}: theirs {self.theirs!r}, ours {self.ours!r}"


def differences(theirs: Verdict, ours: Verdict) -> list[Difference]:
    """Everything in which the two are not equal."""
    found = [
        Difference(name, getattr(theirs, name), getattr(ours, name))
        for name in ("reason", "message", "gate", "plugins", "nominated", "victims", "woken")
        if getattr(theirs, name) != getattr(ours, name)
    ]
    if bool(theirs.node) != bool(ours.node):
        found.append(Difference("node", theirs.node, ours.node))
    found += _score_differences(theirs, ours)
    if theirs.node == ours.node and theirs.choices != ours.choices:
        found.append(Difference("choices", dict(theirs.choices), dict(ours.choices)))
    if not found and theirs.node != ours.node and not _is_a_tie(theirs, ours):
        found.append(Difference("node", theirs.node, ours.node))
    return found


def _is_a_tie(theirs: Verdict, ours: Verdict) -> bool:
    """Whether each one's choice is among the other's best."""
    return theirs.node in ours.best and ours.node in theirs.best


def _score_differences(theirs: Verdict, ours: Verdict) -> list[Difference]:
    found = []
    if theirs.totals.keys() != ours.totals.keys():
        found.append(Difference("feasible nodes", sorted(theirs.totals), sorted(ours.totals)))
    for node in sorted(theirs.totals.keys() & ours.totals.keys()):
        left, right = theirs.scores.get(node, {}), ours.scores.get(node, {})
        found += [
            Difference(f"score of {plugin} on {node}", left.get(plugin, 0), right.get(plugin, 0))
            for plugin in sorted(left.keys() | right.keys())
            if left.get(plugin, 0) != right.get(plugin, 0)
        ]
        if theirs.totals[node] != ours.totals[node]:
            found.append(Difference(f"total of {node}", theirs.totals[node], ours.totals[node]))
    return found


def deciders(verdict: Verdict) -> frozenset[str]:
    """The plugins that decided: that rejected the pod or a node, or moved the choice.

    A plugin moved the choice if without its scores other nodes would be best.
    """
    found = {plugin for plugin in verdict.rejected.values() if plugin}
    found |= set(verdict.plugins) | ({verdict.gate} if verdict.gate else set())
    plugins = {plugin for by_plugin in verdict.scores.values() for plugin in by_plugin}
    for plugin in plugins:
        without = {
            node: total - verdict.scores.get(node, {}).get(plugin, 0)
            for node, total in verdict.totals.items()
        }
        top = max(without.values())
        if frozenset(node for node, total in without.items() if total == top) != verdict.best:
            found.add(plugin)
    return frozenset(found)
