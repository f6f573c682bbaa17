"""Checks of what a plugin says about nodes: Filter and Score, in all their forms.

The runtime judges few rows or many, in whatever order, keeps answers per class of pods, and judges
copies with pods added or taken away. All of that is right only if these checks pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.cache import Snapshot
from pyscheduler.framework.columns import ALL_ASPECTS, Aspect, Column, aspects_of
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.interface import (
    FilterPlugin,
    Plugin,
    PreBindPlugin,
    PreFilterPlugin,
    PreScorePlugin,
    SignPlugin,
)
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.scores import MAX_NODE_SCORE, MIN_NODE_SCORE
from pyscheduler.framework.status import Code, PreFilterResult, Status
from pyscheduler.testing.answers import (
    filter_forms,
    filter_rows,
    label_scores,
    score_answers,
    score_forms,
)
from pyscheduler.testing.builders import NodeBuilder, PodBuilder, make_pod
from pyscheduler.testing.subject import Answers, Subject, answers_of

#: what `FilterPlugin.judges_sums` is about
_SUMS = Aspect.ALLOCATABLE | Aspect.REQUESTED | Aspect.HOST_PORTS


@dataclass(frozen=True, slots=True)
class _WhatIf:
    """The question whether ``pod`` would fit on ``row`` with ``guest`` there."""

    pod: Pod
    row: int
    guest: Pod
    snapshot: Snapshot
    #: the same cluster with the guest
    crowded: Snapshot


def check_forms_agree(subject: Subject) -> None:
    """Both forms of a hook give the same answer for every node; so does `score_by_label`."""
    for key, answers in subject.answers().items():
        for hook in ("filter", "score"):
            forms = [answer for name, answer in answers.items() if name.startswith(hook)]
            if any(form != forms[0] for form in forms):
                raise subject.fail(f"the forms of {hook} disagree about {key}: {forms}")
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    for pod, form in itertools.product(subject.pods, score_forms(plugin)):
        by_label = label_scores(plugin, pod, snapshot.nodes)
        scores = score_answers(plugin, pod, snapshot.nodes, form)
        if by_label is None or scores is None or by_label.tolist() == scores[0].tolist():
            continue
        raise subject.fail(
            f"score_by_label gives {pod.key} {by_label.tolist()}, score {scores[0].tolist()}"
        )


def check_scores_are_valid(subject: Subject) -> None:
    """Scores are (N,) int64 and within 0..100 once normalised."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    for form in score_forms(plugin):
        for pod in subject.pods:
            scores = score_answers(plugin, pod, snapshot.nodes, form)
            for array in scores or ():
                if array.dtype != np.int64 or array.shape != (len(snapshot.nodes),):
                    raise subject.fail(
                        f"scores for {pod.key} are {array.dtype} of shape {array.shape},"
                        f" not int64 of shape ({len(snapshot.nodes)},)"
                    )
            if scores is not None and not _all_in_range(scores[1]):
                raise subject.fail(f"scores for {pod.key} are not in 0..100: {scores[1].tolist()}")


def check_inputs_stay_unchanged(subject: Subject) -> None:
    """Hooks leave the pods and nodes they look at as they are."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    columns = _columns(snapshot.nodes)
    objects = _objects(subject)
    for pod in subject.pods:
        answers_of(plugin, pod, snapshot.nodes)
        for changed, was in objects:
            if msgspec.json.encode(changed) != was:
                raise subject.fail(f"changed {changed.metadata.name} while judging {pod.key}")
    after = _columns(snapshot.nodes)
    for name, column in columns.items():
        if not np.array_equal(column, after[name]):
            raise subject.fail(f"changed the column {name}")


def check_few_nodes(subject: Subject) -> None:
    """No nodes at all, one node, and every sub-table of one row are judged alike.

    PreFilter sees all nodes, Filter and Score may be asked about any part of them.
    """
    replace(subject, nodes=(), existing=()).answers()
    replace(subject, nodes=subject.nodes[:1], existing=()).answers()
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    nodes = snapshot.nodes
    for pod in subject.pods:
        whole = answers_of(plugin, pod, nodes)
        for row, name in enumerate(nodes.names):
            alone = answers_of(plugin, pod, nodes.select(np.array([row])), prepared_on=nodes)
            for hook, answer in alone.items():
                ours, theirs = _of_node(answer, name), _of_node(whole[hook], name)
                if ours != theirs:
                    raise subject.fail(
                        f"{hook}: {name} alone is {ours} for {pod.key}, among others {theirs}"
                    )


def check_order_does_not_matter(subject: Subject) -> None:
    """The same nodes in another order get the same answers."""
    turned = replace(subject, nodes=tuple(reversed(subject.nodes))).answers()
    for key, answers in subject.answers().items():
        if answers != turned[key]:
            raise subject.fail(f"the order of nodes changes the answer for {key}")


def check_two_calls_agree(subject: Subject) -> None:
    """The same question gets the same answer."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    first = [answers_of(plugin, pod, snapshot.nodes) for pod in subject.pods]
    second = [answers_of(plugin, pod, snapshot.nodes) for pod in subject.pods]
    for pod, ours, theirs in zip(subject.pods, first, second, strict=True):
        if ours != theirs:
            raise subject.fail(f"two calls disagree about {pod.key}")


def check_signature_decides(subject: Subject) -> None:
    """Pods with equal signatures get equal answers; signatures can be keys and are as declared."""
    if not isinstance(subject.plugin, SignPlugin):
        return
    answers = subject.answers()
    # what is signed may come of other objects, too
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    assert isinstance(plugin, SignPlugin)
    known: dict[object, Pod] = {}
    for pod in subject.pods:
        signature = plugin.sign_pod(pod)
        if plugin.signs_spec and signature != plugin.sign_pod(_namesake(pod)):
            raise subject.fail(f"the signature of {pod.key} depends on more than its spec")
        if signature is None:
            continue
        if (
            plugin.skips_unsigned
            and signature == ()
            and not _is_skipped(plugin, pod, snapshot.nodes)
        ):
            raise subject.fail(f"{pod.key} is signed () and not skipped")
        twin = known.setdefault(signature, pod)
        if answers[twin.key] != answers[pod.key]:
            raise subject.fail(
                f"{twin.key} and {pod.key} have the same signature and other answers"
            )


def check_depends_on_is_complete(subject: Subject) -> None:
    """No answer depends on what is not in ``depends_on``, or on another node but as declared."""
    plugin = subject.plugin
    if plugin.depends_on is None or not isinstance(plugin, SignPlugin):
        return
    declared = aspects_of(plugin.depends_on) | plugin.cross_node
    for column in _columns_read(subject):
        if not column.aspect & declared:
            raise subject.fail(f"reads {column!r}, which is not in depends_on")
    sums_decide = isinstance(plugin, FilterPlugin) and plugin.judges_sums
    for aspect, before, after in _perturbed(subject):
        if aspect & plugin.cross_node:
            continue
        ours, theirs = before.answers(), after.answers()
        for key, answers in ours.items():
            if sums_decide and not aspect & _SUMS and _filtered(answers) != _filtered(theirs[key]):
                raise subject.fail(
                    f"Filter's answer for {key} depends on {_named(aspect)}, with judges_sums"
                )
            if not aspect & declared and answers != theirs[key]:
                raise subject.fail(f"the answer for {key} depends on {_named(aspect)}, undeclared")
            for node in subject.nodes[1:]:
                if _of_row(answers, node.name) != _of_row(theirs[key], node.name):
                    raise subject.fail(
                        f"the answer for {key} on {node.name} depends on {_named(aspect)}"
                        f" of {subject.nodes[0].name}: declare it in cross_node"
                    )


def check_what_ifs_are_exact(subject: Subject) -> None:
    """What-ifs judge as if the pod were really there, and leave no trace.

    After ``add_pod`` a node is judged as in a cluster that has the pod; after ``remove_pod`` as
    before; and whatever is done to a clone of the state does not touch the original.
    """
    if not isinstance(subject.plugin, PreFilterPlugin) or not filter_forms(subject.plugin):
        return
    snapshot = subject.snapshot()
    prepared = [(pod, *_prepared(subject, snapshot, pod)) for pod in subject.pods]
    # a guest per node, since every one makes a cluster of its own
    guests = itertools.cycle((*subject.existing, *subject.pods))
    for row, (node, known) in enumerate(zip(subject.nodes, guests, strict=False)):
        guest = PodBuilder(known).uid(f"guest-{known.uid}").node(node.name).obj()
        crowded = replace(subject, existing=(*subject.existing, guest)).snapshot()
        for pod, plugin, state in prepared:
            if state is not None:
                case = _WhatIf(pod, row, guest, snapshot, crowded)
                _check_what_if(subject, plugin, state, case)


def _check_what_if(
    subject: Subject, plugin: PreFilterPlugin, state: CycleState, case: _WhatIf
) -> None:
    pod, guest = case.pod, case.guest
    copies = case.snapshot.copy_rows([case.row])
    table = NodeTable(copies, 1)
    which = f"{pod.key} on {table.node(0).name} and {guest.key}"
    own, before = state.clone(), _verdicts(plugin, state, pod, table)
    if _verdicts(plugin, own, pod, table) != before:
        raise subject.fail(f"a clone of the state judges otherwise: {which}")
    copies.add(0, guest)
    plugin.add_pod(own, pod, guest, table.node(0))
    untouched = NodeTable(case.snapshot.copy_rows([case.row]), 1)
    if _verdicts(plugin, state, pod, untouched) != before:
        raise subject.fail(f"what was done to a clone of the state changed the original: {which}")
    added = _verdicts(plugin, own, pod, table)
    fresh, fresh_state = _prepared(subject, case.crowded, pod)
    if fresh_state is not None:
        nodes = case.crowded.nodes.select(np.array([case.row]))
        really = _verdicts(fresh, fresh_state, pod, nodes)
        if added != really:
            raise subject.fail(f"add_pod gives {added}, the pod's being there {really}: {which}")
    copies.remove(0, guest)
    plugin.remove_pod(own, pod, guest, table.node(0))
    after = _verdicts(plugin, own, pod, table)
    if after != before:
        raise subject.fail(f"remove_pod gives {after}, before add_pod it was {before}: {which}")


def _prepared(subject: Subject, snapshot: Snapshot, pod: Pod) -> tuple[Any, CycleState | None]:
    """The plugin and the state its PreFilter left; no state if its Filter is not asked."""
    plugin = subject.made_for(snapshot)
    assert isinstance(plugin, PreFilterPlugin)
    state = CycleState()
    answer = plugin.pre_filter(state, pod, snapshot.nodes)
    goes_on = answer is None or isinstance(answer, PreFilterResult) or answer.is_success
    return plugin, state if goes_on else None


def _namesake(pod: Pod) -> Pod:
    """Nothing of ``pod`` but its spec."""
    return Pod(ObjectMeta(name="namesake", namespace="elsewhere", uid="namesake"), pod.spec)


def _is_skipped(plugin: Plugin[Any], pod: Pod, nodes: NodeTable) -> bool:
    """True when no hook that can say so, where there is one, lets the plugin take part."""
    state = CycleState()
    answers: list[object] = []
    if isinstance(plugin, PreFilterPlugin):
        answers.append(plugin.pre_filter(state, pod, nodes))
    if isinstance(plugin, PreScorePlugin):
        answers.append(plugin.pre_score(state, pod, nodes))
    if isinstance(plugin, PreBindPlugin):
        answers += (plugin.pre_bind_pre_flight(state, pod, name) for name in nodes.names[:1])
    return all(isinstance(answer, Status) and answer.code is Code.SKIP for answer in answers)


def _verdicts(
    plugin: Any, state: CycleState, pod: Pod, nodes: NodeTable
) -> list[list[Status | None]]:
    return [filter_rows(plugin, state, pod, nodes, form) for form in filter_forms(plugin)]


def _of_node(answer: object, name: str) -> object:
    """One node's part; of scores the raw one, since normalisation sees all nodes."""
    if not isinstance(answer, dict):
        return None
    found = answer[name]
    return found[0] if isinstance(found, tuple) else found


def _filtered(answers: Answers) -> list[object]:
    return [answer for name, answer in answers.items() if name.startswith("filter")]


def _of_row(answers: Answers, name: str) -> list[object]:
    return [_of_node(answer, name) for answer in answers.values()]


def _columns_read(subject: Subject) -> list[Column]:
    """The authors' columns that the plugin reads: a store makes them on first use."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    for pod in subject.pods:
        answers_of(plugin, pod, snapshot.nodes)
    return snapshot.store.columns


def _named(aspect: Aspect) -> str:
    return "|".join(bit.name or "" for bit in ALL_ASPECTS if bit & aspect)


def _all_in_range(scores: np.ndarray[Any, Any]) -> bool:
    return bool(((scores >= MIN_NODE_SCORE) & (scores <= MAX_NODE_SCORE)).all())


def _objects(subject: Subject) -> list[tuple[Pod | Node, bytes]]:
    objects: list[Pod | Node] = [*subject.pods, *subject.nodes, *subject.existing]
    return [(known, msgspec.json.encode(known)) for known in objects]


def _columns(nodes: NodeTable) -> dict[str, np.ndarray[Any, Any]]:
    columns = {
        name: getattr(nodes, name)
        for name in (
            "non_zero_cpu",
            "non_zero_memory",
            "pod_count",
            "max_pods",
            "unschedulable",
            "taint_set",
        )
    }
    for resource in ("cpu", "memory"):
        columns[f"allocatable {resource}"] = nodes.allocatable(resource)
        columns[f"requested {resource}"] = nodes.requested(resource)
    return {name: column.copy() for name, column in columns.items()}


def _perturbed(subject: Subject) -> Iterator[tuple[Aspect, Subject, Subject]]:
    """Pairs of clusters that differ in one aspect of their first node."""
    if not subject.nodes:
        return
    first, *others = subject.nodes
    node = NodeBuilder(first)
    room = msgspec.structs.replace(first.status, allocatable=type(first.status.allocatable)())
    changed = {
        Aspect.LABELS: node.label("pyscheduler.test/label", "x").obj(),
        Aspect.TAINTS: node.taint("pyscheduler.test/taint").obj(),
        Aspect.UNSCHEDULABLE: node.unschedulable().obj(),
        Aspect.ALLOCATABLE: msgspec.structs.replace(first, status=room),
        Aspect.IMAGES: node.image(*_images(subject.pods), size_bytes=2**30).obj(),
        Aspect.OBJECT: node.annotation("pyscheduler.test/annotation", "x").obj(),
    }
    for aspect, other in changed.items():
        yield aspect, subject, replace(subject, nodes=(other, *others))
    bare = make_pod("pyscheduler-test-guest").node(first.name)
    guest = bare.req({})
    counted = replace(subject, existing=(*subject.existing, guest.obj()))
    yield Aspect.REQUESTED | Aspect.HOST_PORTS | Aspect.PODS, subject, counted
    guests = {
        Aspect.PODS: guest.label("pyscheduler.test/label", "x"),
        Aspect.PODS | Aspect.HOST_PORTS: bare.host_port(65000),
        Aspect.PODS | Aspect.REQUESTED: guest.req({"cpu": "1", "memory": "1Gi"}),
    }
    for aspect, other_guest in guests.items():
        yield (
            aspect,
            counted,
            replace(subject, existing=(*subject.existing, other_guest.obj())),
        )


def _images(pods: Sequence[Pod]) -> list[str]:
    return [c.image for pod in pods for c in pod.spec.containers if c.image]
