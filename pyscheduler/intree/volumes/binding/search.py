"""Where the unbound claims of a pod could get their volumes: found, or to be made.

Nodes that agree on the labels that the search asks about get the same answer, so it is given once
per distinct combination of their values, `Outcome`, and kept for the pod's cycle: Filter, Score and
Reserve see the same. A cluster has few zones; where each volume belongs to one node there are as
many combinations as nodes, each with few volumes to look at (``reach.ByLabels``).

For a combination: the claims, smallest first, each take a volume (``finding``); for those that find
none a volume must be made (``provisioning``), and the first that cannot have one decides why the
node will not do. A claim that says for which node its volume is being made fits no other node, and
is not looked for again.

Called by: ``plugin``.
Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go`` FindPodVolumes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.volumes.binding.annotations import SELECTED_NODE
from pyscheduler.intree.volumes.binding.finding import Candidates
from pyscheduler.intree.volumes.binding.provisioning import Provision, Provisioner
from pyscheduler.intree.volumes.binding.reasons import NO_VOLUME


class Match(NamedTuple):
    """A volume for a claim."""

    claim: PersistentVolumeClaim
    volume: PersistentVolume


class Outcome(NamedTuple):
    """What the claims get on a node; with a reason: nothing, and why not."""

    reason: str = ""
    matches: tuple[Match, ...] = ()
    provisions: tuple[Provision, ...] = ()


_ELSEWHERE = Outcome(NO_VOLUME)


@dataclass(frozen=True, slots=True)
class Unbound:
    """A claim that waits for its first pod, and where a volume for it can come from."""

    claim: PersistentVolumeClaim
    provisioner: Provisioner
    #: None: its volume is being made
    candidates: Candidates | None


class VolumeSearch:
    """The search for one pod.

    Args:
        claims: those whose volumes are being made, then the others, smallest first.
    """

    def __init__(self, claims: Sequence[Unbound]) -> None:
        self._claims = claims
        keys: set[str] = set()
        for unbound in claims:
            keys |= unbound.provisioner.keys
            if unbound.candidates is not None:
                keys |= unbound.candidates.keys
        #: the node labels that the outcome depends on
        self._keys = tuple(sorted(keys))
        self._outcomes: dict[tuple[str | None, ...], Outcome] = {}
        #: the only nodes that the claims leave; more than one: none
        self._selected = {
            node
            for unbound in claims
            if (node := unbound.claim.annotations.get(SELECTED_NODE)) is not None
        }

    @property
    def claims(self) -> Sequence[PersistentVolumeClaim]:
        """The claims that are to be bound."""
        return [unbound.claim for unbound in self._claims]

    def on(self, node: fwk.NodeInfo) -> Outcome:
        """What the claims get on that node."""
        if self._selected and self._selected != {node.name}:
            return _ELSEWHERE
        labels = node.labels
        return self._outcome(tuple(labels.get(key) for key in self._keys))

    def on_all(self, nodes: fwk.NodeTable) -> tuple[Sequence[Outcome], Int64Array]:
        """The distinct outcomes, and (N,) int64 which of them each node has."""
        if self._selected:
            return self._on_selected(nodes)
        group, rows = _groups(nodes, self._keys)
        if not self._keys:
            return [self._outcome(()) for _ in rows], group
        columns: list[list[str | None]] = []
        for key in self._keys:
            codes, values = nodes.label_codes(key)
            columns.append([None if code < 0 else values[code] for code in codes[rows].tolist()])
        return [self._outcome(values) for values in zip(*columns, strict=True)], group

    def _on_selected(self, nodes: fwk.NodeTable) -> tuple[Sequence[Outcome], Int64Array]:
        which = np.zeros(len(nodes), dtype=np.int64)
        row = nodes.row_of(next(iter(self._selected))) if len(self._selected) == 1 else None
        if row is None:
            return [_ELSEWHERE], which
        which[row] = 1
        return [_ELSEWHERE, self.on(nodes.node(row))], which

    def _outcome(self, values: tuple[str | None, ...]) -> Outcome:
        outcome = self._outcomes.get(values)
        if outcome is None:
            pairs = zip(self._keys, values, strict=True)
            labels = {key: value for key, value in pairs if value is not None}
            outcome = self._outcomes[values] = self._find(labels)
        return outcome

    def _find(self, labels: Mapping[str, str]) -> Outcome:
        matches: list[Match] = []
        taken: set[str] = set()
        to_make: list[Provisioner] = []
        for unbound in self._claims:
            found = None
            if unbound.candidates is not None:
                found = unbound.candidates.first(labels, taken)
            if found is None:
                to_make.append(unbound.provisioner)
            else:
                taken.add(found.name)
                matches.append(Match(unbound.claim, found))
        provisions: list[Provision] = []
        for provisioner in to_make:
            answer = provisioner.judge(labels)
            if isinstance(answer, str):
                return Outcome(answer)
            provisions.append(answer)
        return Outcome("", tuple(matches), tuple(provisions))


def _groups(nodes: fwk.NodeTable, keys: Sequence[str]) -> tuple[Int64Array, Int64Array]:
    """(N,) int64 numbers of the combinations of label values, and (combinations,) a row of each."""
    group = np.zeros(len(nodes), dtype=np.int64)
    rows = np.zeros(min(1, len(nodes)), dtype=np.int64)
    for key in keys:
        codes, values = nodes.label_codes(key)
        # numbered anew after each label, so that the numbers stay below N
        joined = group * (len(values) + 1) + (codes + 1)
        _, rows, group = np.unique(joined, return_index=True, return_inverse=True)
    return group, rows
