"""Has a scheduler judge pods on a stage: what oracle and ours have in common.

A judgement: the pod is made, with the scheduler's name; its verdict is what the pods' watch and
the scheduler's log tell; the pod is deleted at once and what it pushed out is put back. All of this
goes through one order of events, the pods' watch, which both schedulers follow: whoever is judged
next finds the state as it was.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.parity.stage import Stage
from tests.parity.verdicts import Verdict, without_zeros
from tests.parity.worlds import Event, Incoming, Manifest, duplicate, reference_of

#: Seconds until a scheduler that says nothing is taken to have nothing to say.
PATIENCE_S = 10.0
#: Seconds between two looks at a log, while the watch is silent.
_LOOK_S = 0.02
#: Looks at claims that are being written to, at most.
_LOOKS = 50
#: Holds back a pod whose companions are not made yet.
_HOLD = "parity.example.com/companions"


@dataclass(slots=True)
class Notes:
    """What a scheduler's log said of one pod: of its first attempt, where there are more."""

    attempts: int = 0
    scores: dict[str, dict[str, int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    gate: str = ""
    gate_message: str = ""
    has_preempted: bool = False
    #: labels of the events that woke it
    woken_by: list[str] = field(default_factory=list)


class LogTail:
    """The lines that were added to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """Yields whole new lines."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


class LiveJudge(abc.ABC):
    """One scheduler at work on the stage's API server."""

    def __init__(self, stage: Stage, *, scheduler_name: str, log_path: Path) -> None:
        self.stage = stage
        self.scheduler_name = scheduler_name
        self._tail = LogTail(log_path)
        self._notes: dict[str, Notes] = {}

    @abc.abstractmethod
    def note(self, line: str, notes_of: Callable[[str], Notes]) -> None:
        """Takes from a line of the log what it says of a pod."""

    def notes(self, key: str) -> Notes:
        """What the log has said of the pod so far."""
        for line in self._tail.lines():
            self.note(line, self._notes_of)
        return self._notes_of(key)

    def _notes_of(self, key: str) -> Notes:
        return self._notes.setdefault(key, Notes())

    def forget(self, key: str) -> None:
        """What was noted of the pod is forgotten."""
        self.notes(key)
        self._notes.pop(key, None)

    async def judge(self, incoming: Incoming) -> Verdict:
        """Returns the verdict; the world is afterwards as it was before."""
        before = self.stage.residents
        self.forget(incoming.key)
        try:
            uid = await self._present(incoming)
            verdict = await self._verdict(incoming.key, uid, before)
            if verdict.node and incoming.companions:
                verdict = replace(verdict, choices=await self._choices(incoming))
            if incoming.event and waits(verdict):
                verdict = replace(verdict, woken=await self._woken(incoming, incoming.event))
            return verdict
        finally:
            await self.stage.remove(incoming.pod)
            for companion in reversed(incoming.companions):
                await self.stage.remove(companion)
            if incoming.may_preempt:
                await self.stage.put_back(sorted(_gone(before, await self.stage.look())))

    async def _woken(self, incoming: Incoming, event: Event) -> str:
        """The label of the event if it lets the waiting pod try again; the event is undone."""
        self.notes(incoming.key).woken_by.clear()
        try:
            await self.stage.apply(event)
            await self.stage.settle()
            return next(iter(self.notes(incoming.key).woken_by), "")
        finally:
            await self.stage.undo(event)

    async def _choices(self, incoming: Incoming) -> Mapping[str, Any]:
        """What was written about the pod's own claims, once nothing more is written."""
        stage, key = self.stage, incoming.key
        before: Mapping[str, Any] = {}
        for _ in range(_LOOKS):
            chosen = await stage.choices(incoming.companions)
            is_bound = bool(stage.pods.get(key, {}).get("spec", {}).get("nodeName"))
            if is_bound or (chosen and chosen == before):
                return chosen
            before = chosen
            await asyncio.sleep(_LOOK_S)
        return before

    async def _present(self, incoming: Incoming) -> str:
        """The pod may be tried; returns its uid."""
        pod = duplicate(incoming.pod)
        pod["spec"]["schedulerName"] = self.scheduler_name
        uid_of_pod = f"$uid({reference_of(pod)})"
        children = [one for one in incoming.companions if uid_of_pod in str(one)]
        for companion in incoming.companions:
            if companion not in children:
                await self.stage.make(companion)
        if incoming.companions and not children:
            await self.stage.settle()
        if not children:
            return _uid(await self.stage.make(pod))
        gates = pod["spec"].get("schedulingGates", [])
        held = duplicate(pod)
        held["spec"]["schedulingGates"] = [*gates, {"name": _HOLD}]
        made = await self.stage.make(held)
        for child in children:
            await self.stage.make(child)
        await self.stage.settle()
        self.forget(incoming.key)
        await self.stage.ungate(pod, gates)
        return _uid(made)

    async def _verdict(self, key: str, uid: str, before: dict[str, Manifest]) -> Verdict:
        stage = self.stage

        def has_spoken() -> bool:
            pod = stage.pods.get(key)
            if pod is None or pod["metadata"]["uid"] != uid:  # the watch still tells of its twin
                return False
            if _host(pod) or _condition(pod).get("reason") in _ANSWERS:
                return True
            return bool(self.notes(key).gate)

        if not await stage.until(has_spoken, timeout_s=PATIENCE_S, poll_s=_LOOK_S):
            return Verdict(reason="silence")
        pod = stage.pods[key]
        notes = self.notes(key)
        condition = _condition(pod)
        host = _host(pod)
        nominated = "" if host else pod["status"].get("nominatedNodeName", "")
        victims: tuple[str, ...] = ()
        if nominated:
            await stage.until(
                lambda: self.notes(key).has_preempted, timeout_s=PATIENCE_S, poll_s=_LOOK_S
            )
            victims = tuple(sorted(_gone(before, await stage.look())))
        is_bound = bool(host)
        # one that preempts is gated, too, but only after its attempt
        is_gated = bool(notes.gate) and not is_bound and not notes.attempts
        return Verdict(
            node=host,
            reason="" if is_bound or is_gated else condition.get("reason", ""),
            message=(
                notes.gate_message if is_gated else "" if is_bound else condition.get("message", "")
            ),
            gate=notes.gate if is_gated else "",
            plugins=notes.plugins,
            scores=without_zeros(notes.scores),
            totals=dict(notes.totals),
            nominated=nominated,
            victims=victims,
            rejected=dict(notes.rejected),
        )


def waits(verdict: Verdict) -> bool:
    """Whether the pod was tried, and only an event brings it back."""
    return verdict.reason == "Unschedulable" and not verdict.nominated


#: Reasons of a PodScheduled condition that a scheduler gave.
_ANSWERS = ("Unschedulable", "SchedulerError")


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])


def _host(pod: Manifest) -> str:
    """Where the pod is, or is expected while its volumes are being bound."""
    host = pod["spec"].get("nodeName", "")
    if not host and not _condition(pod):
        host = pod["status"].get("nominatedNodeName", "")
    return str(host)


def _condition(pod: Manifest) -> Manifest:
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return dict(condition)
    return {}


def _gone(before: dict[str, Manifest], now: dict[str, Manifest]) -> set[str]:
    """Pods that were there and left, or are about to."""
    return {
        key
        for key, pod in before.items()
        if "deletionTimestamp" not in pod["metadata"]
        and (
            key not in now
            or now[key]["metadata"]["uid"] != pod["metadata"]["uid"]
            or "deletionTimestamp" in now[key]["metadata"]
        )
    }
