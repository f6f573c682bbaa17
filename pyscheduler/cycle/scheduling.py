"""The scheduling algorithm: a pod and a snapshot in, a node or a `NoFit` out. No effects.

Called by: ``loop``, once per attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.cycle import explanation
from pyscheduler.cycle.extenders import Extenders
from pyscheduler.cycle.host_selection import best_of, only_host, select_host
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.handle import Rng
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.status import Diagnosis, Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.budget import Checkpoint
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.narrowing import Narrowing
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.rejections import passed_filters
from pyscheduler.runtime.scoring import Scoring

_log = structlog.get_logger(__name__)

#: One kept answer in so many is judged cold again and compared.
_COLD_CHECK_ONE_IN = 1000

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placement:
    """A node was found."""

    node_name: str
    #: the pod's own copy of what PreFilter and PreScore wrote
    state: CycleState
    feasible_nodes: int
    #: plugins whose business the pod is not; see `SignPlugin.skips_unsigned`
    unconcerned: frozenset[str]


@dataclass(frozen=True, slots=True)
class NoFit:
    """No node was found: what PostFilter and the pod's condition need to know."""

    diagnosis: Diagnosis
    state: CycleState
    statuses: NodeStatuses


class NoNodes(Exception):  # noqa: N818  # the field's name: ErrNoNodesAvailable
    """The cluster has no nodes at all."""

    def __init__(self) -> None:
        super().__init__(NO_NODES)


class SchedulingAlgorithm:
    """Filter, score and pick for one profile."""

    def __init__(
        self,
        profile: Profile,
        snapshot: Snapshot,
        nominator: Nominator,
        *,
        rng: Rng,
        budget: Checkpoint,
        percentage_of_nodes_to_score: int = 0,
        extenders: Extenders | None = None,
    ) -> None:
        self.profile = profile
        self._snapshot = snapshot
        self._nominator = nominator
        self._rng = rng
        self._extenders = extenders or Extenders((), snapshot)
        self._filtering = Filtering(profile, snapshot, budget)
        self._narrowing = Narrowing(
            profile,
            snapshot,
            nominator,
            budget,
            classes=self._filtering.classes,
            percentage_of_nodes_to_score=percentage_of_nodes_to_score,
            chosen_elsewhere=self._extenders.judge_nodes,
        )
        self._scoring = Scoring(profile, snapshot, budget)
        self._kept_answers = 0
        #: asked once: the level of the log is set before anything is made, and stays
        self._explains = explanation.is_wanted()

    @property
    def class_count(self) -> int:
        """Classes of pods with kept answers."""
        return len(self._filtering.classes)

    async def schedule(self, entity: QueuedEntity) -> Placement | NoFit:
        """The best node for the entity's pod on the current snapshot, or why there is none.

        Raises:
            NoNodes: the snapshot is empty.
            PluginFault: a plugin raised.
            ExtenderError: an extender failed.
        """
        nodes = self._snapshot.nodes
        if nodes.n == 0:
            raise NoNodes
        # anew for each attempt: what is signed may depend on objects besides the pod
        entity.signature = self.profile.sign(entity.pod)
        try:
            entry, row = await self._search(entity)
        except BaseException:
            # half brought up to date: nobody may use it
            if entity.signature is not None:
                self._filtering.classes.drop(entity.signature)
            raise
        if self._explains:
            explanation.log_explanation(
                entity.pod, entry, nodes=nodes, filtering=self._filtering, scoring=self._scoring
            )
        if row < 0:
            statuses = self._filtering.statuses(entry)
            diagnosis = self._filtering.diagnose(entry, statuses)
            state = entry.state.clone()
            state.passed_filters = passed_filters(entry)
            return NoFit(diagnosis, state, statuses)
        return Placement(
            nodes.node(row).name, entry.state.clone(), entry.feasible_count, entry.unconcerned
        )

    async def _search(self, entity: QueuedEntity) -> tuple[ClassEntry, int]:
        """The answers for the entity's pod, and the row chosen; -1 when no node fits."""
        pod = entity.pod
        entry = await self._filtering.evaluate(pod, entity.signature)
        if entry.pods > 1 and self._is_check_due() and not await self._is_right(entry, entity):
            entity.signature = self.profile.sign(pod)
            entry = await self._filtering.evaluate(pod, entity.signature)
        nominated = self._nominated_row(pod)
        if (
            nominated >= 0
            and self._narrowing.fits(entry, pod, nominated)
            and not await self._rejected(pod, [nominated])
        ):
            return entry, nominated
        entry = self._narrowing.respect_nominations(entry, pod)
        entry = await self._narrowing.find_enough(entry, pod)
        if self._extenders.filters(pod):
            entry = await self._left_by_extenders(entry, pod)
        if entry.feasible_count == 0:
            return entry, -1
        if entry.feasible_count == 1:
            return entry, only_host(entry)
        await self._scoring.score(entry, pod)
        if self._extenders.prioritizes(pod):
            return entry, await self._best_with_extenders(entry, pod)
        return entry, select_host(entry, self._rng)

    async def _left_by_extenders(self, entry: ClassEntry, pod: Pod) -> ClassEntry:
        """The entry without the rows that extenders reject."""
        rejected = await self._rejected(pod, entry.feasible_rows().tolist())
        return entry.overridden({**entry.overrides, **rejected}) if rejected else entry

    async def _rejected(self, pod: Pod, rows: Sequence[int]) -> dict[int, Status]:
        """Those of the rows that extenders reject."""
        if not self._extenders.filters(pod):
            return {}
        nodes = [self._snapshot.nodes.node(row).node for row in rows]
        rejections = await self._extenders.rejections(pod, nodes)
        row_of = {node.name: row for node, row in zip(nodes, rows, strict=True)}
        return {row_of[name]: status for name, status in rejections.items()}

    async def _best_with_extenders(self, entry: ClassEntry, pod: Pod) -> int:
        """The row with the highest total once extenders have added their scores."""
        nodes = self._snapshot.nodes
        rows = entry.feasible_rows()
        scores = await self._extenders.scores(pod, [nodes.node(row).node for row in rows.tolist()])
        return int(rows[best_of(entry.totals[rows] + scores, self._rng)])

    def _nominated_row(self, pod: Pod) -> int:
        """The row of the node that was promised to the pod, tried before all others; or -1."""
        name = pod.status.nominated_node_name or self._nominator.node_of(pod.uid)
        row = self._snapshot.nodes.row_of(name) if name else None
        return -1 if row is None else row

    def _is_check_due(self) -> bool:
        """True for one kept answer in so many."""
        self._kept_answers += 1
        return self._kept_answers % _COLD_CHECK_ONE_IN == 0

    async def _is_right(self, entry: ClassEntry, entity: QueuedEntity) -> bool:
        """Holds a kept answer against a cold one; False: all of them were dropped.

        A plugin that is wrong is asked every time from now on.
        """
        cold = await self._filtering.judge_all(entity.pod)
        for judged in (entry, cold):
            if judged.feasible_count > 1:
                await self._scoring.score(judged, entity.pod)
        wrong = self._filtering.differing_plugins(entry, cold)
        for plugin in wrong:
            _log.error(
                "kept answer differs from a fresh one: the plugin's depends_on or sign_pod is"
                " incomplete; asking it every time from now on",
                plugin=plugin,
                pod=entity.pod.key,
            )
            self.profile.distrust(plugin)
        if wrong:
            self._filtering.classes.clear()
        return not wrong
