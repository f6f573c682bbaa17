"""Checks of everything that is not about nodes: waiting and waking, reserving, arguments, types."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import annotated_types
import pydantic

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache import Snapshot
from pyscheduler.framework.cluster_events import (
    ActionType,
    ClusterEventWithHint,
    EventResource,
    QueueingHint,
)
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.interface import (
    EnqueueExtensions,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    PreScorePlugin,
    QueueSortPlugin,
    ReservePlugin,
)
from pyscheduler.framework.status import Code, PreBindPreFlightResult, PreFilterResult, Status
from pyscheduler.testing.subject import Subject

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


def check_rejections_have_events(subject: Subject) -> None:
    """A plugin that can keep a pod waiting says what may wake it."""
    if isinstance(subject.plugin, _REJECTING_ROLES) and not isinstance(
        subject.plugin, EnqueueExtensions
    ):
        raise subject.fail("can reject pods and registers no events: add EnqueueExtensions")


def check_hints_answer(subject: Subject) -> None:
    """Every hint and pre-hint answers for every action it registered for."""
    plugin = subject.made_for(subject.snapshot())
    if not isinstance(plugin, EnqueueExtensions):
        return
    for registration in plugin.events_to_register():
        for action in ActionType:
            if registration.event.action & action:
                _check_registration(subject, registration, action)


def _check_registration(
    subject: Subject, registration: ClusterEventWithHint, action: ActionType
) -> None:
    label = registration.event.label
    for old, new in _changes(subject, registration, action):
        if registration.pre_hint is not None:
            keys: object = registration.pre_hint(old, new)
            if keys is not None and (isinstance(keys, str) or not isinstance(keys, Collection)):
                raise subject.fail(f"the pre-hint for {label} answered {keys!r} to {action.name}")
        if registration.hint is None:
            continue
        for pod in subject.pods:
            answer: object = registration.hint(pod, old, new)
            if not isinstance(answer, QueueingHint):
                raise subject.fail(
                    f"the hint for {label} answered {answer!r} to {action.name} for {pod.key}"
                )


def _changes(
    subject: Subject, registration: ClusterEventWithHint, action: ActionType
) -> Iterator[tuple[object, object]]:
    """Old and new object of events of that sort."""
    resource = registration.event.resource
    if resource is EventResource.WILDCARD:
        yield None, None
        return
    samples = subject.samples_of(resource)
    if resource is EventResource.NODE:
        samples = subject.nodes
    elif resource in _POD_RESOURCES:
        samples = (*subject.pods, *subject.existing)
    if not samples and (registration.hint is not None or registration.pre_hint is not None):
        raise subject.fail(
            f"nothing to try its hints with: give objects={{{str(resource)!r}: [...]}}"
        )
    for known in samples:
        old = None if action is ActionType.ADD else known
        new = None if action is ActionType.DELETE else known
        yield old, new


def _state(plugin: Plugin[Any], pod: Pod, snapshot: Snapshot) -> CycleState:
    """What Reserve and Permit may rely on: PreFilter has run."""
    state = CycleState()
    if isinstance(plugin, PreFilterPlugin):
        plugin.pre_filter(state, pod, snapshot.nodes)
    return state


def check_unreserve_is_safe(subject: Subject) -> None:
    """Unreserve may come twice, and without Reserve."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    if not isinstance(plugin, ReservePlugin):
        return
    for pod in subject.pods:
        for node in subject.nodes:
            plugin.unreserve(CycleState(), pod, node.name)
            state = _state(plugin, pod, snapshot)
            plugin.reserve(state, pod, node.name)
            plugin.unreserve(state, pod, node.name)
            plugin.unreserve(state, pod, node.name)


def check_reserve_can_be_undone(subject: Subject) -> None:
    """After Unreserve, Reserve answers as it did the first time."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    if not isinstance(plugin, ReservePlugin):
        return
    for pod in subject.pods:
        for node in subject.nodes:
            answers = []
            for _ in range(2):
                state = _state(plugin, pod, snapshot)
                answers.append(plugin.reserve(state, pod, node.name))
                plugin.unreserve(state, pod, node.name)
            if answers[0] != answers[1]:
                raise subject.fail(
                    f"unreserve leaves something behind: {pod.key} on {node.name} is first"
                    f" {answers[0]}, then {answers[1]}"
                )


def check_answers_have_their_types(subject: Subject) -> None:
    """PreEnqueue, PreFilter, PreScore, Reserve and PreBindPreFlight answer what they may."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    for pod in subject.pods:
        state = CycleState()
        if isinstance(plugin, PreEnqueuePlugin):
            _expect(subject, pod, "pre_enqueue", plugin.pre_enqueue(pod), Status)
        if isinstance(plugin, PreFilterPlugin):
            answer = plugin.pre_filter(state, pod, snapshot.nodes)
            _expect(subject, pod, "pre_filter", answer, Status, PreFilterResult)
        if isinstance(plugin, PreScorePlugin):
            answered = plugin.pre_score(state, pod, snapshot.nodes)
            _expect(subject, pod, "pre_score", answered, Status)
        for node in subject.nodes:
            if isinstance(plugin, ReservePlugin):
                reserved = plugin.reserve(state, pod, node.name)
                _expect(subject, pod, "reserve", reserved, Status)
                plugin.unreserve(state, pod, node.name)
            if isinstance(plugin, PreBindPlugin):
                work = plugin.pre_bind_pre_flight(state, pod, node.name)
                _expect(subject, pod, "pre_bind_pre_flight", work, Status, PreBindPreFlightResult)


def _expect(subject: Subject, pod: Pod, hook: str, answer: object, *types: type) -> None:
    if answer is not None and not isinstance(answer, types):
        names = " or ".join(kind.__name__ for kind in types)
        raise subject.fail(f"{hook} answered {answer!r} for {pod.key}, not None or a {names}")


def check_permit_answers_a_pair(subject: Subject) -> None:
    """Permit answers a status and seconds; who says wait says for how long."""
    snapshot = subject.snapshot()
    plugin = subject.made_for(snapshot)
    if not isinstance(plugin, PermitPlugin):
        return
    for pod in subject.pods:
        for node in subject.nodes:
            state = _state(plugin, pod, snapshot)
            if isinstance(plugin, ReservePlugin):
                plugin.reserve(state, pod, node.name)
            answer: object = plugin.permit(state, pod, node.name)
            if isinstance(plugin, ReservePlugin):
                plugin.unreserve(state, pod, node.name)
            if not _is_permit(answer):
                raise subject.fail(
                    f"permit answered {answer!r} for {pod.key}, not (status, seconds)"
                )


def _is_permit(answer: object) -> bool:
    if not isinstance(answer, tuple) or len(answer) != 2:  # a pair
        return False
    status, timeout_s = answer
    if not isinstance(timeout_s, int | float) or math.isnan(timeout_s) or timeout_s < 0:
        return False
    if status is None:
        return True
    return isinstance(status, Status) and (status.code is not Code.WAIT or timeout_s > 0)


def check_sort_keys_compare(subject: Subject) -> None:
    """Any two pods can be ordered, and the same pod always stands at the same place."""
    plugin = subject.made_for(subject.snapshot())
    if not isinstance(plugin, QueueSortPlugin):
        return
    entities = [
        QueuedEntity(pod, timestamp=float(index), initial_attempt_timestamp=float(index))
        for index, pod in enumerate((*subject.pods, *subject.existing))
    ]
    keys: list[Any] = [plugin.sort_key(entity) for entity in entities]
    for entity, key in zip(entities, keys, strict=True):
        if not isinstance(key, tuple):
            raise subject.fail(f"sort_key answered {key!r} for {entity.pod.key}, not a tuple")
        if plugin.sort_key(entity) != key:
            raise subject.fail(f"sort_key gives {entity.pod.key} another place every time")
        for other, their_key in zip(entities, keys, strict=True):
            try:
                _ = key < their_key
            except TypeError as error:
                raise subject.fail(
                    f"{entity.pod.key} and {other.pod.key} cannot be ordered: {error}"
                ) from error


def check_wrong_args_are_refused(subject: Subject) -> None:
    """An argument that is misspelt, of another type or out of its range is an error at its path."""
    model = type(subject.plugin).args_model
    if not _refuses(model, {"noSuchArgument": 1}, "noSuchArgument"):
        raise subject.fail("accepts arguments that it does not have")
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        for value in _wrong_values(field.metadata):
            if not _refuses(model, {name: value}, name):
                raise subject.fail(f"accepts {value!r} for its argument {name}")


def _wrong_values(metadata: Sequence[object]) -> Iterator[object]:
    """No type of argument has the first; the others are just out of the declared range."""
    yield {"noSuchArgument": 1}
    for constraint in metadata:
        if isinstance(constraint, annotated_types.Ge) and _is_number(constraint.ge):
            yield constraint.ge - 1  # type: ignore[operator]  # a number
        if isinstance(constraint, annotated_types.Gt) and _is_number(constraint.gt):
            yield constraint.gt
        if isinstance(constraint, annotated_types.Le) and _is_number(constraint.le):
            yield constraint.le + 1  # type: ignore[operator]  # a number
        if isinstance(constraint, annotated_types.Lt) and _is_number(constraint.lt):
            yield constraint.lt


def _is_number(bound: object) -> bool:
    return isinstance(bound, int | float)


def _refuses(model: type[pydantic.BaseModel], given: Mapping[str, object], path: str) -> bool:
    try:
        model.model_validate(given)
    except pydantic.ValidationError as error:
        return any(path in problem["loc"] for problem in error.errors())
    return False
