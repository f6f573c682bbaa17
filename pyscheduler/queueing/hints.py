"""From an event to the waiting entities it may help: by rejecting plugin, then by hint.

Plugins register for events; an event is of interest to an entity only if a plugin that rejected it
registered for it, and then that plugin's hint is asked. What matches what is worked out once per
kind of event and remembered.

Called by: ``scheduling_queue``; ``app.assembly`` makes the `QueueingHintMap` from the profiles.

Source: kube-scheduler 1.37, ``scheduler.go`` buildQueueingHintMap and ``scheduling_queue.go``
isPodWorthRequeuing; pre-hints are KEP-6132's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.framework.cluster_events import (
    EVERYTHING,
    ClusterEvent,
    EventResource,
    HintFn,
    PreHintFn,
    QueueingHint,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.observing import ALL_PODS, NARROWED, QueueMetrics


@dataclass(frozen=True, slots=True)
class HintRegistration:
    """One plugin's wish to hear of an event; hint None means that any such event may help."""

    plugin: str
    event: ClusterEvent
    #: wrapped by the runtime: it never raises, a fault counts as QUEUE
    hint: HintFn | None = None
    #: wrapped likewise: a fault counts as None
    pre_hint: PreHintFn | None = None
    #: wrapped likewise
    let_in: PreHintFn | None = None


QueueingHintMap = Mapping[str, Sequence[HintRegistration]]
"""Scheduler name (profile) to the registrations of its plugins, in profile order."""


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """One plugin's ear for one event."""

    hint: HintFn | None = None
    pre_hint: PreHintFn | None = None
    #: which of the pods that the plugin gates this may let in; None: any
    let_in: PreHintFn | None = None
    #: of this very event only pods with these keys are to be shown to the hint; None: all pods
    keys: frozenset[str] | None = None


PluginListeners = Mapping[str, tuple[Listener, ...]]


class Requeue(IntEnum):
    """Where an event sends a waiting entity; the greater answer wins."""

    SKIP = 0
    AFTER_BACKOFF = 1
    IMMEDIATELY = 2


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """An event with everybody who registered for it; worked out once per kind of event."""

    event: ClusterEvent
    label: str
    #: the event concerns every waiting entity, whoever rejected it
    is_wildcard: bool
    #: scheduler name to plugin to what it listens with
    listeners: Mapping[str, PluginListeners]
    #: somebody has a pre-hint
    can_narrow: bool = False

    @property
    def is_empty(self) -> bool:
        """True when the event can help nobody, so that it may be dropped unseen."""
        return not self.is_wildcard and not self.listeners


class HintIndex:
    """The registrations, by event."""

    __slots__ = ("_audiences", "_clock", "_metrics", "_registrations", "resources")

    def __init__(
        self, hints: QueueingHintMap, *, clock: Clock, metrics: QueueMetrics | None = None
    ) -> None:
        self._registrations = {name: tuple(regs) for name, regs in hints.items()}
        #: the kinds that anybody wants to hear of; no other need be watched for the queue's sake
        self.resources = _resources(self._registrations)
        #: grows by the kinds of events that the event handlers raise, a few dozen
        self._audiences: dict[ClusterEvent, Audience] = {}
        self._clock = clock
        self._metrics = metrics

    def audience(self, event: ClusterEvent) -> Audience:
        """Who registered for `event`."""
        known = self._audiences.get(event)
        if known is None:
            wildcard = event.resource is EventResource.WILDCARD
            listeners = {} if wildcard else self._find_listeners(event)
            known = self._audiences[event] = Audience(
                event, event.label, wildcard, listeners, can_narrow=_have_pre_hints(listeners)
            )
        return known

    def narrow(self, audience: Audience, old: object, new: object) -> Audience:
        """Asks the pre-hints, once for the event: the audience for just this event.

        Every plugin is narrowed for itself: one that has no pre-hint is shown every pod.
        """
        if not audience.can_narrow or (old is None and new is None):
            return audience
        listeners = {
            scheduler: {
                plugin: tuple(self._narrowed(plugin, listener, old, new) for listener in ears)
                for plugin, ears in plugins.items()
            }
            for scheduler, plugins in audience.listeners.items()
        }
        return replace(audience, listeners=listeners)

    def judge(self, entity: QueuedEntity, audience: Audience, old: object, new: object) -> Requeue:
        """Asks the hints of the plugins that hold `entity`; stops at the first deciding answer.

        A plugin that answered Pending sends it on at once, any other makes it sit out its backoff.
        A gated entity hears only what the gating plugin hears.
        """
        pending, rejecting = entity.pending_plugins, entity.unschedulable_plugins
        gating = entity.gating_plugin
        if not (pending or rejecting or gating):
            return Requeue.AFTER_BACKOFF
        if audience.is_wildcard:
            concerns_other = isinstance(new, Pod) and new.uid != entity.uid
            return Requeue.SKIP if concerns_other else Requeue.AFTER_BACKOFF
        if audience.event.resource is EventResource.UNSCHEDULED_POD and entity.uid == _uid(
            old, new
        ):
            return Requeue.SKIP  # its own changes are told as TargetPod
        listeners = audience.listeners.get(entity.pod.scheduler_name)
        if listeners is None or (gating and gating not in listeners):
            return Requeue.SKIP
        verdict = Requeue.SKIP
        for plugin, ears in listeners.items():
            if plugin in pending:
                best = Requeue.IMMEDIATELY
            elif plugin in rejecting or plugin == gating:
                best = Requeue.AFTER_BACKOFF
            else:
                continue
            if best > verdict and self._any_queues(plugin, ears, entity.pod, audience, old, new):
                verdict = best
                if best is Requeue.IMMEDIATELY or not pending:
                    break
        return verdict

    def _any_queues(
        self,
        plugin: str,
        ears: Iterable[Listener],
        pod: Pod,
        audience: Audience,
        old: object,
        new: object,
    ) -> bool:
        for listener in ears:
            if listener.keys is not None and pod.key not in listener.keys:
                continue
            hint = listener.hint
            if hint is None:
                return True
            if self._metrics is None:
                answer = hint(pod, old, new)
            else:
                start = self._clock.monotonic()
                answer = hint(pod, old, new)
                spent_s = self._clock.monotonic() - start
                self._metrics.hint(plugin, audience.label, answer, spent_s)
            if answer is QueueingHint.QUEUE:
                return True
        return False

    def _narrowed(self, plugin: str, listener: Listener, old: object, new: object) -> Listener:
        if listener.pre_hint is None:
            return listener
        keys = listener.pre_hint(old, new)
        if self._metrics is not None:
            self._metrics.pre_hint(plugin, ALL_PODS if keys is None else NARROWED)
        return listener if keys is None else replace(listener, keys=frozenset(keys))

    def _find_listeners(self, event: ClusterEvent) -> dict[str, PluginListeners]:
        listeners: dict[str, PluginListeners] = {}
        for scheduler, registrations in self._registrations.items():
            found: dict[str, tuple[Listener, ...]] = {}
            for known in registrations:
                if known.event.matches(event):
                    listener = Listener(known.hint, known.pre_hint, known.let_in)
                    found[known.plugin] = (*found.get(known.plugin, ()), listener)
            if found:
                listeners[scheduler] = found
        return listeners


def _resources(
    registrations: Mapping[str, Iterable[HintRegistration]],
) -> frozenset[EventResource | str]:
    named = {known.event.resource for regs in registrations.values() for known in regs}
    if EventResource.WILDCARD in named:
        named.remove(EventResource.WILDCARD)
        named.update(known.event.resource for known in EVERYTHING)
    return frozenset(named)


def _have_pre_hints(listeners: Mapping[str, PluginListeners]) -> bool:
    return any(
        listener.pre_hint is not None
        for plugins in listeners.values()
        for ears in plugins.values()
        for listener in ears
    )


def _uid(old: object, new: object) -> str:
    pod = old if new is None else new
    return pod.uid if isinstance(pod, Pod) else ""
