"""THE plugin API: one small base class per extension point.

A plugin is a class whose bases declare its roles; `Plugin` is always the last of them:

    class NodeHeat(FilterPlugin, ScorePlugin, Plugin[NodeHeatArgs]): ...

Filter and Score have two forms. The per-node form (``filter``, ``score``) is called once per node
and costs about a microsecond each; the whole-cluster form (``filter_nodes``, ``score_nodes``) is
called once and answers for all nodes with numpy. Either suffices; where both exist the runtime
uses the whole-cluster form and the conformance suite holds them equal.

Hooks are called on the scheduler's event loop and must not block. Only hooks that wait for
something outside are ``async``. A hook that raises costs the pod this attempt
(``Code.ERROR``, retried with backoff), never the loop.

Called by: ``runtime``. Source of order and effects: kube-scheduler 1.37,
``framework/interface.go``.
"""

from __future__ import annotations

import difflib
from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.args import Args, NoArgs
from pyscheduler.framework.cluster_events import ClusterEventWithHint
from pyscheduler.framework.columns import Aspect, Column
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeInfo, NodeTable
from pyscheduler.framework.pod_matching import PodTally
from pyscheduler.framework.status import (
    Int64Array,
    NodeVerdict,
    PostFilterResult,
    PreBindPreFlightResult,
    PreFilterResult,
    Status,
)

ArgsT = TypeVar("ArgsT", bound=Args)


class PluginDefinitionError(TypeError):
    """A plugin class that cannot work: the message names class, hook and the nearest right name."""


class Role(ABC):  # noqa: B024  # the hooks are optional forms, checked by __init_subclass__
    """Base of all extension points."""

    #: extension point as configuration and metrics spell it
    point: ClassVar[str] = ""
    #: at least one of these must be defined by a class with this role
    forms: ClassVar[tuple[str, ...]] = ()


class Plugin(Generic[ArgsT]):
    """What every plugin is: a name, arguments, and a handle to the scheduler."""

    #: the name in configuration, messages and metrics; the class name unless set
    name: ClassVar[str] = ""
    #: model of the arguments; from the generic parameter unless set
    args_model: ClassVar[type[Args]] = NoArgs
    #: what cached answers depend on; with `SignPlugin` it makes the plugin's answers cacheable
    depends_on: ClassVar[tuple[Column | PodTally | Aspect, ...] | None] = None
    #: aspects of *other* nodes that an answer for one node depends on, for example how many nodes
    #: have an image; a change in any row then prepares (PreFilter, PreScore) and judges all rows
    #: of this plugin again, the others keep theirs
    cross_node: ClassVar[Aspect] = Aspect(0)
    #: True: raw scores depend on which nodes are feasible, for example on the domains among them;
    #: PreScore and Score are asked again about all rows when that changes
    scores_feasible_set: ClassVar[bool] = False

    def __init__(self, args: ArgsT, handle: Handle) -> None:
        self.args = args
        self.handle = handle

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__
        for base in cls.__dict__.get("__orig_bases__", ()):
            if get_origin(base) is Plugin and "args_model" not in cls.__dict__:
                (model,) = get_args(base)
                if isinstance(model, type) and issubclass(model, Args):
                    cls.args_model = model
        _check_forms(cls)

    @classmethod
    def points(cls) -> frozenset[str]:
        """The extension points this class has a role for."""
        return frozenset(
            base.point for base in cls.__mro__ if issubclass(base, Role) and base.point
        )


def _check_forms(cls: type) -> None:
    roles = [b for b in cls.__mro__ if issubclass(b, Role) and b.__dict__.get("forms")]
    hooks = {hook for role in _all_roles(Role) for hook in _hooks_of(role)}
    for attribute in vars(cls):
        if attribute.startswith("_") or attribute in hooks or not callable(vars(cls)[attribute]):
            continue
        near = difflib.get_close_matches(attribute, hooks, n=1, cutoff=0.85)
        if near and not any(attribute in vars(b) for b in cls.__mro__[1:]):
            raise PluginDefinitionError(
                f"plugin {cls.__name__} defines {attribute!r}, which is no hook;"
                f" did you mean {near[0]!r}?"
            )
    for role in roles:
        if not any(getattr(cls, form, None) is not getattr(role, form) for form in role.forms):
            raise PluginDefinitionError(
                f"plugin {cls.__name__} is a {role.__name__} and needs"
                f" {' or '.join(f'{form}()' for form in role.forms)}"
            )


def _all_roles(role: type[Role]) -> list[type[Role]]:
    found = []
    for subclass in role.__subclasses__():
        if subclass.__module__ == __name__:
            found.append(subclass)
            found.extend(_all_roles(subclass))
    return found


def _hooks_of(role: type[Role]) -> list[str]:
    return [n for n, v in vars(role).items() if callable(v) and not n.startswith("_")]


def has_form(plugin: object, role: type[Role], form: str) -> bool:
    """True when ``plugin`` defines ``form`` itself instead of inheriting the role's default."""
    return getattr(type(plugin), form, None) is not getattr(role, form)


class PreEnqueuePlugin(Role):
    """Decides whether a pod may enter activeQ at all."""

    point = "PreEnqueue"
    forms: ClassVar[tuple[str, ...]] = ("pre_enqueue",)

    def pre_enqueue(self, pod: Pod) -> Status | None:
        """None lets the pod in; any other status gates it until one of our events.

        Called on each way into activeQ and backoffQ. Must be cheap.
        """
        raise NotImplementedError


class QueueSortPlugin(Role):
    """Orders activeQ; exactly one, the same in all profiles."""

    point = "QueueSort"
    forms: ClassVar[tuple[str, ...]] = ("sort_key",)

    def sort_key(self, entity: QueuedEntity) -> tuple[Any, ...]:
        """A key that sorts first what is to be popped first.

        Computed when the entity enters the queue and when its pod changes, not per comparison.
        """
        raise NotImplementedError


class PreFilterPlugin(Role):
    """Prepares Filter for one pod, and may narrow the nodes or reject outright."""

    point = "PreFilter"
    forms: ClassVar[tuple[str, ...]] = ("pre_filter",)

    def pre_filter(
        self, state: CycleState, pod: Pod, nodes: NodeTable
    ) -> PreFilterResult | Status | None:
        """Called once per cycle, before Filter.

        Returns:
            None: go on. ``PreFilterResult``: only these nodes. ``SKIP``: do not run this plugin's
            Filter. Unschedulable: rejected, after the other PreFilters ran (PostFilter needs their
            state). Unresolvable: rejected at once.
        """
        raise NotImplementedError

    def pre_filter_again(
        self, state: CycleState, pod: Pod, nodes: NodeTable, rows: Sequence[int]
    ) -> npt.NDArray[np.intp] | None:
        """Brings what `pre_filter` wrote up to date: pods came to these ``rows``, or left them.

        For plugins with `Plugin.cross_node` whose verdicts depend on few pods each. Asked in place
        of `pre_filter` when nothing else changed that the plugin looks at, for a pod of the same
        class as before; also where `pre_filter` answered ``SKIP``.

        Returns:
            The rows of ``nodes`` whose verdict may be another now. None: `pre_filter` is to be
            asked, and all rows to be judged again.
        """
        return None

    def add_pod(self, state: CycleState, pod: Pod, added: Pod, node: NodeInfo) -> Status | None:
        """Updates ``state`` as if ``added`` ran on ``node``; for what-ifs."""
        return None

    def remove_pod(
        self, state: CycleState, pod: Pod, removed: Pod, node: NodeInfo
    ) -> Status | None:
        """Updates ``state`` as if ``removed`` had left ``node``; for what-ifs."""
        return None


class FilterPlugin(Role):
    """Says which nodes can run a pod."""

    point = "Filter"
    forms: ClassVar[tuple[str, ...]] = ("filter", "filter_nodes")
    #: True: all that Filter looks at of a node is what it has to give (``allocatable``), what its
    #: pods take of that, their host ports, and how many they are. Nodes that are alike in these get
    #: equal answers, so what-ifs try one of them; together with ``sign_pod`` and ``depends_on``
    judges_sums: ClassVar[bool] = False

    def filter(self, state: CycleState, pod: Pod, node: NodeInfo) -> Status | None:
        """None if ``pod`` can run on ``node``; else unschedulable(...) or unresolvable(...)."""
        raise NotImplementedError

    def filter_nodes(self, state: CycleState, pod: Pod, nodes: NodeTable) -> NodeVerdict:
        """The same for all nodes: ``nodes.verdict().reject(mask, reason)``."""
        raise NotImplementedError


class PostFilterPlugin(Role):
    """Called when no node fits, for example to preempt."""

    point = "PostFilter"
    forms: ClassVar[tuple[str, ...]] = ("post_filter",)

    async def post_filter(
        self, state: CycleState, pod: Pod, statuses: NodeStatuses
    ) -> tuple[PostFilterResult | None, Status | None]:
        """Tries to make room; the status' reasons are appended to the pod's condition.

        Returns:
            A nomination (None leaves an earlier one as it is, an empty name clears it) and a
            status. Success (or None): room is being made, later PostFilters are not asked.
            Unschedulable: the next one is asked. Unresolvable: nobody else is. Anything else is an
            error: it ends the search, and an earlier nomination stays.
        """
        raise NotImplementedError


class PreScorePlugin(Role):
    """Prepares Score for one pod."""

    point = "PreScore"
    forms: ClassVar[tuple[str, ...]] = ("pre_score",)

    def pre_score(self, state: CycleState, pod: Pod, nodes: NodeTable) -> Status | None:
        """None goes on; ``SKIP`` leaves this plugin's Score out for this pod."""
        raise NotImplementedError

    def pre_score_again(
        self, state: CycleState, pod: Pod, nodes: NodeTable, rows: Sequence[int]
    ) -> npt.NDArray[np.intp] | None:
        """What `PreFilterPlugin.pre_filter_again` is to `pre_filter`, with all nodes of the epoch.

        Asked as well where `pre_score` left the plugin out.

        Returns:
            The rows of ``nodes`` whose raw score may be another now. None: `pre_score` is to be
            asked, and all rows to be scored again.
        """
        return None


class ScorePlugin(Role):
    """Ranks the feasible nodes, 0 worst to 100 best after `normalize`."""

    point = "Score"
    forms: ClassVar[tuple[str, ...]] = ("score", "score_nodes")
    #: True: `normalize` makes the same of a raw score as long as the lowest and the highest one
    #: stay the same; it is not asked again as long as all nodes score alike
    normalizes_by_extremes: ClassVar[bool] = False

    def score(self, state: CycleState, pod: Pod, node: NodeInfo) -> int:
        """The raw score of one node."""
        raise NotImplementedError

    def score_nodes(self, state: CycleState, pod: Pod, nodes: NodeTable) -> Int64Array:
        """(N,) int64: the raw scores of all nodes of ``nodes``."""
        raise NotImplementedError

    def score_by_label(
        self, state: CycleState, pod: Pod, nodes: NodeTable
    ) -> tuple[str, Int64Array] | None:
        """The raw scores once more, if one label of a node decides: topology domains.

        Asked where pods came or left and `PreScorePlugin.pre_score_again` followed them: the rows
        that it names are then of no interest. `normalize` is asked about each score once: what it
        makes of one must not depend on how many nodes have it.

        Returns:
            The label's key, and (V + 1,) int64 by code of `NodeTable.label_codes`, the last of
            the nodes without the label. None: more than one label decides.
        """
        return None

    def normalize(self, state: CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        """Raw scores (F,) of the feasible nodes brought into 0..100; as they are by default."""
        return scores


class ReservePlugin(Role):
    """Keeps plugin state in step with a pod that was assumed on a node."""

    point = "Reserve"
    forms: ClassVar[tuple[str, ...]] = ("reserve",)

    def reserve(self, state: CycleState, pod: Pod, node_name: str) -> Status | None:
        """Called after the pod is assumed; a rejection undoes it."""
        raise NotImplementedError

    def unreserve(self, state: CycleState, pod: Pod, node_name: str) -> None:
        """Undoes `reserve`. Idempotent, safe without `reserve`, never fails."""


class PermitPlugin(Role):
    """Last word before the binding cycle: allow, reject, or wait."""

    point = "Permit"
    forms: ClassVar[tuple[str, ...]] = ("permit",)

    def permit(self, state: CycleState, pod: Pod, node_name: str) -> tuple[Status | None, float]:
        """A status and, with ``Code.WAIT``, how many seconds to wait at most (never over 900).

        A pod that waits keeps its node and is found in ``handle.waiting_pods``. It goes on once
        every plugin that let it wait has called ``allow`` on it there.
        """
        raise NotImplementedError


class PreBindPlugin(Role):
    """Work that must be done before a pod is bound, for example provisioning a volume."""

    point = "PreBind"
    forms: ClassVar[tuple[str, ...]] = ("pre_bind",)

    def pre_bind_pre_flight(
        self, state: CycleState, pod: Pod, node_name: str
    ) -> PreBindPreFlightResult | Status | None:
        """Says before the binding cycle whether `pre_bind` will have work for this pod.

        Must be cheap. When nobody has work and nobody waits at Permit, the pod's expected node is
        not written to its status, which saves a request.

        Returns:
            None: there is work. ``PreBindPreFlightResult``: the same, and whether `pre_bind` may
            run beside its neighbours'. ``SKIP``: no work, `pre_bind` is not called. Anything else
            ends the attempt.
        """
        return None

    async def pre_bind(self, state: CycleState, pod: Pod, node_name: str) -> Status | None:
        """Awaited before Bind; anything but success undoes the assumption."""
        raise NotImplementedError


class BindPlugin(Role):
    """Binds the pod; the first that does not answer ``SKIP`` owns it."""

    point = "Bind"
    forms: ClassVar[tuple[str, ...]] = ("bind",)

    async def bind(self, state: CycleState, pod: Pod, node_name: str) -> Status | None:
        """Binds ``pod`` to ``node_name`` through ``handle.writes``."""
        raise NotImplementedError


class PostBindPlugin(Role):
    """Told after a pod was bound."""

    point = "PostBind"
    forms: ClassVar[tuple[str, ...]] = ("post_bind",)

    async def post_bind(self, state: CycleState, pod: Pod, node_name: str) -> None:
        """Informational: nothing can be undone here."""
        raise NotImplementedError


class SignPlugin(Role):
    """Names the part of a pod that this plugin's answers depend on.

    Together with ``depends_on`` it makes Filter and Score results cacheable per class of pods.
    """

    point = "Sign"
    forms: ClassVar[tuple[str, ...]] = ("sign_pod",)
    #: True: the signature follows from ``pod.spec`` alone; it is remembered for pods of equal spec
    signs_spec: ClassVar[bool] = False
    #: True: pods signed ``()`` are none of the plugin's business. PreFilter, PreScore and
    #: PreBindPreFlight answer SKIP for them whatever the nodes are like, and Reserve does nothing.
    #: So none of them is called; what they would write into the state is not there for later hooks,
    #: but the plugin is among ``state.skipped_filters`` once it was its PreFilter's turn
    skips_unsigned: ClassVar[bool] = False

    def sign_pod(self, pod: Pod) -> tuple[Any, ...] | None:
        """A hashable tuple, equal for pods that get equal answers; None: never cache this pod."""
        raise NotImplementedError


class EnqueueExtensions(Role):
    """Says which events may make a pod schedulable that this plugin rejected.

    Without it every event counts.
    """

    forms: ClassVar[tuple[str, ...]] = ("events_to_register",)

    def events_to_register(self) -> Sequence[ClusterEventWithHint]:
        """The events and their hints; empty: only the five-minute flush wakes the pod.

        A hint is asked about each pod that this plugin rejected. Where that is many, a ``pre_hint``
        names those that an event may concern, and the hint is asked about these alone; it is used
        once the feature gate SchedulerPreQueueingHints is on.
        """
        raise NotImplementedError


#: every extension point, in the order in which a pod meets them
EXTENSION_POINTS: tuple[type[Role], ...] = (
    PreEnqueuePlugin,
    QueueSortPlugin,
    PreFilterPlugin,
    FilterPlugin,
    PostFilterPlugin,
    PreScorePlugin,
    ScorePlugin,
    ReservePlugin,
    PermitPlugin,
    PreBindPlugin,
    BindPlugin,
    PostBindPlugin,
)
