"""NodeAffinity: ``nodeSelector``, required and preferred node affinity.

A node will do if its labels satisfy the pod's ``nodeSelector`` and at least one of the required
terms, of which all expressions and fields must hold; and what the profile's ``addedAffinity``
requires, too. A node's score is the sum of the weights of the preferred terms that it matches, the
pod's and the profile's, times 100 / the highest, rounded down.

PreFilter skips pods of which nothing is required, and narrows the search to names if every term
pins ``metadata.name``; if no name is left: "pod affinity terms conflict". PreScore skips pods that
prefer nothing, and leaves the compiled preferred terms. Required terms are compiled once per
template.

Source: kube-scheduler 1.37, ``plugins/nodeaffinity/node_affinity.go``. Knowing differences: a pod
of which no required term can be understood (``Gt`` of what is no integer) is rejected with what is
wrong, where upstream says that no node matches; a node that comes to match what the profile adds
wakes pods, too, if it matched the pod before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.selectors import (
    InvalidSelector,
    NodeTerm,
    RequiredNodeAffinity,
    node_term,
    required_node_affinity,
)
from pyscheduler.framework.node_matching import matching_required, matching_term
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.node_affinity.args import NodeAffinityArgs

_REASON = "node(s) didn't match Pod's node affinity/selector"
_ENFORCED_REASON = "node(s) didn't match scheduler-enforced node affinity"
_CONFLICT_REASON = "pod affinity terms conflict"

PreferredTerms = tuple[tuple[int, NodeTerm], ...]

PREFERRED = fwk.StateKey[PreferredTerms]("NodeAffinity.preferred")


class NodeAffinity(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[NodeAffinityArgs],
):
    """Keeps pods on the nodes they select, and draws them to those they prefer."""

    depends_on = (fwk.Aspect.LABELS, fwk.Aspect.IDENTITY)
    signs_spec = True
    skips_unsigned = True

    def __init__(self, args: NodeAffinityArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        #: what every pod of the profile requires besides its own; None: nothing
        self._enforced: RequiredNodeAffinity | None = None
        self._added_preferred: PreferredTerms = ()
        added = args.added_affinity
        if added is not None and added.required is not None:
            terms = tuple(node_term(t.as_struct()) for t in added.required.node_selector_terms)
            self._enforced = RequiredNodeAffinity(terms=terms)
        if added is not None:
            self._added_preferred = tuple(
                (t.weight, node_term(t.preference.as_struct())) for t in added.preferred
            )
        self._adds_own = self._enforced is not None or bool(self._added_preferred)

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        """The node selector and the node affinity."""
        selector, affinity = pod.spec.node_selector, pod.spec.affinity
        node_affinity = affinity.node_affinity if affinity is not None else None
        if not selector and node_affinity is None and not self._adds_own:
            return ()
        return (selector, node_affinity)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.PreFilterResult | fwk.Status | None:
        """Skips pods that require nothing; narrows to names where all terms give names."""
        if self._enforced is None and _requires_nothing(pod):
            return fwk.SKIP
        try:
            names = required_node_affinity(pod).names
        except InvalidSelector as error:
            return fwk.unresolvable(f"invalid node affinity: {error}")
        if names is None:
            return None
        return fwk.PreFilterResult(names) if names else fwk.unresolvable(_CONFLICT_REASON)

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Judges what the scheduler enforces, then what the pod requires."""
        if self._enforced is not None and not self._enforced.matches(node.labels, node.name):
            return fwk.unresolvable(_ENFORCED_REASON)
        if not required_node_affinity(pod).matches(node.labels, node.name):
            return fwk.unresolvable(_REASON)
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, by label value."""
        verdict = nodes.verdict()
        mismatch = ~matching_required(nodes, required_node_affinity(pod))
        if self._enforced is not None:
            enforced = matching_required(nodes, self._enforced)
            verdict.reject(~enforced, _ENFORCED_REASON, unresolvable=True)
            mismatch &= enforced
        return verdict.reject(mismatch, _REASON, unresolvable=True)

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Skips pods that prefer nothing."""
        preferred = self._added_preferred + _preferred(pod)
        if not preferred:
            return fwk.SKIP
        state.write(PREFERRED, preferred)
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """The sum of the weights of matching terms."""
        return sum(
            weight for weight, term in state.read(PREFERRED) if term.matches(node.labels, node.name)
        )

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes, by label value."""
        scores = np.zeros(len(nodes), dtype=np.int64)
        for weight, term in state.read(PREFERRED):
            scores[matching_term(nodes, term)] += weight
        return scores

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        """The best node gets 100."""
        return fwk.default_normalize(scores)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A node whose labels will do."""
        event = fwk.NODE_ADDED | fwk.NODE_LABELS_CHANGED
        return [fwk.ClusterEventWithHint(event, self.after_node_change)]

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the node matches now and did not before."""
        matched = isinstance(old, Node) and self._matches(pod, old)
        matches = isinstance(new, Node) and self._matches(pod, new)
        return fwk.QueueingHint.QUEUE if matches and not matched else fwk.QueueingHint.SKIP

    def _matches(self, pod: Pod, node: Node) -> bool:
        if self._enforced is not None and not self._enforced.matches(node.labels, node.name):
            return False
        return required_node_affinity(pod).matches(node.labels, node.name)


def _requires_nothing(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    return not pod.spec.node_selector and (
        affinity is None
        or affinity.node_affinity is None
        or affinity.node_affinity.required is None
    )


def _preferred(pod: Pod) -> PreferredTerms:
    affinity = pod.spec.affinity
    if affinity is None or affinity.node_affinity is None:
        return ()
    return tuple(
        (preferred.weight, node_term(preferred.preference))
        for preferred in affinity.node_affinity.preferred
    )
