"""InterPodAffinity answers by its rule, in both forms, whatever came and went before.

One plugin lives through a random history of pods, nodes, labels and namespaces; now and then it is
asked about pods with random terms, and held against ``inter_pod_affinity_rule``.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import (
    Affinity,
    Namespace,
    Node,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodSpec,
    WeightedPodAffinityTerm,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.intree.inter_pod_affinity import InterPodAffinity
from pyscheduler.testing import FakeInformers, fake_handle, make_plugin
from tests.properties import inter_pod_affinity_rule as rule

REASONS = (rule.NOT_NEAR, rule.NOT_APART, rule.KEPT_OUT)
KEYS = ("zone", "host", "rack")
NAMESPACES = ("red", "blue", "unheard-of")
VALUES = ("a", "b")
ARGS: tuple[dict[str, Any], ...] = (
    {},
    {"hardPodAffinityWeight": 0},
    {"hardPodAffinityWeight": 7},
    {"ignorePreferredTermsOfExistingPods": True},
)


class Drawn:
    """Pods, nodes and terms that are likely to have to do with each other."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def one_in(self, n: int) -> bool:
        return self.rng.randrange(n) == 0

    def labels(self) -> dict[str, str]:
        keys = ("app",) if self.one_in(2) else ("app", "tier")
        return {key: self.rng.choice(VALUES) for key in keys if not self.one_in(5)}

    def namespace(self) -> str:
        return self.rng.choices(NAMESPACES, (6, 3, 1))[0]

    def selector(self, *, odd: bool) -> LabelSelector:
        key, values = self.rng.choice(("app", "tier")), tuple(self.rng.sample(VALUES, 1))
        if odd and self.one_in(10):
            return _expression(key, "Near")
        kind = self.rng.randrange(8)
        if kind == 0:
            return _expression(key, self.rng.choice(("Exists", "DoesNotExist")))
        if kind == 1:
            return _expression(key, "NotIn", values)
        if kind == 2:
            return _expression(key, "In", VALUES)
        return LabelSelector(match_labels=FrozenMap(self.labels()))

    def term(self, *, odd: bool) -> PodAffinityTerm:
        return PodAffinityTerm(
            topology_key=self.rng.choices(KEYS, (4, 2, 1))[0],
            label_selector=None if self.one_in(15) else self.selector(odd=odd),
            namespaces=tuple(self.rng.sample(NAMESPACES, self.rng.choice((0, 0, 1, 2)))),
            namespace_selector=self.selector(odd=odd) if self.one_in(4) else None,
        )

    def terms(self, *, odd: bool) -> tuple[PodAffinityTerm, ...]:
        return tuple(self.term(odd=odd) for _ in range(self.rng.choice((0, 1, 1, 2))))

    def weighted(self, *, odd: bool) -> tuple[WeightedPodAffinityTerm, ...]:
        return tuple(
            WeightedPodAffinityTerm(weight=self.rng.choice((1, 10)), pod_affinity_term=term)
            for term in self.terms(odd=odd)
        )

    def affinity(self, *, odd: bool) -> Affinity:
        near = PodAffinity(required=self.terms(odd=odd), preferred=self.weighted(odd=odd))
        apart = PodAntiAffinity(required=self.terms(odd=odd), preferred=self.weighted(odd=odd))
        return Affinity(
            pod_affinity=None if self.one_in(2) else near,
            pod_anti_affinity=None if self.one_in(3) else apart,
        )

    def pod(self, *, odd: bool) -> Pod:
        name, labels = f"p{self.rng.randrange(12)}", FrozenMap(self.labels())
        meta = ObjectMeta(name=name, namespace=self.namespace(), uid=name, labels=labels)
        affinity = None if self.one_in(3) else self.affinity(odd=odd)
        return Pod(metadata=meta, spec=PodSpec(affinity=affinity))

    def node(self) -> Node:
        name = f"n{self.rng.randrange(5)}"
        labels = {"zone": self.rng.choice(VALUES), "rack": self.rng.choice(VALUES), "host": name}
        kept = {key: value for key, value in labels.items() if not self.one_in(5)}
        return Node(metadata=ObjectMeta(name=name, uid=name, labels=FrozenMap(kept)))


class World:
    """A plugin over a real cache, and the same cluster for the rule."""

    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args
        self.rule = rule.Cluster()
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        self.informers = FakeInformers()
        handle = fake_handle(self.snapshot, informers=self.informers)
        self.plugin = make_plugin(InterPodAffinity, args, handle=handle)

    # --- what happens ---

    def step(self, drawn: Drawn) -> None:
        """One thing happens to the cluster, or the plugin is asked."""
        action = drawn.rng.choices(
            ("pod", "unpod", "node", "unnode", "namespace", "unnamespace", "ask"),
            (12, 3, 3, 1, 2, 1, 3),
        )[0]
        name, namespace = f"n{drawn.rng.randrange(5)}", drawn.rng.choice(("red", "blue"))
        if action == "pod":
            self.add_pod(drawn.pod(odd=True), name)
        elif action == "unpod":
            self._remove(f"p{drawn.rng.randrange(12)}")
        elif action == "node":
            self.add_node(drawn.node())
        elif action == "unnode" and self.rule.nodes.pop(name, None) is not None:
            self.cache.remove_node(name)
        elif action == "namespace":
            self.rule.namespaces[namespace] = labels = FrozenMap(drawn.labels())
            meta = ObjectMeta(name=namespace, labels=labels)
            self.informers.of("namespaces.v1").put(Namespace(metadata=meta))
        elif action == "unnamespace" and self.rule.namespaces.pop(namespace, None) is not None:
            self.informers.of("namespaces.v1").remove(namespace)
        elif action == "ask":
            self.check([drawn.pod(odd=False)])

    def add_node(self, node: Node) -> None:
        self.rule.nodes[node.name] = node
        self.cache.add_node(node)

    def add_pod(self, pod: Pod, node: str) -> None:
        self._remove(pod.uid)
        self.rule.pods[pod.uid] = node, pod
        self.cache.add_pod(_on(pod, node))

    def _remove(self, uid: str) -> None:
        known = self.rule.pods.pop(uid, None)
        if known is not None:
            self.cache.remove_pod(_on(known[1], known[0]))

    # --- what the plugin says ---

    def check(self, pods: list[Pod]) -> None:
        """The plugin answers by the rule, and alike for pods of one class."""
        self.snapshot.refresh()
        by_signature: dict[Any, Any] = {}
        for pod in (alike for asked in pods for alike in _relabelled(asked)):
            filtered, scored = self.filtered(pod), self.scored(pod)
            assert filtered == self.rule.filter(pod)
            raw = self.rule.score(
                pod,
                hard_weight=self.args.get("hardPodAffinityWeight", 1),
                ignores_others=self.args.get("ignorePreferredTermsOfExistingPods", False),
            )
            _assert_ranks_alike(scored, raw)
            if raw:
                scores = np.array(list(raw.values()), dtype=np.int64)
                found = self.plugin.normalize(fwk.CycleState(), pod, scores)
                assert found.tolist() == list(rule.normalized(raw).values())
            answers = by_signature.setdefault(self.plugin.sign_pod(pod), (filtered, scored))
            assert answers == (filtered, scored)

    def filtered(self, pod: Pod) -> dict[str, str]:
        nodes = self.snapshot.nodes
        state = fwk.CycleState()
        if self.plugin.pre_filter(state, pod, nodes) is fwk.SKIP:
            return dict.fromkeys(nodes.names, "")
        return self.judged(state, pod)

    def judged(self, state: fwk.CycleState, pod: Pod) -> dict[str, str]:
        """What is said against each node, by both forms alike."""
        nodes = self.snapshot.nodes
        statuses = [self.plugin.filter(state, pod, nodes.node(r)) for r in range(len(nodes))]
        unresolvable = [
            s is not None and s.code is fwk.Code.UNSCHEDULABLE_AND_UNRESOLVABLE for s in statuses
        ]
        answers = ["" if status is None else status.message for status in statuses]
        assert unresolvable == [answer == rule.NOT_NEAR for answer in answers]
        for step in (1, 2):
            table = nodes.select(np.arange(0, len(nodes), step))
            reasons = fwk.status.ReasonTable()
            codes, indexes = self.plugin.filter_nodes(state, pod, table).resolve(reasons)
            assert [", ".join(reasons[i]) for i in indexes.tolist()] == answers[::step]
            assert codes.tolist() == [0 if s is None else s.code for s in statuses[::step]]
        return dict(zip(nodes.names, answers, strict=True))

    def scored(self, pod: Pod) -> dict[str, int] | None:
        """Raw scores, by both forms alike; None when the pod is skipped."""
        nodes = self.snapshot.nodes
        state = fwk.CycleState()
        # which nodes are feasible does not matter
        some = nodes.select(np.arange(0, len(nodes), 2))
        if self.plugin.pre_score(state, pod, some) is fwk.SKIP:
            return None
        one_by_one = [self.plugin.score(state, pod, nodes.node(r)) for r in range(len(nodes))]
        assert self.plugin.score_nodes(state, pod, nodes).tolist() == one_by_one
        assert self.plugin.score_nodes(state, pod, some).tolist() == one_by_one[::2]
        return dict(zip(nodes.names, one_by_one, strict=True))


def _assert_ranks_alike(scored: dict[str, int] | None, raw: dict[str, int] | None) -> None:
    """The raw scores are those of the rule, but for what is added to all nodes alike."""
    if scored is None:
        assert raw is None or len(set(raw.values())) <= 1
    else:
        assert raw is not None
        assert len({raw[node] - score for node, score in scored.items()}) <= 1


def _expression(key: str, operator: str, values: tuple[str, ...] = ()) -> LabelSelector:
    requirement = LabelSelectorRequirement(key=key, operator=operator, values=values)
    return LabelSelector(match_expressions=(requirement,))


def _relabelled(pod: Pod) -> list[Pod]:
    """The pod, and others that ask the same: of one class, or not."""
    labels: list[dict[str, str]] = [{}, {"app": "a"}, {"app": "b", "tier": "a"}]
    others = [replace(pod.metadata, labels=FrozenMap(own)) for own in labels]
    return [pod, *(replace(pod, metadata=metadata) for metadata in others)]


def _on(pod: Pod, node: str) -> Pod:
    return replace(pod, spec=replace(pod.spec, node_name=node))


def _lived(args: dict[str, Any], drawn: Drawn) -> World:
    """A world after a random history."""
    world = World(args)
    for _ in range(6):
        world.add_node(drawn.node())
    for _ in range(drawn.rng.randrange(5, 40)):
        world.step(drawn)
    return world


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ARGS), st.integers(0, 2**32))
def test_answers_are_those_of_the_rule(args: dict[str, Any], seed: int) -> None:
    drawn = Drawn(Random(seed))
    _lived(args, drawn).check([drawn.pod(odd=False) for _ in range(2)])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_pods_added_and_removed_in_a_what_if_count_as_if_they_had_come_and_gone(seed: int) -> None:
    drawn = Drawn(Random(seed))
    world = _lived({}, drawn)
    world.snapshot.refresh()
    nodes = world.snapshot.nodes
    pod = drawn.pod(odd=False)
    state = fwk.CycleState()
    if not len(nodes) or world.plugin.pre_filter(state, pod, nodes) is not None:
        return  # nobody can come, or its Filter is not asked whoever does
    before = world.judged(state, pod)

    clone = state.clone()
    for uid, (name, gone) in list(world.rule.pods.items()):
        row = nodes.row_of(name)
        if drawn.one_in(2) and row is not None:
            del world.rule.pods[uid]
            world.plugin.remove_pod(clone, pod, gone, nodes.node(row))
    for number in range(drawn.rng.randrange(4)):
        guest, row = drawn.pod(odd=True), drawn.rng.randrange(len(nodes))
        world.rule.pods[f"guest-{number}"] = nodes.names[row], guest
        world.plugin.add_pod(clone, pod, guest, nodes.node(row))

    assert world.judged(clone, pod) == world.rule.filter(pod)
    assert world.judged(state, pod) == before


def test_the_random_lives_are_eventful() -> None:
    """Each answer is given now and then, or these properties show nothing."""
    answers: Counter[str] = Counter()
    for seed in range(60):
        drawn = Drawn(Random(seed))
        world = _lived({}, drawn)
        pod = drawn.pod(odd=False)
        answers.update(set(world.rule.filter(pod).values()))
        answers["scored"] += len(set((world.rule.score(pod) or {}).values())) > 1

    assert min(answers[known] for known in ("", *REASONS, "scored")) >= 5, answers
