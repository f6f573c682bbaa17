"""Who belongs to which gang, and which of them have a place.

The plugin's memory between hooks. Members are learnt from the pod watch and from the hooks
themselves, which may run before the watch's handlers do; a member has a place from Reserve (or from
the watch, if somebody else bound it) until Unreserve or its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyscheduler.api.core_v1 import Pod
from pyscheduler_coscheduling.pod_groups import PodGroup, group_key

#: Seconds that a group is held back at first and at most, the scheduler's own
#: podInitialBackoffSeconds and podMaxBackoffSeconds by default.
_FIRST_BACKOFF_S, _MAX_BACKOFF_S = 1.0, 10.0


@dataclass(slots=True)
class Gang:
    """The pods of one group that exist now."""

    #: by uid
    members: dict[str, Pod] = field(default_factory=dict)
    #: uids of members with a place: bound, being bound, or waiting at Permit
    placed: set[str] = field(default_factory=set)
    #: for how many seconds the group was held back last; 0 = never, or it was complete since
    backoff_s: float = 0.0
    #: seconds on the clock until which its pods are held back; 0 = one was tried since, or never
    denied_until: float = 0.0
    #: how many members were asked to be tried since
    _asked: int = 0

    def deny(self, now: float, *, chance: float) -> None:
        """The group was turned down: its pods are held back for 1, 2, 4 ... 10 s.

        Args:
            now: seconds on the clock.
            chance: from 0 to 1; holds it back for up to half as long again. Two groups that were
                turned down together must not meet again each time.
        """
        if self.denied_until > now:
            return  # by another of its pods, a moment ago
        self.backoff_s = min(max(2 * self.backoff_s, _FIRST_BACKOFF_S), _MAX_BACKOFF_S)
        self.denied_until = now + self.backoff_s * (1.0 + chance / 2)
        self._asked = 0

    def tried(self) -> None:
        """One of its pods has its attempt."""
        self.denied_until = 0.0

    def complete(self) -> None:
        """Enough have a place: the next time that it is turned down is the first again."""
        self.backoff_s = self.denied_until = 0.0

    def next_to_try(self) -> list[Pod]:
        """One member, and another at each call: the one before may be held back by somebody else.

        None once all were asked: whoever holds them back will let them go.
        """
        waiting = self.unplaced()[self._asked : self._asked + 1]
        self._asked += 1
        if not waiting:
            self.denied_until = 0.0
        return waiting

    def is_complete(self, group: PodGroup) -> bool:
        """Enough have a place."""
        return len(self.placed) >= group.spec.min_member

    def unplaced(self) -> list[Pod]:
        """Members that still need a place."""
        return [pod for uid, pod in self.members.items() if uid not in self.placed]


class Gangs:
    """All gangs by group key; one without members is forgotten. A handler of the pod watch."""

    def __init__(self) -> None:
        self._gangs: dict[str, Gang] = {}

    def of(self, pod: Pod) -> Gang:
        """The gang of ``pod``, which is a member from now on."""
        gang = self._gangs.setdefault(group_key(pod), Gang())
        gang.members[pod.uid] = pod
        return gang

    def place(self, pod: Pod) -> None:
        """``pod`` has a place."""
        self.of(pod).placed.add(pod.uid)

    def displace(self, pod: Pod) -> None:
        """``pod`` has none any more, unless it is bound after all; harmless if it had none."""
        gang = self._gangs.get(group_key(pod))
        if gang is None:
            return
        member = gang.members.get(pod.uid)
        if member is None or not member.node_name:
            gang.placed.discard(pod.uid)

    def named(self, key: str) -> Gang | None:
        """The gang of that group; None while it has no members."""
        return self._gangs.get(key)

    def denied(self) -> list[Gang]:
        """The gangs that were turned down and have not been tried again."""
        return [gang for gang in self._gangs.values() if gang.denied_until]

    def __len__(self) -> int:
        return len(self._gangs)

    # --- the pod watch ---

    def on_add(self, added: Pod, initial: bool) -> None:  # the informer's signature
        """A pod is there, with a place if it has a node."""
        if group_key(added):
            gang = self.of(added)
            if added.node_name:
                gang.placed.add(added.uid)

    def on_update(self, old: Pod, new: Pod) -> None:
        """A pod changed; its label may have, too."""
        if group_key(old) != group_key(new):
            self.on_delete(old)
        self.on_add(new, initial=False)

    def on_delete(self, deleted: Pod) -> None:
        """A pod is gone, or has ended."""
        key = group_key(deleted)
        gang = self._gangs.get(key)
        if gang is None:
            return
        gang.members.pop(deleted.uid, None)
        gang.placed.discard(deleted.uid)
        if not gang.members:
            del self._gangs[key]
