"""PodTopologySpread: spreads pods that belong together over zones, nodes and other domains.

A constraint says which pods belong together (a label selector, within the pod's namespace), what a
domain is (the nodes with one value of the topology key) and how uneven domains may be
(``maxSkew``). Hard constraints reject nodes (``hard`` has the rule), soft ones rank them (``soft``
has the formula); ``inclusion`` says which nodes count. A pod without constraints is given default
ones: those of the arguments, or upstream's own; it is spread with the other pods of its Services
and its workload (``default_constraints``).

What is kept from one hook to the next:

    PreFilter   `CONSTRAINTS`, so that PreScore judges by what was signed; `COUNTS`, the pods per
                domain of hard constraints, which add_pod and remove_pod keep in step
    PreScore    `SCORES`, what each domain adds to the score of its nodes

A pod comes or goes on one node and all nodes of other domains are judged otherwise: `cross_node`.
None of it loops over pods or nodes: the cache keeps the matching pods per node, and nodes have the
values of a label as codes. Services and workloads are in the signature, with the selector that came
of them.

Source: kube-scheduler 1.37, ``plugins/podtopologyspread``. Knowing differences: those of
``constraints`` and ``soft``; pods are signed, and their answers kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.selectors import InvalidSelector
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.pod_topology_spread.args import PodTopologySpreadArgs
from pyscheduler.intree.pod_topology_spread.constraints import (
    UNCONSTRAINED,
    PodConstraints,
    own_constraints,
)
from pyscheduler.intree.pod_topology_spread.default_constraints import DefaultConstraints
from pyscheduler.intree.pod_topology_spread.hard import NO_ROWS, HardCounts, Rows
from pyscheduler.intree.pod_topology_spread.hints import SpreadHints
from pyscheduler.intree.pod_topology_spread.inclusion import NodeInclusion
from pyscheduler.intree.pod_topology_spread.soft import SoftScores, normalized

_MATCH_LABEL_KEYS: Final = "MatchLabelKeysInPodTopologySpread"
_TOLERATION_COMPARISONS: Final = "TaintTolerationComparisonOperators"

CONSTRAINTS = fwk.StateKey[PodConstraints]("PodTopologySpread.constraints")
COUNTS = fwk.StateKey[HardCounts]("PodTopologySpread.counts")
SCORES = fwk.StateKey[SoftScores]("PodTopologySpread.scores")


class PodTopologySpread(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[PodTopologySpreadArgs],
):
    """Keeps the domains of a topology evenly filled with pods that belong together."""

    depends_on = (fwk.Aspect.LABELS, fwk.Aspect.TAINTS, fwk.Aspect.PODS)
    cross_node = fwk.Aspect.IDENTITY | fwk.Aspect.LABELS | fwk.Aspect.TAINTS | fwk.Aspect.PODS
    scores_feasible_set = True
    skips_unsigned = True

    def __init__(self, args: PodTopologySpreadArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._with_match_label_keys = handle.features[_MATCH_LABEL_KEYS]
        self._comparisons = handle.features[_TOLERATION_COMPARISONS]
        #: None: pods without constraints are not spread, and nothing need be followed
        self._defaults: DefaultConstraints | None = None
        if args.defaults:
            self._defaults = DefaultConstraints(
                args.defaults, handle.informers, needs_all_keys=not args.is_system
            )
        self._hints = SpreadHints(self._constraints_of)

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        """The constraints, and what decides which nodes count for them."""
        constraints = self._constraints_of(pod)
        if constraints is UNCONSTRAINED:
            return ()
        spec = pod.spec
        node_affinity = spec.affinity.node_affinity if spec.affinity is not None else None
        honors_taints = any(c.honors_taints for c in (*constraints.hard, *constraints.soft))
        tolerations = spec.tolerations if honors_taints else ()
        return (constraints, spec.node_selector, node_affinity, tolerations)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Counts the pods per domain; skips pods without hard constraints."""
        constraints = self._constraints_of(pod)
        state.write(CONSTRAINTS, constraints)
        if constraints is UNCONSTRAINED:
            return fwk.SKIP
        if constraints.problem:
            return fwk.unresolvable(constraints.problem)
        try:
            inclusion = self._inclusion(pod)
        except InvalidSelector as error:
            return fwk.unresolvable(f"invalid node affinity: {error}")
        if not constraints.hard:
            return fwk.SKIP
        state.write(COUNTS, HardCounts.over(nodes, constraints.hard, inclusion))
        return None

    def pre_filter_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> Rows | None:
        """Counts the pods per domain; judged again are the nodes of domains that fit otherwise."""
        counts = state.get(COUNTS)
        return NO_ROWS if counts is None else counts.follow(nodes, rows)

    def add_pod(
        self, state: fwk.CycleState, pod: Pod, added: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        """Counts ``added`` in the domains of ``node``."""
        state.read(COUNTS).change(added, node.node, 1)
        return None

    def remove_pod(
        self, state: fwk.CycleState, pod: Pod, removed: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        """Counts ``removed`` no more."""
        state.read(COUNTS).change(removed, node.node, -1)
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects the node if a hard constraint would be violated there."""
        return state.read(COUNTS).judge(node.node)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, by domain."""
        return state.read(COUNTS).judge_all(nodes)

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Counts the pods in the domains of the feasible nodes; skips pods without soft ones."""
        constraints = state.get(CONSTRAINTS)
        if constraints is None:  # the profile has no PreFilter of ours
            constraints = self._constraints_of(pod)
        everywhere = self.handle.snapshot.nodes
        if not constraints.soft or not len(everywhere):
            return fwk.SKIP
        scores = SoftScores.over(nodes, everywhere, constraints, self._inclusion(pod))
        state.write(SCORES, scores)
        return None

    def pre_score_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> Rows | None:
        """Counts the pods in the domains; scored again are the nodes of those that changed."""
        scores = state.get(SCORES)
        if scores is None:
            return NO_ROWS  # there are no soft constraints, whoever comes
        followed = scores.followed(nodes, rows)
        if followed is None:
            return None
        now, affected = followed
        state.write(SCORES, now)
        return affected

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """How crowded the domains of the node are; the fewer pods the better."""
        return state.read(SCORES).of(node)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes, by domain."""
        return state.read(SCORES).of_all(nodes)

    def score_by_label(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> tuple[str, Int64Array] | None:
        """The same by domain, for a single constraint whose domains are shared by nodes."""
        return state.read(SCORES).by_label()

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        """The least crowded node gets the most."""
        return normalized(scores)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """Pods, nodes and labels that the constraints see."""
        return self._hints.registrations()

    def _constraints_of(self, pod: Pod) -> PodConstraints:
        wanted = pod.spec.topology_spread_constraints
        if wanted:
            meta = pod.metadata
            return own_constraints(
                meta.namespace,
                meta.labels,
                wanted,
                with_match_label_keys=self._with_match_label_keys,
            )
        return UNCONSTRAINED if self._defaults is None else self._defaults.of(pod)

    def _inclusion(self, pod: Pod) -> NodeInclusion:
        return NodeInclusion(pod, comparisons=self._comparisons)
