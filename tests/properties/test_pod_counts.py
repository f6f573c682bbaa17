"""Kept counts of pods equal a recount over the pods, whatever comes, goes and changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

import msgspec
import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.frozen_map import StringMap
from pyscheduler.api.selectors import EVERYTHING, Requirement, Selector, labels_selector
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.testing import make_node, make_pod

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["pod", "pod", "assume", "unpod", "relabel", "terminate", "node", "unnode", "look"]
        ),
        st.integers(0, 5),
        st.integers(0, 3),
        st.booleans(),
    ),
    min_size=5,
    max_size=60,
)

WEB, DB = (labels_selector(StringMap({"app": name})) for name in ("web", "db"))
MATCHERS = (
    fwk.PodMatcher([fwk.PodTerm(frozenset(("default",)), WEB)]),
    fwk.PodMatcher([fwk.PodTerm(None, DB)], terminating=False),
    fwk.PodMatcher([fwk.PodTerm(None, EVERYTHING), fwk.PodTerm(frozenset(("other",)), WEB)]),
)


def _label_keys(pod: Pod) -> Iterable[Hashable]:
    if "faulty" in pod.labels:
        raise ValueError("no keys for this one")
    return [*pod.labels.items(), "pod", "pod"]


#: of nodes: one that nodes share, and one that is another on almost every node
LABELS = ("zone", "serial")
TALLY = fwk.PodTally("labels", _label_keys)


def _pod(i: int, variant: int, *, node: str = "") -> Pod:
    builder = make_pod(f"p{i}").namespace("default" if variant % 2 else "other")
    builder = builder.label("app", ("web", "db", "web", "cache")[variant])
    if i == 5:
        builder = builder.label("faulty", "yes")
    return builder.node(node).obj() if node else builder.obj()


def _never_asked_before(number: int) -> fwk.PodMatcher:
    requirement = Requirement("app", "In", frozenset(("web", "cache", f"other-{number}")))
    return fwk.PodMatcher([fwk.PodTerm(None, Selector((requirement,)))])


class Cluster:
    """A cache with its snapshot, changed step by step."""

    def __init__(self) -> None:
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        self.pods: dict[str, Pod] = {}
        #: the keys of the tally, followed by what is told of those that come and go
        self.followed: set[Hashable] = set()
        self.version = 0
        #: asked about one after the other, and then again and again
        self.matchers = list(MATCHERS)

    def step(self, action: str, i: int, variant: int) -> None:
        name = f"n{(i + variant) % 6}"
        key = f"p{i}"
        known = self.pods.get(key)
        if action == "node":
            builder = make_node(name).capacity({"cpu": "4"}).label("serial", f"{i}-{variant}")
            if variant < 3:
                builder = builder.label("zone", "ab"[i % 2])
            self.cache.add_node(builder.obj())
        elif action == "unnode":
            self.cache.remove_node(name)
        elif action == "pod" and known is None:
            self.pods[key] = _pod(i, variant, node=name)
            self.cache.add_pod(self.pods[key])
        elif action == "assume" and known is None:
            self.pods[key] = _pod(i, variant)
            self.cache.assume(self.pods[key], name)
        elif known is None:
            return
        elif action == "unpod":
            self.cache.remove_pod(self.pods.pop(key))
        elif action in ("relabel", "terminate"):
            node = self.cache.node_of(known.uid) or name
            changed = _pod(i, variant, node=node)
            if action == "terminate":
                metadata = msgspec.structs.replace(
                    known.metadata, deletion_timestamp="2026-01-01T00:00:00Z"
                )
                spec = msgspec.structs.replace(known.spec, node_name=node)
                changed = msgspec.structs.replace(known, metadata=metadata, spec=spec)
            self.pods[key] = changed
            self.cache.update_pod(changed)

    def check(self) -> None:
        nodes = self.snapshot.nodes
        for table in (nodes, nodes.select(_every_other(nodes))):
            pods = [list(table.node(row).pods.values()) for row in range(len(table))]
            self.matchers.append(_never_asked_before(len(self.matchers)))
            for matcher in self.matchers:
                expected = [sum(map(matcher.matches, on_node)) for on_node in pods]
                assert table.pod_counts(matcher).tolist() == expected
                for label in LABELS:
                    by_value = table.pods_by_value(matcher, label)
                    assert _named(table, label, by_value) == _sums(table, label, expected)
            for label in LABELS:
                by_value = table.nodes_by_value(label)
                assert _named(table, label, by_value) == _sums(table, label, [1] * len(table))
                on_nodes = [table.node(row).labels for row in range(len(table))]
                assert table.all_have(label) == all(label in labels for labels in on_nodes)
            keys = [
                Counter(k for p in on_node if "faulty" not in p.labels for k in _label_keys(p))
                for on_node in pods
            ]
            tally = table.tally(TALLY)
            for key in {key for counter in keys for key in counter} | {("app", "web")}:
                counts = [counter[key] for counter in keys]
                assert tally.counts(key).tolist() == counts
                for label in LABELS:
                    by_value = tally.by_value(key, label)
                    assert _named(table, label, by_value) == _sums(table, label, counts)
                assert tally.rows(key).tolist() == [r for r, c in enumerate(keys) if c[key]]
            if table is nodes:
                assert set(tally) == {key for counter in keys for key in counter}
                assert all(tally.total(key) == sum(c[key] for c in keys) for key in tally)
                self.follow(tally)
                assert self.followed == set(tally)
                assert tally.changed_keys(-1) is None

    def follow(self, tally: fwk.TallyCounts) -> None:
        changed = tally.changed_keys(self.version)
        assert changed is not None
        self.version = tally.version
        for key in changed:
            (self.followed.add if key in tally else self.followed.discard)(key)


def _named(
    table: fwk.NodeTable, label: str, by_value: npt.NDArray[np.int64]
) -> dict[str | None, int]:
    """What is not 0, by the value itself; None: nodes without the label."""
    _, values = table.label_codes(label)
    named = zip([*values, None], by_value.tolist(), strict=True)
    return {value: count for value, count in named if count}


def _sums(table: fwk.NodeTable, label: str, per_node: list[int]) -> dict[str | None, int]:
    sums = Counter[str | None]()
    for row, count in enumerate(per_node):
        sums[table.node(row).labels.get(label)] += count
    return {value: count for value, count in sums.items() if count}


def _every_other(nodes: fwk.NodeTable) -> npt.NDArray[np.intp]:
    return np.arange(0, len(nodes), 2)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_kept_counts_equal_a_recount(steps: list[tuple[str, int, int, bool]]) -> None:
    cluster = Cluster()
    for action, i, variant, in_cycle in steps:
        if in_cycle:
            cluster.snapshot.refresh()
            cluster.cache.begin_cycle()
        if action != "look":
            cluster.step(action, i, variant)
        elif not in_cycle:
            cluster.snapshot.refresh()
            cluster.check()
        if in_cycle:
            # what changed during the cycle is not seen in it
            cluster.check()
            cluster.cache.end_cycle()
    cluster.snapshot.refresh()
    cluster.check()
