"""Profile: one profile's plugins, by extension point, with their hooks wrapped and ready to call.

Made once at start from the completed configuration; `Evaluator`-like work over nodes is done by
``filtering`` and ``scoring``, which read the hooks from here.

Called by: ``app.assembly`` (makes it), ``cycle`` (runs its points).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cluster_events import EVERYTHING, ClusterEventWithHint
from pyscheduler.framework.columns import POD_ASPECTS, Aspect, Column, aspects_of
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.interface import (
    BindPlugin,
    EnqueueExtensions,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    PreScorePlugin,
    QueueSortPlugin,
    ReservePlugin,
    Role,
    ScorePlugin,
    SignPlugin,
    has_form,
)
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeInfo, NodeTable
from pyscheduler.framework.status import (
    PostFilterResult,
    PreBindPreFlightResult,
    PreFilterResult,
    Status,
)
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.runtime import answers
from pyscheduler.runtime.adapters import FilterHook, ScoreHook
from pyscheduler.runtime.class_cache import Signature
from pyscheduler.runtime.instrument import Instrument, PluginFault
from pyscheduler.runtime.signing import Signer, Signing

#: extension point as configuration spells it -> plugins with their weights, in order
PluginSets = Mapping[str, Sequence[tuple[str, int]]]

PreFilterFn = Callable[[CycleState, Pod, NodeTable], PreFilterResult | Status | None]
FollowFn = Callable[[CycleState, Pod, Pod, NodeInfo], Status | None]
PostFilterFn = Callable[
    [CycleState, Pod, NodeStatuses], Awaitable[tuple[PostFilterResult | None, Status | None]]
]
PreScoreFn = Callable[[CycleState, Pod, NodeTable], Status | None]
AgainFn = Callable[[CycleState, Pod, NodeTable, Sequence[int]], "npt.NDArray[np.intp] | None"]
NodeFn = Callable[[CycleState, Pod, str], Status | None]
AsyncNodeFn = Callable[[CycleState, Pod, str], Awaitable[Status | None]]
SortKeyFn = Callable[[QueuedEntity], tuple[Any, ...]]
PermitFn = Callable[[CycleState, Pod, str], tuple[Status | None, float]]
PreFlightFn = Callable[[CycleState, Pod, str], PreBindPreFlightResult | Status | None]


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges copied rows for pods whose PreFilter skipped certain plugins."""

    filters: tuple[FilterHook, ...]
    #: plugin with a state about other pods -> how it follows pods that come and go
    following: Mapping[str, tuple[FollowFn, FollowFn]]
    #: of the filters, those to whom it makes no difference which pods the node has
    of_nodes_alone: frozenset[str]
    #: those that look at more than sums; see `FilterPlugin.judges_sums`
    of_more_than_sums: frozenset[str]
    #: what each says of a node depends on that node and the pod's class
    judge_rows_alone: bool
    #: one of them looks at more of a node's pods than what these take
    look_at_pods: bool

    def look_at_sums_alone(self, passed: frozenset[str]) -> bool:
        """True when nodes with equal sums get equal answers, of all nodes that pass ``passed``."""
        # who follows single pods may object to one, even without a Filter
        return not self.following and self.of_more_than_sums <= passed & self.of_nodes_alone


_IDENTITY = int(Aspect.IDENTITY)
_PODS = int(Aspect.PODS)
_POD_ASPECTS = int(POD_ASPECTS)

#: Points whose rejections are remembered with the plugin's name.
_REJECTING_POINTS = ("preEnqueue", "preFilter", "filter", "reserve", "permit", "preBind")


class ProfileError(PluginFault):
    """A profile that cannot work: the message names profile, plugin and point."""


@dataclass(frozen=True, slots=True)
class PreBindHook:
    """One plugin's PreBind, and the question whether it has work."""

    name: str
    pre_flight: PreFlightFn
    pre_bind: AsyncNodeFn


class Profile:
    """The plugins of one scheduler name."""

    def __init__(
        self,
        scheduler_name: str,
        plugins: Mapping[str, Plugin[Any]],
        points: PluginSets,
        *,
        instrument: Instrument,
    ) -> None:
        self.scheduler_name = scheduler_name
        self.plugins = plugins
        self._instrument = instrument
        self._points = points
        self.pre_enqueue = [
            (
                name,
                instrument.hook(
                    name, "PreEnqueue", plugin.pre_enqueue, answers=answers.PRE_ENQUEUE
                ),
            )
            for name, plugin in self._at("preEnqueue", PreEnqueuePlugin)
        ]
        #: the same by whoever is to be asked first
        self._pre_enqueue_from = {
            first: sorted(self.pre_enqueue, key=lambda named: named[0] != first)
            for first, _ in self.pre_enqueue
        }
        self.sort_key = self._sort_key()
        self.pre_filters: list[tuple[str, PreFilterFn]] = [
            (
                name,
                instrument.hook(name, "PreFilter", plugin.pre_filter, answers=answers.PRE_FILTER),
            )
            for name, plugin in self._at("preFilter", PreFilterPlugin)
        ]
        #: plugins whose PreFilter state follows pods that come and go in a what-if
        self.pod_followers = self._pod_followers()
        self.filters = [
            FilterHook(plugin, name, instrument)
            for name, plugin in self._at("filter", FilterPlugin)
        ]
        self.post_filters: list[tuple[str, PostFilterFn]] = [
            (
                name,
                instrument.async_hook(
                    name, "PostFilter", plugin.post_filter, answers=answers.POST_FILTER
                ),
            )
            for name, plugin in self._at("postFilter", PostFilterPlugin)
        ]
        self.pre_scores: list[tuple[str, PreScoreFn]] = [
            (name, instrument.hook(name, "PreScore", plugin.pre_score, answers=answers.PRE_SCORE))
            for name, plugin in self._at("preScore", PreScorePlugin)
        ]
        weights = dict(points.get("score", ()))
        self.scores = [
            ScoreHook(plugin, name, weights[name] or 1, instrument)
            for name, plugin in self._at("score", ScorePlugin)
        ]
        reserves = self._at("reserve", ReservePlugin)
        self.reserves: list[tuple[str, NodeFn]] = [
            (name, instrument.hook(name, "Reserve", plugin.reserve, answers=answers.RESERVE))
            for name, plugin in reserves
        ]
        self.unreserves = [
            (name, instrument.hook(name, "Unreserve", plugin.unreserve))
            for name, plugin in reversed(reserves)
        ]
        self.permits: list[tuple[str, PermitFn]] = [
            (name, instrument.hook(name, "Permit", plugin.permit, answers=answers.PERMIT))
            for name, plugin in self._at("permit", PermitPlugin)
        ]
        self.pre_binds: list[PreBindHook] = [
            PreBindHook(
                name,
                instrument.hook(
                    name,
                    "PreBindPreFlight",
                    plugin.pre_bind_pre_flight,
                    answers=answers.PRE_FLIGHT,
                ),
                instrument.async_hook(name, "PreBind", plugin.pre_bind, answers=answers.PRE_BIND),
            )
            for name, plugin in self._at("preBind", PreBindPlugin)
        ]
        self.binds: list[tuple[str, AsyncNodeFn]] = [
            (name, instrument.async_hook(name, "Bind", plugin.bind, answers=answers.BIND))
            for name, plugin in self._at("bind", BindPlugin)
        ]
        if not self.binds:
            raise ProfileError(scheduler_name, "bind", "no Bind plugin is enabled")
        self.post_binds = [
            (name, instrument.async_hook(name, "PostBind", plugin.post_bind))
            for name, plugin in self._at("postBind", PostBindPlugin)
        ]
        #: plugins that can follow pods that come and go, instead of being asked from the beginning
        self.pre_filters_again = self._again("PreFilter", PreFilterPlugin, "pre_filter_again")
        self.pre_scores_again = self._again("PreScore", PreScorePlugin, "pre_score_again")
        self._judges = {name: plugins[name] for name in self._judging_names()}
        #: plugin -> what its cached answers depend on; plugins not in here are asked every time
        self.cacheable: dict[str, int] = {
            name: int(aspects_of(plugin.depends_on))
            for name, plugin in self._judges.items()
            if plugin.depends_on is not None and isinstance(plugin, SignPlugin)
        }
        #: plugin -> aspects of *other* nodes that its answer for a node depends on
        self.cross_node: dict[str, int] = {
            name: int(plugin.cross_node)
            for name, plugin in self._judges.items()
            if plugin.cross_node
        }
        #: plugins whose hooks write the state that later hooks read
        self._preparing = {name for name, _ in (*self.pre_filters, *self.pre_scores)}
        #: False: nothing may be kept of any pod; what was signed before is void
        self.keeps_answers = self._preparing <= self.cacheable.keys()
        self._signing = Signing(
            [
                self._signer(name, plugin)
                for name, plugin in self._judges.items()
                if name in self.cacheable and isinstance(plugin, SignPlugin)
            ],
            instrument,
        )
        #: answers of `judges`: few combinations of plugins are skipped
        self._judging: dict[frozenset[str], Judges] = {}
        #: answers of `looking_across`: few combinations of aspects come up
        self._looking_across: dict[tuple[int, frozenset[str]], frozenset[str]] = {}
        #: plugins of PreFilter and Filter
        self._filtering = frozenset(name for name, _ in self.pre_filters) | frozenset(
            hook.name for hook in self.filters
        )
        #: scorers whose raw scores depend on which nodes are feasible
        self.scores_feasible_set = frozenset(
            hook.name for hook in self.scores if plugins[hook.name].scores_feasible_set
        )

    def columns(self) -> list[Column]:
        """The columns that the profile's plugins declared."""
        return [
            dependency
            for plugin in self.plugins.values()
            for dependency in plugin.depends_on or ()
            if isinstance(dependency, Column)
        ]

    def sign(self, pod: Pod) -> Signature | None:
        """The class of ``pod``; None when nothing about it may be kept.

        That is so when a plugin says that the pod is like no other, and when one prepares
        (PreFilter, PreScore) without saying what its answers depend on: what it prepared for one
        pod must not be used for another.
        """
        if not self.keeps_answers:
            return None
        return self._signing.sign(pod)

    def parts(self, signature: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
        """What each plugin signed of a class."""
        return self._signing.parts(signature)

    def unconcerned(self, signature: tuple[object, ...]) -> frozenset[str]:
        """The plugins that skip pods of this class whatever the nodes are like."""
        return self._signing.unconcerned(signature)

    def _again(self, point: str, role: type[Role], form: str) -> dict[str, AgainFn]:
        return {
            name: self._instrument.hook(name, point, getattr(plugin, form))
            for name, plugin in self._at(point[0].lower() + point[1:], role)
            if has_form(plugin, role, form)
        }

    def _signer(self, name: str, plugin: SignPlugin) -> Signer:
        sign = self._instrument.hook(name, "Sign", plugin.sign_pod, answers=answers.SIGN)
        return Signer(name, sign, plugin.signs_spec, plugin.skips_unsigned)

    def is_cacheable(self, plugin: str) -> bool:
        """True when the plugin's answers may be kept."""
        return plugin in self.cacheable

    def judged_aspects(self, filters: Iterable[str], unconcerned: Collection[str] = ()) -> int:
        """What must change in a row before any kept answer about a class of pods can.

        Args:
            filters: the plugins that judge its nodes.
            unconcerned: those that skip it whatever the nodes are like.
        """
        scorers = (hook.name for hook in self.scores if hook.name not in unconcerned)
        aspects = int(Aspect.IDENTITY)
        for name in (*filters, *scorers):
            aspects |= self.cacheable.get(name, 0)
        for name, mask in self.cross_node.items():
            if name not in unconcerned:
                aspects |= mask
        return aspects

    def looking_across(self, aspects: int, but_not: frozenset[str]) -> frozenset[str]:
        """The plugins ``but_not`` these that depend on ``aspects`` of other nodes."""
        looking = self._looking_across.get((aspects, but_not))
        if looking is None:
            names = {name for name, mask in self.cross_node.items() if aspects & mask}
            looking = self._looking_across[aspects, but_not] = frozenset(names - but_not)
        return looking

    def filters_looking_across(self, aspects: int, but_not: frozenset[str]) -> frozenset[str]:
        """Those of them that have a PreFilter or a Filter."""
        return self.looking_across(aspects, but_not) & self._filtering

    def following(
        self, hooks: Mapping[str, AgainFn], plugins: Collection[str], aspects: int
    ) -> dict[str, AgainFn]:
        """Those of ``hooks`` to ask: pods are all that changed of what their plugin looks at.

        Args:
            hooks: by plugin, `pre_filters_again` or `pre_scores_again`.
            plugins: those in question; all look across nodes.
            aspects: what changed anywhere.
        """
        return {
            name: again
            for name, again in hooks.items()
            if name in plugins and not aspects & (self.cross_node[name] | _IDENTITY) & ~_PODS
        }

    def judges_rows_alone(self, plugin: str) -> bool:
        """True when what the plugin says of a node depends on that node and the pod's class."""
        return plugin in self.cacheable and plugin not in self.cross_node

    def judges(self, skipped: frozenset[str]) -> Judges:
        """Those whose Filter is asked when ``skipped`` are not."""
        judges = self._judging.get(skipped)
        if judges is None:
            judges = self._judging[skipped] = self._judges_without(skipped)
        return judges

    def _judges_without(self, skipped: frozenset[str]) -> Judges:
        filters = tuple(hook for hook in self.filters if hook.name not in skipped)
        alone = frozenset(hook.name for hook in filters if self.judges_rows_alone(hook.name))
        return Judges(
            filters,
            following={
                name: hooks for name, hooks in self.pod_followers.items() if name not in skipped
            },
            of_nodes_alone=frozenset(
                name for name in alone if not self.cacheable[name] & _POD_ASPECTS
            ),
            of_more_than_sums=frozenset(
                hook.name
                for hook in filters
                if hook.name not in alone or not self._judges_sums(hook.name)
            ),
            judge_rows_alone=len(alone) == len(filters),
            look_at_pods=any(self.cacheable.get(hook.name, _PODS) & _PODS for hook in filters),
        )

    def _judges_sums(self, name: str) -> bool:
        plugin = self.plugins[name]
        return isinstance(plugin, FilterPlugin) and plugin.judges_sums

    def asks_per_node(self, hook: FilterHook, *, is_shared: bool) -> bool:
        """True for a Filter that costs a call per node and pod: no column form, nothing kept.

        Args:
            hook: the Filter.
            is_shared: answers for the pod in question are kept for others of its class.
        """
        return hook.is_per_node_only and not (is_shared and self.is_cacheable(hook.name))

    def distrust(self, plugin: str) -> None:
        """Asks ``plugin`` every time from now on: a kept answer of its turned out wrong."""
        self.cacheable.pop(plugin, None)
        self._judging.clear()
        if plugin in self._preparing:
            self.keeps_answers = False

    def run_pre_enqueue(self, pod: Pod, first: str = "") -> Status | None:
        """None when every PreEnqueue lets the pod in, else the first objection.

        Args:
            pod: the pod at the door.
            first: the plugin that is asked before all others, for it objected last time.
        """
        for name, hook in self._pre_enqueue_from.get(first, self.pre_enqueue):
            try:
                status: Status | None = hook(pod)
            except PluginFault as fault:
                return fault.status()
            if status is not None and not status.is_success:
                return status.by(name)
        return None

    def hint_registrations(self) -> list[HintRegistration]:
        """What the queue must know: which event concerns which plugin's rejections.

        A plugin that only ranks or binds rejects nobody, so it hears of nothing unless it asks.

        Raises:
            PluginFault: a plugin cannot say what it wants to hear of.
        """
        registrations = []
        rejecting = {name for point in _REJECTING_POINTS for name, _ in self._points.get(point, ())}
        for name, plugin in self.plugins.items():
            if name not in rejecting and not isinstance(plugin, EnqueueExtensions):
                continue
            registrations += [
                HintRegistration(
                    name,
                    r.event,
                    self._instrument.hint(name, r.hint),
                    self._instrument.pre_hint(name, r.pre_hint),
                    self._instrument.pre_hint(name, r.let_in),
                )
                for r in self._registered(name, plugin)
            ]
        return registrations

    def _registered(self, name: str, plugin: Plugin[Any]) -> Sequence[ClusterEventWithHint]:
        """What the plugin wants to hear of; everything if it does not say.

        Raises:
            PluginFault: it raised, or answered something else.
        """
        if not isinstance(plugin, EnqueueExtensions):
            return EVERYTHING
        ask = self._instrument.hook(
            name, "EnqueueExtensions", plugin.events_to_register, answers=answers.EVENTS
        )
        return ask()

    def _at(self, point: str, role: type[Any]) -> list[tuple[str, Any]]:
        found = []
        for name, _ in self._points.get(point, ()):
            plugin = self.plugins[name]
            if not isinstance(plugin, role):
                raise ProfileError(
                    name, point, f"profile {self.scheduler_name}: {name} does not implement {point}"
                )
            found.append((name, plugin))
        return found

    def _pod_followers(self) -> dict[str, tuple[FollowFn, FollowFn]]:
        hook = self._instrument.hook
        return {
            name: (
                hook(name, "AddPod", plugin.add_pod, answers=answers.ADD_POD),
                hook(name, "RemovePod", plugin.remove_pod, answers=answers.REMOVE_POD),
            )
            for name, plugin in self._at("preFilter", PreFilterPlugin)
            if has_form(plugin, PreFilterPlugin, "add_pod")
            or has_form(plugin, PreFilterPlugin, "remove_pod")
        }

    def _sort_key(self) -> SortKeyFn:
        found = self._at("queueSort", QueueSortPlugin)
        if len(found) != 1:
            names = ", ".join(name for name, _ in found) or "none"
            raise ProfileError(
                self.scheduler_name, "queueSort", f"needs exactly one plugin, has {names}"
            )
        name, plugin = found[0]
        may_answer = answers.Answers("QueueSort", tuple, look=answers.SortKeys().look)
        hook: SortKeyFn = self._instrument.hook(
            name, "QueueSort", plugin.sort_key, answers=may_answer
        )

        def sort_key(entity: QueuedEntity) -> tuple[Any, ...]:
            # who cannot be compared with the others goes behind them, first come first served
            try:
                return (0, *hook(entity))
            except PluginFault:
                return (1, entity.timestamp)

        return sort_key

    def _judging_names(self) -> list[str]:
        names: dict[str, None] = {}
        for point in ("preFilter", "filter", "preScore", "score"):
            names.update(dict.fromkeys(name for name, _ in self._points.get(point, ())))
        return list(names)
