"""The rule of InterPodAffinity, once more and as plainly as it can be said: pods are walked over.

Nothing here is the plugin's, its selectors included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyscheduler.api.core_v1 import (
    Node,
    Pod,
    PodAffinityTerm,
    WeightedPodAffinityTerm,
)
from pyscheduler.api.meta import LabelSelector

NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_APART = "node(s) didn't match pod anti-affinity rules"
KEPT_OUT = "node(s) didn't satisfy existing pods anti-affinity rules"

Terms = Sequence[PodAffinityTerm]


class UnknownOperatorError(Exception):
    """A selector of the future."""


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector selects what has these labels."""
    if selector is None:
        return False
    answers = [labels.get(key) == value for key, value in selector.match_labels.items()]
    for expression in selector.match_expressions:
        value = labels.get(expression.key)
        if expression.operator == "In":
            answers.append(value in expression.values)
        elif expression.operator == "NotIn":
            answers.append(value not in expression.values)
        elif expression.operator == "Exists":
            answers.append(value is not None)
        elif expression.operator == "DoesNotExist":
            answers.append(value is None)
        else:
            raise UnknownOperatorError(expression.operator)
    return all(answers)


def required(pod: Pod, *, near: bool) -> Terms:
    """The required terms of affinity, or of anti-affinity; none if one cannot be read."""
    affinity = pod.spec.affinity
    part = affinity and (affinity.pod_affinity if near else affinity.pod_anti_affinity)
    return _readable(part.required) if part else ()


def preferred(pod: Pod) -> list[tuple[int, PodAffinityTerm]]:
    """The preferred terms, with weights below 0 for anti-affinity."""
    affinity = pod.spec.affinity
    found: list[tuple[int, PodAffinityTerm]] = []
    for part, sign in (
        (affinity and affinity.pod_affinity, 1),
        (affinity and affinity.pod_anti_affinity, -1),
    ):
        weighted: Sequence[WeightedPodAffinityTerm] = part.preferred if part else ()
        if _readable([w.pod_affinity_term for w in weighted]):
            found += [(sign * w.weight, w.pod_affinity_term) for w in weighted]
    return found


def _readable(terms: Terms) -> Terms:
    try:
        for term in terms:
            selects(term.label_selector, {})
            selects(term.namespace_selector, {})
    except UnknownOperatorError:
        return ()
    return terms


@dataclass
class Cluster:
    """Nodes, the pods on each, and the labels of namespaces."""

    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, tuple[str, Pod]] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def placed(self) -> list[tuple[Node, Pod]]:
        """Every pod with its node."""
        return [(self.nodes[name], pod) for name, pod in self.pods.values() if name in self.nodes]

    def own_term_means(self, term: PodAffinityTerm, owner: Pod, other: Pod) -> bool:
        """Whether a term of the incoming pod means a pod that runs."""
        home, labels = other.metadata.namespace, self.namespaces.get(other.metadata.namespace)
        selector = term.namespace_selector
        if not term.namespaces and selector is None:
            in_namespace = home == owner.metadata.namespace
        else:
            is_any = selector == LabelSelector()
            is_selected = labels is not None and selects(selector, labels)
            in_namespace = home in term.namespaces or is_any or is_selected
        return in_namespace and selects(term.label_selector, other.labels)

    def others_term_means(self, term: PodAffinityTerm, owner: Pod, incoming: Pod) -> bool:
        """Whether a term of a pod that runs means the incoming one."""
        home = incoming.metadata.namespace
        if not term.namespaces and term.namespace_selector is None:
            in_namespace = home == owner.metadata.namespace
        else:
            labels = self.namespaces.get(home, {})
            in_namespace = home in term.namespaces or selects(term.namespace_selector, labels)
        return in_namespace and selects(term.label_selector, incoming.labels)

    # --- Filter ---

    def filter(self, pod: Pod) -> dict[str, str]:
        """What is said against each node; empty where it will do."""
        near, apart = required(pod, near=True), required(pod, near=False)
        wanted: set[tuple[str, str]] = set()
        avoided: set[tuple[str, str]] = set()
        closed: set[tuple[str, str]] = set()
        for node, other in self.placed():
            if near and all(self.own_term_means(term, pod, other) for term in near):
                wanted |= _domains(node, near)
            avoided |= _domains(node, [t for t in apart if self.own_term_means(t, pod, other)])
            theirs = required(other, near=False)
            closed |= _domains(node, [t for t in theirs if self.others_term_means(t, other, pod)])
        is_first = not wanted and all(self.own_term_means(term, pod, pod) for term in near)
        answers = {}
        for name, node in self.nodes.items():
            here = set(node.labels.items())
            has_keys = all(term.topology_key in node.labels for term in near)
            if not has_keys or not (is_first or _domains(node, near) <= wanted):
                answers[name] = NOT_NEAR
            elif here & avoided:
                answers[name] = NOT_APART
            else:
                answers[name] = KEPT_OUT if here & closed else ""
        return answers

    # --- Score ---

    def score(
        self, pod: Pod, *, hard_weight: int = 1, ignores_others: bool = False
    ) -> dict[str, int] | None:
        """The raw score of each node; None when nothing has a say."""
        own = preferred(pod)
        if ignores_others and not own:
            return None
        weights: dict[tuple[str, str], int] = {}
        for node, other in self.placed():
            meant = [(w, t) for w, t in own if self.own_term_means(t, pod, other)]
            theirs = preferred(other)
            if hard_weight:
                theirs += [(hard_weight, term) for term in required(other, near=True)]
            meant += [(w, t) for w, t in theirs if self.others_term_means(t, other, pod)]
            for weight, term in meant:
                for domain in _domains(node, [term]):
                    weights[domain] = weights.get(domain, 0) + weight
        if not weights:
            return None
        return {
            name: sum(weights.get(domain, 0) for domain in node.labels.items())
            for name, node in self.nodes.items()
        }


def normalized(raw: Mapping[str, int]) -> dict[str, int]:
    """From 0 to 100, the lowest to the highest."""
    low, high = min(raw.values()), max(raw.values())
    if low == high:
        return dict.fromkeys(raw, 0)
    return {name: int(100 * (float(s - low) / float(high - low))) for name, s in raw.items()}


def _domains(node: Node, terms: Terms) -> set[tuple[str, str]]:
    keys = [term.topology_key for term in terms]
    return {(key, node.labels[key]) for key in keys if key in node.labels}
