"""InterPodAffinity answers by its rule, in both forms, whatever came and went before.

One plugin lives through a random history of pods, nodes, labels and namespaces; now and then it is
asked about pods with random terms, and held against ``inter_pod_affinity_rule``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import (
    Affinity,
    Namespace,
    Node,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    WeightedPodAffinityTerm,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.intree.inter_pod_affinity import InterPodAffinity
from pyscheduler.testing import FakeInformers, fake_handle, make_plugin
from tests.properties import inter_pod_affinity_rule as rule

KEYS = st.sampled_from(["zone", "host", "rack"])
NAMES = st.sampled_from(["red", "blue", "unheard-of"])
VALUES = st.sampled_from(["a", "b"])
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), VALUES, max_size=2)


def _selector(odd: bool) -> st.SearchStrategy[LabelSelector]:
    operators = ["In", "In", "NotIn", "Exists", "DoesNotExist", *(["Near"] if odd else [])]

    def expression(key: str, operator: str, values: set[str]) -> LabelSelectorRequirement:
        named = tuple(sorted(values)) if operator in ("In", "NotIn") else ()
        return LabelSelectorRequirement(key=key, operator=operator, values=named)

    expressions = st.builds(
        expression,
        st.sampled_from(["app", "tier"]),
        st.sampled_from(operators),
        st.sets(VALUES, min_size=1),
    )
    return st.builds(
        lambda labels, found: LabelSelector(
            match_labels=FrozenMap(labels), match_expressions=tuple(found)
        ),
        LABELS,
        st.lists(expressions, max_size=1),
    )


def _term(odd: bool) -> st.SearchStrategy[PodAffinityTerm]:
    return st.builds(
        PodAffinityTerm,
        topology_key=KEYS,
        label_selector=st.one_of(_selector(odd), _selector(odd), st.none()),
        namespaces=st.lists(NAMES, max_size=2).map(tuple),
        namespace_selector=st.one_of(st.none(), st.none(), _selector(odd)),
    )


def _terms(kind: type[Any], odd: bool) -> st.SearchStrategy[Any]:
    weighted = st.builds(
        WeightedPodAffinityTerm, weight=st.sampled_from([1, 10]), pod_affinity_term=_term(odd)
    )
    return st.one_of(
        st.none(),
        st.builds(
            kind,
            required=st.lists(_term(odd), max_size=2).map(tuple),
            preferred=st.lists(weighted, max_size=2).map(tuple),
        ),
    )


def _affinity(odd: bool) -> st.SearchStrategy[Affinity | None]:
    return st.one_of(
        st.none(),
        st.builds(
            Affinity,
            pod_affinity=_terms(PodAffinity, odd),
            pod_anti_affinity=_terms(PodAntiAffinity, odd),
        ),
    )


def _pods(odd: bool) -> st.SearchStrategy[Pod]:
    def build(number: int, namespace: str, labels: dict[str, str], affinity: Any) -> Pod:
        name = f"p{number}"
        meta = ObjectMeta(name=name, namespace=namespace, uid=name, labels=FrozenMap(labels))
        plain = Pod(metadata=meta)
        spec = type(plain.spec)(affinity=affinity)
        return Pod(metadata=meta, spec=spec)

    return st.builds(build, st.integers(0, 7), NAMES, LABELS, _affinity(odd))


def _nodes() -> st.SearchStrategy[Node]:
    def build(number: int, labels: dict[str, str], host: bool) -> Node:
        name = f"n{number}"
        all_labels = {**labels, "host": name} if host else labels
        meta = ObjectMeta(name=name, uid=name, labels=FrozenMap(all_labels))
        return Node(metadata=meta)

    labels = st.dictionaries(st.sampled_from(["zone", "rack"]), VALUES, max_size=2)
    return st.builds(build, st.integers(0, 4), labels, st.booleans())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), _pods(odd=True), st.integers(0, 4)),
        st.tuples(st.just("pod"), _pods(odd=True), st.integers(0, 4)),
        st.tuples(st.just("unpod"), st.integers(0, 7), st.none()),
        st.tuples(st.just("node"), _nodes(), st.none()),
        st.tuples(st.just("unnode"), st.integers(0, 4), st.none()),
        st.tuples(st.just("namespace"), st.sampled_from(["red", "blue"]), LABELS),
        st.tuples(st.just("unnamespace"), st.sampled_from(["red", "blue"]), st.none()),
        st.tuples(st.just("ask"), st.lists(_pods(odd=False), min_size=1, max_size=1), st.none()),
    ),
    min_size=8,
    max_size=25,
)
ARGS = st.fixed_dictionaries(
    {},
    optional={
        "hardPodAffinityWeight": st.sampled_from([0, 7]),
        "ignorePreferredTermsOfExistingPods": st.booleans(),
    },
)


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

    def step(self, action: str, what: Any, more: Any) -> None:
        namespaces = self.informers.of("namespaces.v1")
        if action == "pod":
            self._remove(what.uid)
            self.rule.pods[what.uid] = f"n{more}", what
            self.cache.add_pod(_on(what, f"n{more}"))
        elif action == "unpod":
            self._remove(f"p{what}")
        elif action == "node":
            self.rule.nodes[what.name] = what
            self.cache.add_node(what)
        elif action == "unnode":
            if self.rule.nodes.pop(f"n{what}", None) is not None:
                self.cache.remove_node(f"n{what}")
        elif action == "namespace":
            self.rule.namespaces[what] = more
            meta = ObjectMeta(name=what, labels=FrozenMap(more))
            namespaces.put(Namespace(metadata=meta))
        elif action == "unnamespace" and self.rule.namespaces.pop(what, None) is not None:
            namespaces.remove(what)

    def _remove(self, uid: str) -> None:
        known = self.rule.pods.pop(uid, None)
        if known is not None:
            self.cache.remove_pod(_on(known[1], known[0]))

    def check(self, pods: list[Pod]) -> None:
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
            assert scored == raw
            if raw:
                self.check_normalized(pod, raw)
            answers = by_signature.setdefault(self.plugin.sign_pod(pod), (filtered, scored))
            assert answers == (filtered, scored)

    def filtered(self, pod: Pod) -> dict[str, str]:
        nodes = self.snapshot.nodes
        state = fwk.CycleState()
        if self.plugin.pre_filter(state, pod, nodes) is fwk.SKIP:
            return dict.fromkeys(nodes.names, "")
        return self.judged(state, pod)

    def judged(self, state: fwk.CycleState, pod: Pod) -> dict[str, str]:
        nodes = self.snapshot.nodes
        statuses = [self.plugin.filter(state, pod, nodes.node(r)) for r in range(len(nodes))]
        unresolvable = [
            s is not None and s.code is fwk.Code.UNSCHEDULABLE_AND_UNRESOLVABLE for s in statuses
        ]
        answers = ["" if status is None else status.message for status in statuses]
        assert unresolvable == [answer == rule.NOT_NEAR for answer in answers]
        for table in (nodes, nodes.select(np.arange(0, len(nodes), 2))):
            reasons = fwk.status.ReasonTable()
            codes, indexes = self.plugin.filter_nodes(state, pod, table).resolve(reasons)
            step = 1 if table is nodes else 2
            assert [", ".join(reasons[i]) for i in indexes.tolist()] == answers[::step]
            assert codes.tolist() == [0 if s is None else s.code for s in statuses[::step]]
        return dict(zip(nodes.names, answers, strict=True))

    def scored(self, pod: Pod) -> dict[str, int] | None:
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

    def check_normalized(self, pod: Pod, raw: dict[str, int]) -> None:
        scores = np.array(list(raw.values()), dtype=np.int64)
        found = self.plugin.normalize(fwk.CycleState(), pod, scores)
        assert found.tolist() == list(rule.normalized(raw).values())


def _relabelled(pod: Pod) -> list[Pod]:
    """The pod, and others that ask the same: of one class, or not."""
    labels: list[dict[str, str]] = [{}, {"app": "a"}, {"app": "b", "tier": "a"}]
    return [pod, *(Pod(metadata=_with(pod.metadata, own), spec=pod.spec) for own in labels)]


def _with(metadata: ObjectMeta, labels: dict[str, str]) -> ObjectMeta:
    return msgspec.structs.replace(metadata, labels=FrozenMap(labels))


def _on(pod: Pod, node: str) -> Pod:
    spec = type(pod.spec)(affinity=pod.spec.affinity, node_name=node)
    return Pod(metadata=pod.metadata, spec=spec)


def _lived(args: dict[str, Any], steps: list[tuple[str, Any, Any]]) -> World:
    world = World(args)
    for number in range(3):
        labels = FrozenMap({"zone": "ab"[number % 2], "host": f"n{number}"})
        node = Node(metadata=ObjectMeta(name=f"n{number}", uid=f"n{number}", labels=labels))
        world.step("node", node, None)
    for action, what, more in steps:
        if action == "ask":
            world.check(what)
        else:
            world.step(action, what, more)
    return world


@settings(max_examples=60, deadline=None)
@given(ARGS, STEPS, st.lists(_pods(odd=False), min_size=1, max_size=2))
def test_answers_are_those_of_the_rule(
    args: dict[str, Any], steps: list[tuple[str, Any, Any]], pods: list[Pod]
) -> None:
    _lived(args, steps).check(pods)


@settings(max_examples=60, deadline=None)
@given(
    STEPS,
    _pods(odd=False),
    st.lists(st.tuples(_pods(odd=True), st.integers(0, 4)), max_size=4),
    st.sets(st.integers(0, 7)),
)
def test_pods_added_and_removed_in_a_what_if_count_as_if_they_had_come_and_gone(
    steps: list[tuple[str, Any, Any]],
    pod: Pod,
    added: list[tuple[Pod, int]],
    removed: set[int],
) -> None:
    world = _lived({}, steps)
    world.snapshot.refresh()
    nodes = world.snapshot.nodes
    state = fwk.CycleState()
    assume(world.plugin.pre_filter(state, pod, nodes) is None)
    before = world.judged(state, pod)

    clone = state.clone()
    for uid, (name, gone) in list(world.rule.pods.items()):
        row = nodes.row_of(name)
        if int(uid[1:]) in removed and row is not None:
            del world.rule.pods[uid]
            world.plugin.remove_pod(clone, pod, gone, nodes.node(row))
    for number, (guest, node) in enumerate(added):
        row = nodes.row_of(f"n{node}")
        if row is not None:
            world.rule.pods[f"guest-{number}"] = f"n{node}", guest
            world.plugin.add_pod(clone, pod, guest, nodes.node(row))

    assert world.judged(clone, pod) == world.rule.filter(pod)
    assert world.judged(state, pod) == before
