"""From an event to the waiting entities it may help: by rejecting plugin, then by hint.

Plugins register for events; an event is of interest to an entity only if a plugin that rejected it
registered for it, and then that plugin's hint is asked. What matches what is worked out once per
kind of event and remembered.

Called by: ``scheduling_queue``; ``app.assembly`` makes the `QueueingHintMap` from the profiles.

Source: kube-scheduler 1.37, ``scheduler.go`` buildQueueingHintMap and ``scheduling_queue.go``
isPodWorthRequeuing. Knowing difference: an update of the waiting pod itself (TargetPod) also
reaches plugins that registered for UnscheduledPod, as it did before 1.37 told the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.framework.cluster_events import (
    NODE_TAINTS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
    HintFn,
    QueueingHint,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.observing import QueueMetrics


@dataclass(frozen=True, slots=True)
class HintRegistration:
    """One plugin's wish to hear of an event; hint None means that any such event may help."""

    plugin: str
    event: ClusterEvent
    #: wrapped by the runtime: it never raises, a fault counts as QUEUE
    hint: HintFn | None = None


QueueingHintMap = Mapping[str, Sequence[HintRegistration]]
"""Scheduler name (profile) to the registrations of its plugins, in profile order."""

PluginHints = Mapping[str, tuple[HintFn | None, ...]]


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
    #: scheduler name to plugin to hints
    listeners: Mapping[str, PluginHints]

    @property
    def is_empty(self) -> bool:
        """True when the event can help nobody, so that it may be dropped unseen."""
        return not self.is_wildcard and not self.listeners


class HintIndex:
    """The registrations, by event."""

    __slots__ = ("_audiences", "_clock", "_metrics", "_registrations")

    def __init__(
        self, hints: QueueingHintMap, *, clock: Clock, metrics: QueueMetrics | None = None
    ) -> None:
        self._registrations = {name: with_taint_updates(regs) for name, regs in hints.items()}
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
            known = self._audiences[event] = Audience(event, event.label, wildcard, listeners)
        return known

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
        listeners = audience.listeners.get(entity.pod.scheduler_name)
        if listeners is None or (gating and gating not in listeners):
            return Requeue.SKIP
        verdict = Requeue.SKIP
        for plugin, hints in listeners.items():
            if plugin in pending:
                best = Requeue.IMMEDIATELY
            elif plugin in rejecting or plugin == gating:
                best = Requeue.AFTER_BACKOFF
            else:
                continue
            if best > verdict and self._any_queues(plugin, hints, entity.pod, audience, old, new):
                verdict = best
                if best is Requeue.IMMEDIATELY or not pending:
                    break
        return verdict

    def _any_queues(
        self,
        plugin: str,
        hints: Iterable[HintFn | None],
        pod: Pod,
        audience: Audience,
        old: object,
        new: object,
    ) -> bool:
        for hint in hints:
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

    def _find_listeners(self, event: ClusterEvent) -> dict[str, PluginHints]:
        listeners: dict[str, PluginHints] = {}
        for scheduler, registrations in self._registrations.items():
            hints: dict[str, tuple[HintFn | None, ...]] = {}
            for registration in registrations:
                if _hears(registration.event, event):
                    plugin = registration.plugin
                    hints[plugin] = (*hints.get(plugin, ()), registration.hint)
            if hints:
                listeners[scheduler] = hints
        return listeners


def with_taint_updates(registrations: Sequence[HintRegistration]) -> tuple[HintRegistration, ...]:
    """Adds taint updates for plugins that hear of new nodes but not of their taints.

    A node often arrives with a not-ready taint; its removal is what makes the node usable.

    Source: kube-scheduler 1.37, ``scheduler.go`` buildQueueingHintMap (#109437, #110175).
    """
    of_nodes: dict[str, ActionType] = {}
    for registration in registrations:
        if registration.event.resource in (EventResource.NODE, EventResource.WILDCARD):
            known = of_nodes.get(registration.plugin, ActionType(0))
            of_nodes[registration.plugin] = known | registration.event.action
    added = [
        HintRegistration(plugin, NODE_TAINTS_CHANGED)
        for plugin, actions in of_nodes.items()
        if actions & ActionType.ADD and not actions & ActionType.UPDATE_NODE_TAINT
    ]
    return (*registrations, *added)


def _hears(registered: ClusterEvent, incoming: ClusterEvent) -> bool:
    if registered.matches(incoming):
        return True
    if incoming.resource is not EventResource.TARGET_POD:
        return False
    return registered.matches(ClusterEvent(EventResource.UNSCHEDULED_POD, incoming.action))
