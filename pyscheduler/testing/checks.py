"""The conformance suite: what the runtime relies on, checked for any plugin.

    @parametrize_with_checks([NodeHeat(NodeHeatArgs(), fake_handle())], pods=PODS, nodes=NODES)
    def test_conformance(check):
        check()

Each check makes the plugin anew, with its arguments, over tables of ``nodes`` and judges all
``pods``. The more the samples differ in what the plugin looks at, the more the checks find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pydantic

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import Snapshot
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cluster_events import ActionType, EventResource, QueueingHint
from pyscheduler.framework.columns import Aspect, aspects_of
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.interface import (
    EnqueueExtensions,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    ReservePlugin,
    SignPlugin,
)
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.scores import MAX_NODE_SCORE, MIN_NODE_SCORE
from pyscheduler.framework.status import Status
from pyscheduler.testing.builders import NodeBuilder, make_pod
from pyscheduler.testing.fakes import fake_handle
from pyscheduler.testing.harness import filter_answers, filter_forms, score_answers, score_forms
from pyscheduler.testing.tables import snapshot_of

if TYPE_CHECKING:
    import pytest

#: roles whose answer may keep a pod waiting
_REJECTING_ROLES = (
    PreEnqueuePlugin,
    PreFilterPlugin,
    FilterPlugin,
    ReservePlugin,
    PermitPlugin,
)

_POD_RESOURCES = (
    EventResource.POD,
    EventResource.ASSIGNED_POD,
    EventResource.UNSCHEDULED_POD,
    EventResource.TARGET_POD,
)


class CheckFailedError(PySchedulerError, AssertionError):
    """A plugin breaks a promise; the message says which, for which pod and node."""


@dataclass(frozen=True)
class Subject:
    """A plugin and the samples it is checked with."""

    plugin: Plugin[Any]
    pods: Sequence[Pod]
    nodes: Sequence[Node]
    existing: Sequence[Pod] = ()

    def snapshot(self) -> Snapshot:
        """The sample cluster."""
        return snapshot_of(self.nodes, self.existing)

    def made_for(self, snapshot: Snapshot) -> Plugin[Any]:
        """The plugin again, over ``snapshot``."""
        return type(self.plugin)(self.plugin.args, fake_handle(snapshot))

    def answers(self) -> dict[str, Answers]:
        """Everything the plugin says about the sample cluster, by pod key."""
        snapshot = self.snapshot()
        plugin = self.made_for(snapshot)
        return {pod.key: answers_of(plugin, pod, snapshot.nodes) for pod in self.pods}

    def fail(self, what: str) -> CheckFailedError:
        """The failure, with the plugin's name."""
        return CheckFailedError(f"plugin {self.plugin.name}: {what}")


#: form -> node name -> verdict or (raw, normalised) score; or the one answer for all nodes
Answers = dict[str, object]


def answers_of(plugin: Plugin[Any], pod: Pod, nodes: NodeTable) -> Answers:
    """Verdicts and scores of every form, by node name."""
    answers: Answers = {}
    names = list(nodes.names)
    for form in filter_forms(plugin):
        statuses = filter_answers(plugin, pod, nodes, form)
        answers[f"filter, {form.value}"] = (
            statuses if isinstance(statuses, Status) else dict(zip(names, statuses, strict=True))
        )
    for form in score_forms(plugin):
        scores = score_answers(plugin, pod, nodes, form)
        pairs = None if scores is None else zip(*(s.tolist() for s in scores), strict=True)
        answers[f"score, {form.value}"] = (
            None if pairs is None else dict(zip(names, pairs, strict=True))
        )
    return answers


def check_forms_agree(subject: Subject) -> None:
    """Both forms of a hook give the same answer for every node."""
    for key, answers in subject.answers().items():
        for hook in ("filter", "score"):
            forms = [answer for name, answer in answers.items() if name.startswith(hook)]
            if any(form != forms[0] for form in forms):
                raise subject.fail(f"the forms of {hook} disagree about {key}: {forms}")


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
    """Hooks leave the nodes they look at as they are."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    before = _columns(snapshot.nodes)
    for pod in subject.pods:
        answers_of(plugin, pod, snapshot.nodes)
    after = _columns(snapshot.nodes)
    for name, column in before.items():
        if not np.array_equal(column, after[name]):
            raise subject.fail(f"changed the column {name}")


def check_few_nodes(subject: Subject) -> None:
    """No nodes at all, one node, and every sub-table of one row are judged alike."""
    replace(subject, nodes=(), existing=()).answers()
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    nodes = snapshot.nodes
    for pod in subject.pods:
        whole = answers_of(plugin, pod, nodes)
        for row, name in enumerate(nodes.names):
            alone = answers_of(plugin, pod, nodes.select(np.array([row])))
            for hook, answer in alone.items():
                of_all = whole[hook]
                if not isinstance(answer, dict) or not isinstance(of_all, dict):
                    continue
                ours, theirs = answer[name], of_all[name]
                if hook.startswith("score"):
                    # normalisation sees all feasible nodes; the raw score only its own
                    ours, theirs = ours[0], theirs[0]
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
    """Pods with equal signatures get equal answers; signatures can be keys."""
    if not isinstance(subject.plugin, SignPlugin):
        return
    answers = subject.answers()
    known: dict[object, Pod] = {}
    for pod in subject.pods:
        signature = subject.plugin.sign_pod(pod)
        if signature is None:
            continue
        twin = known.setdefault(signature, pod)
        if answers[twin.key] != answers[pod.key]:
            raise subject.fail(
                f"{twin.key} and {pod.key} have the same signature and other answers"
            )


def check_depends_on_is_complete(subject: Subject) -> None:
    """What is not in ``depends_on`` changes no answer."""
    plugin = subject.plugin
    if plugin.depends_on is None or not isinstance(plugin, SignPlugin):
        return
    before = subject.answers()
    for aspect, changed in _perturbed(subject):
        if aspect & (aspects_of(plugin.depends_on) | plugin.cross_node):
            continue
        after = changed.answers()
        for key, answers in before.items():
            if answers != after[key]:
                raise subject.fail(f"the answer for {key} depends on {aspect!r}, undeclared")


def check_rejections_have_events(subject: Subject) -> None:
    """A plugin that can keep a pod waiting says what may wake it."""
    if isinstance(subject.plugin, _REJECTING_ROLES) and not isinstance(
        subject.plugin, EnqueueExtensions
    ):
        raise subject.fail("can reject pods and registers no events: add EnqueueExtensions")


def check_hints_answer(subject: Subject) -> None:
    """Every hint answers for every action it registered for."""
    if not isinstance(subject.plugin, EnqueueExtensions):
        return
    plugin = subject.made_for(subject.snapshot())
    assert isinstance(plugin, EnqueueExtensions)
    for registration in plugin.events_to_register():
        if registration.hint is None:
            continue
        for action in ActionType:
            if not registration.event.action & action:
                continue
            for pod, old, new in _happenings(subject, registration.event.resource, action):
                answer = registration.hint(pod, old, new)
                if not isinstance(answer, QueueingHint):
                    raise subject.fail(
                        f"the hint for {registration.event.label} answered {answer!r}"
                        f" to {action.name} for {pod.key}"
                    )


def check_unreserve_is_safe(subject: Subject) -> None:
    """Unreserve may come twice, and without Reserve."""
    plugin = subject.made_for(subject.snapshot())
    if not isinstance(plugin, ReservePlugin):
        return
    for pod in subject.pods:
        for node in subject.nodes:
            state = CycleState()
            plugin.unreserve(state, pod, node.name)
            plugin.reserve(state, pod, node.name)
            plugin.unreserve(state, pod, node.name)
            plugin.unreserve(state, pod, node.name)


def check_unknown_args_are_refused(subject: Subject) -> None:
    """A misspelt argument is an error that names it, never ignored."""
    try:
        type(subject.plugin).args_model.model_validate({"noSuchArgument": 1})
    except pydantic.ValidationError as error:
        if any("noSuchArgument" in problem["loc"] for problem in error.errors()):
            return
    raise subject.fail("accepts arguments that it does not have")


#: every check, in the order in which they run
CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_forms_agree,
    check_scores_are_valid,
    check_inputs_stay_unchanged,
    check_few_nodes,
    check_order_does_not_matter,
    check_two_calls_agree,
    check_signature_decides,
    check_depends_on_is_complete,
    check_rejections_have_events,
    check_hints_answer,
    check_unreserve_is_safe,
    check_unknown_args_are_refused,
)


def parametrize_with_checks(
    plugins: Sequence[Plugin[Any]],
    *,
    pods: Sequence[Pod],
    nodes: Sequence[Node],
    existing: Sequence[Pod] = (),
) -> pytest.MarkDecorator:
    """Runs a test once per plugin and check; the test calls its argument ``check``.

    Args:
        plugins: instances; their class and arguments are what is checked.
        pods: pending pods to judge, with different names.
        nodes: the cluster.
        existing: pods that are bound to ``nodes``.
    """
    # tests have pytest; the scheduler, which this package comes with, does not need it
    import pytest

    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                partial(check, Subject(plugin, pods, nodes, existing)),
                id=f"{plugin.name}-{check.__name__.removeprefix('check_')}",
            )
            for plugin in plugins
            for check in CHECKS
        ],
    )


def _all_in_range(scores: np.ndarray[Any, Any]) -> bool:
    return bool(((scores >= MIN_NODE_SCORE) & (scores <= MAX_NODE_SCORE)).all())


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


def _perturbed(subject: Subject) -> Iterator[tuple[Aspect, Subject]]:
    """The sample cluster with one aspect of its first node changed, one after the other."""
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
        yield aspect, replace(subject, nodes=(other, *others))
    guest = make_pod("pyscheduler-test-guest").req({"cpu": "1", "memory": "1Gi"})
    guest = guest.host_port(65000).node(first.name)
    yield (
        Aspect.REQUESTED | Aspect.HOST_PORTS | Aspect.PODS,
        replace(subject, existing=(*subject.existing, guest.obj())),
    )


def _images(pods: Sequence[Pod]) -> list[str]:
    return [c.image for pod in pods for c in pod.spec.containers if c.image]


def _happenings(
    subject: Subject, resource: EventResource | str, action: ActionType
) -> Iterator[tuple[Pod, object, object]]:
    """Waiting pod, old and new object of events of that sort."""
    if resource is EventResource.NODE:
        objects: Sequence[Node | Pod] = subject.nodes
    elif resource in _POD_RESOURCES:
        objects = (*subject.pods, *subject.existing)
    else:
        return
    for pod in subject.pods:
        for known in objects:
            old = None if action is ActionType.ADD else known
            new = None if action is ActionType.DELETE else known
            yield pod, old, new
