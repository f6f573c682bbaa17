"""InterPodAffinity: pods near others, or away from them, by topology domain.

**The rule.** A term means pods: of the namespaces it lists or selects by label (of the pod's own if
it does neither), with labels that its selector matches. A node is near such a pod when both nodes
have the same value of the term's topology key. For an incoming pod a node must

1. be near a pod that *all* its required affinity terms mean, by each of their keys (the pods may
   differ from key to key), or have all the keys while no pod in the cluster is meant and the pod
   means itself: the first of its group;
2. not be near a pod that one of its required anti-affinity terms means;
3. not be near a pod one of whose required anti-affinity terms means the incoming pod;

and the first that fails is the reason. The score is in ``scoring``, the counts that decide are in
``filtering``, the wake-ups in ``hints``.

**How it is counted.** Pods are never walked over. How many pods per domain a term of the incoming
pod means is kept by the cache (``NodeTable.pods_by_value``); the terms of existing pods are tallied
likewise (``terms.EXISTING``), and those that mean the incoming pod are found in an index
(``term_index``). What is left is one look-up per node and topology key; and once that is done for a
class of pods, one per pod that came or went, since it counts in its own domains alone.

**Classes of pods.** A pod's labels and namespace matter only as far as terms read them. So its
signature is what it asks itself, whether it means itself, and *which* terms of others mean it: pods
of a StatefulSet, each with a label of its own, are one class until a term in use reads that label.
All of it is looked up anew for each attempt, namespaces included.

Source: kube-scheduler 1.37, ``plugins/interpodaffinity``. Knowing differences: the message for a
selector that cannot be read names key and operator in our words. The alpha gates
InterPodAffinityHostnameFastPath (counts by hostname cost no more than any other here) and
InPlacePodVerticalScalingSchedulerPreemption are not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from cachetools import LRUCache

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.inter_pod_affinity import hints, scoring
from pyscheduler.intree.inter_pod_affinity.args import InterPodAffinityArgs
from pyscheduler.intree.inter_pod_affinity.domains import NO_ROWS, Rows
from pyscheduler.intree.inter_pod_affinity.filtering import FILTER, filter_state
from pyscheduler.intree.inter_pod_affinity.namespaces import Namespaces
from pyscheduler.intree.inter_pod_affinity.scoring import SCORES
from pyscheduler.intree.inter_pod_affinity.term_index import TermIndex
from pyscheduler.intree.inter_pod_affinity.terms import (
    EXISTING,
    NO_TERMS,
    NOTHING_ASKED,
    ExistingTerm,
    Kind,
    OwnTerms,
    PodTerms,
    existing_terms,
    own_terms,
    terms_of,
)

#: Templates whose own terms are remembered. A guess, as that of ``terms``.
_REMEMBERED = 2048


class InterPodAffinity(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[InterPodAffinityArgs],
):
    """Keeps pods near those they must be near and away from others, in either direction."""

    depends_on = (EXISTING, fwk.Aspect.PODS, fwk.Aspect.LABELS)
    #: a pod on any node of a domain counts for all of them
    cross_node = fwk.Aspect.PODS | fwk.Aspect.LABELS | fwk.Aspect.IDENTITY
    skips_unsigned = True

    def __init__(self, args: InterPodAffinityArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._namespaces = Namespaces(handle.informers)
        counting = set(Kind) if args.hard_pod_affinity_weight else set(Kind) - {Kind.AFFINITY}
        self._index = TermIndex(self._namespaces, kinds=counting)
        #: by what the pods say, and the version of the namespaces
        self._own: LRUCache[tuple[PodTerms, int], OwnTerms] = LRUCache(_REMEMBERED)

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        """What the pod asks, and the terms of others that mean it."""
        own = self._own_terms(pod)
        tally = self.handle.snapshot.nodes.tally(EXISTING)
        if own is NOTHING_ASKED and not tally:
            return ()
        matched = self._index.matching(pod, tally)
        scoring_terms = matched.scoring if self._scores_existing(own) else frozenset()
        if own is NOTHING_ASKED and not matched.apart:
            return (scoring_terms,) if scoring_terms else ()
        promised = self._terms_of_promised(pod)
        return (own, _means_itself(own, pod), matched.apart, scoring_terms, promised)

    # --- filtering ---

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Counts by domain; skips pods that no node can be too near to or too far from."""
        own = self._own_terms(pod)
        if own.problem:
            return fwk.unresolvable(own.problem)
        tally = nodes.tally(EXISTING)
        apart = self._index.matching(pod, tally).apart
        if not apart and not own.has_required:
            return fwk.SKIP  # and so it is for all pods of the class, whoever comes
        found = filter_state(own, apart, nodes, tally=tally, means_itself=_means_itself(own, pod))
        state.write(FILTER, found)
        return fwk.SKIP if found.is_pointless else None

    def pre_filter_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> Rows | None:
        """Looks at the domains of ``rows`` alone; who else is judged again are those that flip."""
        found = state.get(FILTER)
        return NO_ROWS if found is None else found.follow(nodes, nodes.tally(EXISTING), rows)

    def add_pod(self, state: fwk.CycleState, pod: Pod, added: Pod, node: fwk.NodeInfo) -> None:
        """Counts ``added`` in."""
        self._count(state, pod, added, node, difference=1)

    def remove_pod(self, state: fwk.CycleState, pod: Pod, removed: Pod, node: fwk.NodeInfo) -> None:
        """Counts ``removed`` out."""
        self._count(state, pod, removed, node, difference=-1)

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects a node that is not near enough to some pods, or too near to others."""
        return state.read(FILTER).judge(node.labels)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, by label code."""
        return state.read(FILTER).judge_nodes(nodes)

    # --- scoring ---

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Weights by domain, over all nodes; skips pods for which there are none."""
        own = self._own_terms(pod)
        every = self.handle.snapshot.nodes
        tally = every.tally(EXISTING)
        existing = self._index.matching(pod, tally).scoring if self._scores_existing(own) else ()
        if not own.preferred and not existing:
            return fwk.SKIP  # likewise
        weights = scoring.weights_by_domain(
            own,
            existing,
            every,
            tally=tally,
            hard_weight=self.args.hard_pod_affinity_weight,
        )
        state.write(SCORES, weights)
        return None if weights.is_any else fwk.SKIP

    def pre_score_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> Rows | None:
        """Looks at the domains of ``rows`` alone, whose other nodes are scored again with them."""
        found = state.get(SCORES)
        return NO_ROWS if found is None else found.follow(nodes, nodes.tally(EXISTING), rows)

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """The weight in the node's domains."""
        return state.read(SCORES).at_node(node.labels)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes, by label code."""
        return state.read(SCORES).at_nodes(nodes)

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        """The lowest gets 0, the highest 100."""
        return scoring.normalized(scores)

    # --- waking up ---

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """Pods that come, go and change near nodes, nodes that change domains, own labels."""
        action = fwk.ActionType
        assigned = fwk.ClusterEvent(
            fwk.EventResource.ASSIGNED_POD, action.ADD | action.UPDATE_POD_LABEL | action.DELETE
        )
        own_labels = fwk.ClusterEvent(fwk.EventResource.TARGET_POD, action.UPDATE_POD_LABEL)
        return [
            fwk.ClusterEventWithHint(assigned, hints.after_pod_change),
            # whoever kept the pod out may mean others now
            fwk.ClusterEventWithHint(own_labels),
            fwk.ClusterEventWithHint(
                fwk.NODE_ADDED | fwk.NODE_LABELS_CHANGED, hints.after_node_change
            ),
        ]

    # --- inside ---

    def _own_terms(self, pod: Pod) -> OwnTerms:
        terms = terms_of(pod)
        if terms is NO_TERMS:
            return NOTHING_ASKED
        key = terms, self._namespaces.version
        own = self._own.get(key)
        if own is None:
            own = self._own[key] = own_terms(terms, selected=self._namespaces.selected)
        return own

    def _scores_existing(self, own: OwnTerms) -> bool:
        """True when the terms of others count for the score of such a pod."""
        return bool(own.preferred) or not self.args.ignore_preferred_terms_of_existing_pods

    def _terms_of_promised(self, pod: Pod) -> frozenset[ExistingTerm]:
        """The anti-affinity terms of promised nodes' pods that mean the pod: see `add_pod`."""
        promised = self.handle.nominator.any_at_least(pod.priority)
        labels = self._namespaces.labels_of(pod.metadata.namespace)
        return frozenset(
            term
            for _, other in promised
            for term in existing_terms(other)
            if term.kind is Kind.ANTI_AFFINITY and term.term.matches(pod, labels)
        )

    def _count(
        self,
        state: fwk.CycleState,
        pod: Pod,
        other: Pod,
        node: fwk.NodeInfo,
        *,
        difference: int,
    ) -> None:
        state.read(FILTER).count(
            pod,
            other,
            labels=node.labels,
            namespace_labels=self._namespaces.labels_of(pod.metadata.namespace),
            difference=difference,
        )


def _means_itself(own: OwnTerms, pod: Pod) -> bool:
    return own.near is not None and own.near.matches(pod)
