"""HTTP extenders as the core knows them: who is asked about which pod, in which order, and what an
answer means. How they are reached is the affair of ``client.extender_client``.

    filter      after all Filter plugins, one extender after the other, each about what is left
    prioritize  after all Score plugins, all at once
    preempt     when PostFilter has candidates, one after the other
    bind        in place of the Bind plugins

An extender that is `ignorable` is asked last and passed over when it fails; any other that fails
costs the pod its attempt. A failing ``prioritize`` costs nothing but its scores.

Called by: ``scheduling`` (filter, prioritize), ``binding`` (bind), ``preemption`` (preempt).
Source: kube-scheduler 1.37, ``pkg/scheduler/{extender,schedule_one}.go`` and
``framework/preemption/preemption.go`` callExtenders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import structlog

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.extender_v1 import ExtenderFilterResult, HostPriority, MetaVictims
from pyscheduler.config import models
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cluster_events import EVERYTHING
from pyscheduler.framework.handle import SnapshotReader
from pyscheduler.framework.scores import MAX_NODE_SCORE
from pyscheduler.framework.status import Int64Array, Status, unresolvable, unschedulable
from pyscheduler.preemption.candidates import Candidate, Victims
from pyscheduler.queueing.hints import HintRegistration

T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: The name under which a pod waits that an extender rejected. Source: framework/types.go.
EXTENDER = "Extender"
#: The highest score that an extender gives. Source: kube-scheduler's extender/v1.
MAX_EXTENDER_SCORE = 10

_SCALE = MAX_NODE_SCORE // MAX_EXTENDER_SCORE
#: What stands for a node that an extender left out without saying why.
_LEFT_OUT = unresolvable().by(EXTENDER)


class ExtenderError(PySchedulerError):
    """A verb of an extender failed, or it answered what cannot be."""

    def __init__(self, verb: str, reason: str) -> None:
        super().__init__(f"extender failed to {verb}: {reason}")


class Extender(Protocol):
    """One extender: its configuration and its verbs, each of which raises `PySchedulerError`."""

    @property
    def config(self) -> models.Extender:
        """What it is asked about, and how its failing is taken."""

    async def filter(self, pod: Pod, nodes: Sequence[Node]) -> ExtenderFilterResult:
        """Which of ``nodes`` can run ``pod``; an answer with an error is raised."""

    async def prioritize(self, pod: Pod, nodes: Sequence[Node]) -> Sequence[HostPriority]:
        """Scores of nodes."""

    async def preempt(self, pod: Pod, victims: Mapping[str, Victims]) -> Mapping[str, MetaVictims]:
        """Which of the nodes remain, and who really has to leave each."""

    async def bind(self, pod: Pod, node_name: str) -> None:
        """Binds the pod."""

    async def close(self) -> None:
        """Ends its connections."""


class Extenders:
    """All extenders of the process, shared by its profiles.

    Args:
        extenders: as configured.
        snapshot: the picture that the cycle sees; victims are looked up in it.
        may_bind: asked right before each bind; False once another process may lead.
    """

    def __init__(
        self,
        extenders: Iterable[Extender],
        snapshot: SnapshotReader,
        *,
        may_bind: Callable[[], bool] = lambda: True,
    ) -> None:
        self._snapshot = snapshot
        self._may_bind = may_bind
        #: the ignorable ones last, else as configured
        self._extenders = sorted(extenders, key=lambda extender: extender.config.ignorable)

    @property
    def judge_nodes(self) -> bool:
        """Whether any of them filters or prioritises, so that one feasible node is not enough."""
        return any(e.config.filter_verb or e.config.prioritize_verb for e in self._extenders)

    def hint_registrations(self) -> list[HintRegistration]:
        """Any event may help a pod that an extender rejected: extenders cannot give hints."""
        if not any(extender.config.filter_verb for extender in self._extenders):
            return []
        return [HintRegistration(EXTENDER, registered.event, None) for registered in EVERYTHING]

    # --- filter ---

    def filters(self, pod: Pod) -> bool:
        """Whether `rejections` has anybody to ask about ``pod``."""
        return bool(self._extenders) and any(e.config.filter_verb for e in self._interested(pod))

    async def rejections(self, pod: Pod, nodes: Sequence[Node]) -> dict[str, Status]:
        """The nodes, of ``nodes``, that extenders reject, each with its status.

        Raises:
            ExtenderError: one that may not be ignored failed.
        """
        left = {node.name: node for node in nodes}
        rejected: dict[str, Status] = {}
        for extender in self._interested(pod):
            if not left:
                break
            if not extender.config.filter_verb:
                continue
            try:
                answer = await _asked("filter", extender.filter(pod, list(left.values())))
                passed = _passed(extender, answer, left)
            except ExtenderError as error:
                _pass_over(extender, error, pod)
                continue
            rejected |= _statuses(answer.failed_nodes, unschedulable)
            rejected |= _statuses(answer.failed_and_unresolvable_nodes, unresolvable)
            left = passed
        return {
            node.name: rejected.get(node.name, _LEFT_OUT) for node in nodes if node.name not in left
        }

    # --- prioritize ---

    def prioritizes(self, pod: Pod) -> bool:
        """Whether `scores` has anybody to ask about ``pod``."""
        return bool(self._extenders) and any(
            e.config.prioritize_verb for e in self._interested(pod)
        )

    async def scores(self, pod: Pod, nodes: Sequence[Node]) -> Int64Array:
        """(F,) int64: what is to be added to the totals of ``nodes``, already weighted.

        Ranges beyond 0..10 are not refused, as upstream; sums wrap around where Go's do.
        """
        asked = [e for e in self._interested(pod) if e.config.prioritize_verb]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_scores_of(e, pod, nodes)) for e in asked]
        index = {node.name: i for i, node in enumerate(nodes)}
        totals = np.zeros(len(nodes), dtype=np.int64)
        for extender, task in zip(asked, tasks, strict=True):
            known = [(index[one.host], one.score) for one in task.result() if one.host in index]
            if known:
                rows, scores = np.array(known, dtype=np.int64).T
                np.add.at(totals, rows, scores * extender.config.weight * _SCALE)
        return totals

    # --- preempt ---

    async def narrow_candidates(
        self, pod: Pod, candidates: Sequence[Candidate]
    ) -> Sequence[Candidate]:
        """The candidates that extenders leave, with the victims that they leave.

        Raises:
            ExtenderError: one that may not be ignored failed.
        """
        asked = [e for e in self._interested(pod) if e.config.preempt_verb]
        if not asked:
            return candidates
        victims = {candidate.node_name: candidate.victims for candidate in candidates}
        for extender in asked:
            if not victims:
                break
            try:
                answer = await _asked("preempt", extender.preempt(pod, victims))
                victims = self._victims(extender, answer)
            except ExtenderError as error:
                _pass_over(extender, error, pod)
        # as they stood before, because of several that are equally good the first is taken
        place = {candidate.node_name: i for i, candidate in enumerate(candidates)}
        names = sorted(victims, key=lambda name: place.get(name, len(place)))
        return [Candidate(name, victims[name]) for name in names]

    def _victims(self, extender: Extender, answer: Mapping[str, MetaVictims]) -> dict[str, Victims]:
        """The victims that the extender named, as pods of the snapshot."""
        found: dict[str, Victims] = {}
        for node_name, meta in answer.items():
            row = self._snapshot.nodes.row_of(node_name)
            if row is None:
                raise _wrong(extender, "preempt", f"answered node {node_name}, which is not there")
            if not meta.pods:
                if extender.config.ignorable:
                    continue
                raise _wrong(extender, "preempt", f"named no victim on node {node_name}")
            there = self._snapshot.nodes.node(row).pods
            for pod in meta.pods:
                if pod.uid not in there:
                    named = f"named victim {pod.uid}, which is not on node {node_name}"
                    raise _wrong(extender, "preempt", named)
            pods = tuple(there[pod.uid] for pod in meta.pods)
            found[node_name] = Victims(pods, meta.num_pdb_violations)
        return found

    # --- bind ---

    async def bind(self, pod: Pod, node_name: str) -> bool:
        """Whether an extender has bound ``pod``; if not, it is for the Bind plugins.

        Raises:
            ExtenderError: one that may not be ignored failed.
        """
        for extender in self._interested(pod):
            if not extender.config.bind_verb:
                continue
            if not self._may_bind():
                raise ExtenderError("bind", "this process may no longer lead")
            try:
                await _asked("bind", extender.bind(pod, node_name))
            except ExtenderError as error:
                _pass_over(extender, error, pod)
            else:
                return True
        return False

    def _interested(self, pod: Pod) -> list[Extender]:
        return [extender for extender in self._extenders if is_interested(extender.config, pod)]


def is_interested(config: models.Extender, pod: Pod) -> bool:
    """Whether ``pod`` is any of an extender's business."""
    managed = {resource.name for resource in config.managed_resources}
    if not managed:
        return True
    return any(
        managed & (container.resources.requests.keys() | container.resources.limits.keys())
        for container in (*pod.spec.containers, *pod.spec.init_containers)
    )


async def _scores_of(extender: Extender, pod: Pod, nodes: Sequence[Node]) -> Sequence[HostPriority]:
    try:
        return await _asked("prioritize", extender.prioritize(pod, nodes))
    except ExtenderError as error:
        _log.warning("extender gives no scores", pod=pod.key, reason=str(error))
        return ()


def _passed(
    extender: Extender, answer: ExtenderFilterResult, asked: Mapping[str, Node]
) -> dict[str, Node]:
    """The nodes that are left, in the extender's order; none when it names none."""
    names: Iterable[str] = ()
    if extender.config.node_cache_capable and answer.node_names is not None:
        names = answer.node_names
    elif answer.nodes is not None:
        names = [node.metadata.name for node in answer.nodes.items]
    found = {}
    for name in names:
        if name not in asked:
            raise _wrong(extender, "filter", f"answered node {name}, about which it was not asked")
        found[name] = asked[name]
    return found


def _statuses(
    messages: Mapping[str, str], make: Callable[[str], Status]
) -> Iterable[tuple[str, Status]]:
    return ((name, make(message).by(EXTENDER)) for name, message in messages.items())


def _pass_over(extender: Extender, error: ExtenderError, pod: Pod) -> None:
    """Logs the error of an ignorable extender; raises that of any other."""
    if not extender.config.ignorable:
        raise error
    _log.warning("extender passed over", pod=pod.key, reason=str(error))


def _wrong(extender: Extender, verb: str, reason: str) -> ExtenderError:
    return ExtenderError(verb, f"{extender.config.url_prefix}: {reason}")


async def _asked(verb: str, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except PySchedulerError as error:
        raise ExtenderError(verb, str(error)) from error
