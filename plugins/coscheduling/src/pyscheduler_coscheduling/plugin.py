"""Coscheduling: the pods of a PodGroup are bound together, or none of them is.

    PreEnqueue   members are held back until as many exist as the group needs
    QueueSort    members of one group stand together, so that two groups do not take turns
    PreFilter    a member of a group that was just turned down, or deleted, is not tried
    PostFilter   a member fits nowhere: those that wait for it give their places back
    Reserve      counts the member as placed
    Permit       enough are placed: all go on; else this one waits for the others
    Unreserve    the member lost its place: those that wait for it give theirs back

No deadlock: whoever holds a place waits for members that are being tried right now. When one of
them fits nowhere, or time is up, all of the group's waiting places are given back at once, and
another group may have them. No livelock either: a group that was turned down is held back for 1 to
10 seconds and by chance a little longer, so that a large group that is tried in vain does not take
the room of a small one every time; then one of its pods is tried, and if that finds a place the
others follow. A change of the group itself is decided upon at once: one that needs fewer goes on
with those that wait, one that is deleted gives its places back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic import Field

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler_coscheduling.gangs import Gang, Gangs
from pyscheduler_coscheduling.pod_groups import POD_GROUPS, PodGroup, group_key

_GROUPS_CHANGED = fwk.ClusterEvent(POD_GROUPS, fwk.ActionType.ADD | fwk.ActionType.UPDATE)
_PODS_ADDED_OR_RELABELLED = fwk.ClusterEvent(
    fwk.EventResource.POD, fwk.ActionType.ADD | fwk.ActionType.UPDATE_POD_LABEL
)

#: Fine enough for a share of seconds.
_CHANCES = 1000
#: Seconds between two looks at the groups that are held back.
_RETRY_GRAIN_S = 0.5


class CoschedulingArgs(fwk.Args):
    """Arguments of Coscheduling."""

    #: seconds that placed members wait for the others, unless their PodGroup says otherwise
    permit_waiting_time_seconds: int = Field(default=60, ge=1, le=900)


class Coscheduling(
    fwk.QueueSortPlugin,
    fwk.PreEnqueuePlugin,
    fwk.PreFilterPlugin,
    fwk.PostFilterPlugin,
    fwk.ReservePlugin,
    fwk.PermitPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[CoschedulingArgs],
):
    """Binds the pods of a PodGroup together or not at all; other pods do not notice it."""

    def __init__(self, args: CoschedulingArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        groups: fwk.Informer[PodGroup] = handle.informers.of(POD_GROUPS, PodGroup)
        self._groups = groups.lister
        #: who belongs together, and who has a place
        self.gangs = Gangs()
        handle.informers.of("pods.v1", Pod).add_handler(self.gangs)
        groups.add_handler(_GroupChanges(self))
        self._some_denied = asyncio.Event()
        handle.tasks.start(self.retry_denied, name=f"{self.name} retries")

    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[int, float, str, float]:
        """By priority, then by age; a member is as old as its group."""
        pod = entity.pod
        key = group_key(pod)
        group = self._groups.get(key) if key else None
        since = entity.timestamp if group is None else group.created_at
        return -pod.priority, since, key, entity.timestamp

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        """Held back while the group, or one of the members it needs, does not exist."""
        key = group_key(pod)
        if not key:
            return None
        gang = self.gangs.of(pod)
        group = self._groups.get(key)
        if group is None:
            return _not_there(key)
        needed = group.spec.min_member
        if len(gang.members) < needed:
            return fwk.unresolvable(
                f"waiting for {needed} pods of PodGroup {key}, {len(gang.members)} exist"
            )
        return self._denial(key, gang)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Turned down while its group is held back; it was in the queue when that happened."""
        key = group_key(pod)
        if not key:
            return None
        if self._groups.get(key) is None:
            return _not_there(key)
        gang = self.gangs.of(pod)
        denial = self._denial(key, gang)
        if denial is None:
            gang.tried()
        return denial

    async def post_filter(
        self, state: fwk.CycleState, pod: Pod, statuses: fwk.NodeStatuses
    ) -> tuple[fwk.PostFilterResult | None, fwk.Status | None]:
        """The group's waiting members give their places back, unless enough have theirs."""
        key = group_key(pod)
        gang, group = self.gangs.named(key), self._groups.get(key)
        if gang is None or group is None or gang.is_complete(group):
            return None, fwk.unschedulable()
        placed, needed = len(gang.placed), group.spec.min_member
        self._deny(gang, f"pod {pod.key} of the same PodGroup fits nowhere")
        return None, fwk.unschedulable(
            f"PodGroup {key} needs {needed} places at once, found {placed}"
        )

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        """Counts the member as placed."""
        if group_key(pod):
            self.gangs.place(pod)

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        """The member has no place any more; without it those that wait for it have no use."""
        key = group_key(pod)
        self.gangs.displace(pod)
        gang, group = self.gangs.named(key), self._groups.get(key)
        if gang is not None and group is not None and not gang.is_complete(group):
            self._deny(gang, f"pod {pod.key} of the same PodGroup lost its place")

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        """Enough are placed: all go on. Else this one waits, and the others are tried at once."""
        key = group_key(pod)
        if not key:
            return None, 0
        group = self._groups.get(key)
        if group is None:
            return _not_there(key), 0
        gang = self.gangs.of(pod)
        if gang.is_complete(group):
            self._let_go(gang)
            return None, 0
        self.handle.activator.activate(gang.unplaced())
        own = group.spec.schedule_timeout_seconds
        patience_s = self.args.permit_waiting_time_seconds if own is None else own
        return fwk.wait(f"waiting for {group.spec.min_member} pods of PodGroup {key}"), patience_s

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """What lets members in, and what makes room for a group that was turned down."""
        room = (
            fwk.ASSIGNED_POD_DELETED,
            fwk.NODE_ADDED
            | fwk.NODE_ALLOCATABLE_CHANGED
            | fwk.NODE_LABELS_CHANGED
            | fwk.NODE_TAINTS_CHANGED,
        )
        return [
            fwk.ClusterEventWithHint(_GROUPS_CHANGED, self.after_group_change),
            fwk.ClusterEventWithHint(_PODS_ADDED_OR_RELABELLED, self.after_pod_change),
            *(fwk.ClusterEventWithHint(event) for event in room),
        ]

    def after_group_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE for members when their group appears or needs fewer."""
        if not isinstance(new, PodGroup) or new.key != group_key(pod):
            return fwk.QueueingHint.SKIP
        needs_fewer = not isinstance(old, PodGroup) or new.spec.min_member < old.spec.min_member
        return fwk.QueueingHint.QUEUE if needs_fewer else fwk.QueueingHint.SKIP

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE for members when another one joins."""
        joins = isinstance(new, Pod) and group_key(new) == group_key(pod)
        was_there = isinstance(old, Pod) and group_key(old) == group_key(pod)
        return fwk.QueueingHint.QUEUE if joins and not was_there else fwk.QueueingHint.SKIP

    def group_changed(self, group: PodGroup) -> None:
        """Those that wait go on if the group needs no more than these now."""
        gang = self.gangs.named(group.key)
        if gang is not None and gang.is_complete(group):
            self._let_go(gang)

    def group_deleted(self, group: PodGroup) -> None:
        """Nobody knows any more what those that wait are waiting for."""
        gang = self.gangs.named(group.key)
        if gang is not None:
            self._turn_down(gang, f"PodGroup {group.key} was deleted")

    async def retry_denied(self) -> None:
        """Tries one pod of each group whose time has come; runs while the scheduler does."""
        clock = self.handle.clock
        while True:
            denied = self.gangs.denied()
            if not denied:
                self._some_denied.clear()
                await self._some_denied.wait()
                continue
            now = clock.monotonic()
            for gang in denied:
                if gang.denied_until <= now:
                    self.handle.activator.activate(gang.next_to_try())
            await clock.sleep(_RETRY_GRAIN_S)

    def _denial(self, key: str, gang: Gang) -> fwk.Status | None:
        if gang.denied_until <= self.handle.clock.monotonic():
            return None
        return fwk.unresolvable(f"PodGroup {key} was turned down a moment ago")

    def _deny(self, gang: Gang, message: str) -> None:
        chance = self.handle.rng.randrange(_CHANCES) / _CHANCES
        gang.deny(self.handle.clock.monotonic(), chance=chance)
        self._some_denied.set()
        self._turn_down(gang, message)

    def _let_go(self, gang: Gang) -> None:
        gang.complete()
        for waiting in self._waiting(gang):
            waiting.allow(self.name)

    def _turn_down(self, gang: Gang, message: str) -> None:
        for waiting in self._waiting(gang):
            waiting.reject(self.name, message)

    def _waiting(self, gang: Gang) -> list[fwk.WaitingPod]:
        found = [self.handle.waiting_pods.get(uid) for uid in gang.placed]
        return [waiting for waiting in found if waiting is not None]


class _GroupChanges:
    """The handler of the PodGroup watch."""

    def __init__(self, plugin: Coscheduling) -> None:
        self._plugin = plugin

    def on_add(self, added: PodGroup, initial: bool) -> None:  # the informer's signature
        """Its members are let in by the queue."""

    def on_update(self, old: PodGroup, new: PodGroup) -> None:
        """It may need fewer."""
        self._plugin.group_changed(new)

    def on_delete(self, deleted: PodGroup) -> None:
        """It is gone."""
        self._plugin.group_deleted(deleted)


def _not_there(key: str) -> fwk.Status:
    return fwk.unresolvable(f"waiting for PodGroup {key} to be created")
