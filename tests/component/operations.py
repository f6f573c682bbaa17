"""What a scheduler does, counted from outside: hooks, rows, hints, requests, decoded objects.

Plugins, transport and decoder are wrapped before the scheduler is assembled, so that counting costs
a real one nothing and no counter is left in its code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from pyscheduler.api.codec import Decoder
from pyscheduler.client.transport import Response, Stream, Transport
from pyscheduler.framework import ClusterEventWithHint, Plugin
from pyscheduler.framework.cluster_events import HintFn, QueueingHint
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from tests.component.world import World

#: Hooks that judge nodes: those of one node, those of a whole table.
PER_NODE = ("filter", "score")
WHOLE = ("filter_nodes", "score_nodes")
_OTHER_HOOKS = (
    "pre_enqueue",
    "pre_filter",
    "add_pod",
    "remove_pod",
    "post_filter",
    "pre_score",
    "normalize",
    "reserve",
    "unreserve",
    "permit",
    "pre_bind_pre_flight",
    "pre_bind",
    "bind",
    "post_bind",
    "sign_pod",
)


class Call(NamedTuple):
    """A hook was called for so many rows; 0 for hooks that judge none."""

    plugin: str
    hook: str
    rows: int


@dataclass
class Operations:
    """Counts since the last `clear`."""

    calls: Counter[Call] = field(default_factory=Counter)
    #: plugin -> hints asked
    hints: Counter[str] = field(default_factory=Counter)
    #: what was written: binding, event, or as in ``PATCH pods/status``
    writes: Counter[str] = field(default_factory=Counter)
    #: plural -> lines of its watches
    watch_events: Counter[str] = field(default_factory=Counter)
    #: kind -> objects decoded, of watches and lists
    decoded: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Counting begins anew."""
        for counts in (self.calls, self.hints, self.writes, self.watch_events, self.decoded):
            counts.clear()

    def called(self, hook: str, plugin: str | None = None) -> int:
        """How often that hook was called, of one plugin or of all."""
        return sum(
            times
            for call, times in self.calls.items()
            if call.hook == hook and plugin in (None, call.plugin)
        )

    def rows(self, plugin: str | None = None) -> int:
        """Rows judged by Filter and Score in either form, of one plugin or of all."""
        return sum(
            call.rows * times
            for call, times in self.calls.items()
            if call.hook in PER_NODE + WHOLE and plugin in (None, call.plugin)
        )

    def most_rows(self) -> int:
        """The rows of the largest table that any plugin judged."""
        return max((call.rows for call in self.calls), default=0)

    def over(self, rows: int) -> dict[str, int]:
        """Plugin -> calls that judged at least so many rows."""
        found: Counter[str] = Counter()
        for call, times in self.calls.items():
            if call.hook in WHOLE and call.rows >= rows:
                found[call.plugin] += times
        return dict(found)


class CountingRegistry(Registry):
    """Makes plugins whose hooks and hints are counted."""

    def __init__(self, operations: Operations, classes: Iterable[type[Plugin[Any]]] = ()) -> None:
        """The in-tree plugins and these."""
        super().__init__({**IN_TREE, **{known.name: known for known in classes}}, DEFAULT_PLUGINS)
        self._operations = operations

    def make(self, name: str, args: BaseModel, handle: Handle) -> Plugin[Any]:
        plugin: Any = super().make(name, args, handle)
        for hook in (*PER_NODE, *WHOLE, *_OTHER_HOOKS):
            if hasattr(plugin, hook):
                setattr(plugin, hook, self._counted(name, hook, getattr(plugin, hook)))
        if hasattr(plugin, "events_to_register"):
            registered: Sequence[ClusterEventWithHint] = plugin.events_to_register()
            counted = [
                replace(each, hint=self._counted_hint(name, each.hint)) for each in registered
            ]
            plugin.events_to_register = lambda: counted
        made: Plugin[Any] = plugin
        return made

    def _counted(self, plugin: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        calls = self._operations.calls

        def counted(*args: Any) -> Any:
            rows = 1 if hook in PER_NODE else 0
            if hook in WHOLE:
                rows = next(arg.n for arg in args if isinstance(arg, NodeTable))
            calls[Call(plugin, hook, rows)] += 1
            return function(*args)

        return counted

    def _counted_hint(self, plugin: str, hint: HintFn | None) -> HintFn | None:
        if hint is None:
            return None

        def counted(pod: Any, old: object, new: object) -> QueueingHint:
            self._operations.hints[plugin] += 1
            return hint(pod, old, new)

        return counted


class CountingTransport:
    """A `Transport` that counts what is written through it, and what its watches tell."""

    name = "counting"

    def __init__(self, inner: Transport, operations: Operations) -> None:
        self._inner = inner
        self._operations = operations

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, **options: Any
    ) -> Response:
        if method != "GET":
            self._operations.writes[_kind_of_write(method, path)] += 1
        return await self._inner.request(method, path, body=body, **options)

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        async with self._inner.stream(path, params) as stream:
            chunks = self._counted(path.rpartition("/")[2], stream.chunks)
            yield Stream(stream.status, chunks, stream.headers)

    async def close(self) -> None:
        await self._inner.close()

    async def _counted(self, plural: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._operations.watch_events[plural] += chunk.count(b"\n") - chunk.count(b'"BOOKMARK"')
            yield chunk


class CountedWorld(World):
    """A world whose schedulers are counted; `operations` begins anew when told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.operations = Operations()

    def transport(self) -> Transport:
        return CountingTransport(super().transport(), self.operations)

    async def start_counted(
        self,
        *,
        leads: bool = True,
        configuration: str | None = None,
        plugins: Iterable[type[Plugin[Any]]] = (),
    ) -> None:
        """A scheduler follows the cluster, and schedules if it leads."""
        registry = CountingRegistry(self.operations, plugins)
        await self.start_scheduler(leads=leads, registry=registry, configuration=configuration)


def count_decoding(monkeypatch: pytest.MonkeyPatch, operations: Operations) -> None:
    """Every object decoded from now on is counted, whichever way it came."""
    finish = Decoder._finish

    def counted(self: Decoder[Any], decoded: Any) -> Any:
        operations.decoded[self.resource.kind] += 1
        return finish(self, decoded)

    monkeypatch.setattr(Decoder, "_finish", counted)


def _kind_of_write(method: str, path: str) -> str:
    if path.endswith("/binding"):
        return "binding"
    if "/events" in path:
        return "event"
    parts = path.partition("/namespaces/")[2].split("/")[1:]  # all that is written has a namespace
    return f"{method} {'/'.join(parts[:1] + parts[2:])}"
