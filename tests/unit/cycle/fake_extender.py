"""An extender without a process: it answers what a test says, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.extender_v1 import (
    ExtenderFilterResult,
    HostPriority,
    MetaPod,
    MetaVictims,
    NamedNode,
    NodeList,
    NodeMeta,
)
from pyscheduler.config.models import Extender as ExtenderConfig
from pyscheduler.errors import PySchedulerError
from pyscheduler.preemption.candidates import Victims


class OutOfOrderError(PySchedulerError):
    """What a broken extender raises."""


def config(*verbs: str, **fields: object) -> ExtenderConfig:
    """An extender's configuration with these verbs, each called as its field."""
    named = {f"{verb}Verb": verb for verb in verbs}
    return ExtenderConfig.model_validate(
        {"urlPrefix": "http://extender/", "weight": 1, **named, **fields}
    )


@dataclass
class FakeExtender:
    """Lets everything pass unless told otherwise."""

    config: ExtenderConfig
    keeps: Callable[[str], bool] = lambda name: True
    failed: Mapping[str, str] = field(default_factory=dict)
    unresolvable: Mapping[str, str] = field(default_factory=dict)
    answers: ExtenderFilterResult | None = None
    scores: Sequence[tuple[str, int]] = ()
    #: node name -> uids of victims; None: all that were named
    victims: Mapping[str, Sequence[str]] | None = None
    pdb_violations: int = 0
    is_broken: bool = False
    #: set: filter waits for it
    gate: asyncio.Event | None = None
    #: verb and what it was asked about
    asked: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    is_closed: bool = False

    async def filter(self, pod: Pod, nodes: Sequence[Node]) -> ExtenderFilterResult:
        names = [node.name for node in nodes]
        self._ask("filter", names)
        if self.gate is not None:
            await self.gate.wait()
        if self.answers is not None:
            return self.answers
        lost = {*self.failed, *self.unresolvable}
        kept = tuple(name for name in names if name not in lost and self.keeps(name))
        is_cached = self.config.node_cache_capable
        return ExtenderFilterResult(
            nodes=None if is_cached else node_list(*kept),
            node_names=kept if is_cached else None,
            failed_nodes=dict(self.failed),
            failed_and_unresolvable_nodes=dict(self.unresolvable),
        )

    async def prioritize(self, pod: Pod, nodes: Sequence[Node]) -> Sequence[HostPriority]:
        self._ask("prioritize", [node.name for node in nodes])
        return [HostPriority(host, score) for host, score in self.scores]

    async def preempt(self, pod: Pod, victims: Mapping[str, Victims]) -> Mapping[str, MetaVictims]:
        self._ask("preempt", [*victims])
        if self.victims is None:
            named = {name: [pod.uid for pod in there.pods] for name, there in victims.items()}
        else:
            named = {name: [*uids] for name, uids in self.victims.items()}
        return {
            name: MetaVictims(tuple(MetaPod(uid) for uid in uids), self.pdb_violations)
            for name, uids in named.items()
        }

    async def bind(self, pod: Pod, node_name: str) -> None:
        self._ask("bind", [pod.name, node_name])

    async def close(self) -> None:
        self.is_closed = True

    def _ask(self, verb: str, about: Sequence[str]) -> None:
        self.asked.append((verb, about))
        if self.is_broken:
            raise OutOfOrderError("http://extender/: no answer in 5 s")


def node_list(*names: str) -> NodeList:
    return NodeList(tuple(NamedNode(NodeMeta(name)) for name in names))
