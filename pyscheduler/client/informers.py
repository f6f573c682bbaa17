"""The resources that plugins follow: one shared informer each, whoever asks for it.

    made      plugins ask in their `__init__`, and for the events they register: nothing runs yet
    run       a reflector follows each resource that somebody asked for, and no other
    synced    everything that was asked for before `run` has been listed

A resource that the server does not serve (a custom resource whose definition is not installed yet)
is asked for again until it is; the scheduler is not ready before, as kube-scheduler would not be,
unless nobody named that resource: a plugin without events of its own hears of all built-in kinds,
and a cluster need not have them all.

Apart from `informer`, which knows objects by their metadata; here plugins see them as they want
them, and whatever a handler of theirs raises stays with it.

Called by: plugins, as ``handle.informers`` and ``handle.listers``; ``app.assembly`` makes it and
runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Generic, TypeVar

import structlog

from pyscheduler.api.codec import BUILT_IN, Interner, decoder
from pyscheduler.api.resource_types import resource_named
from pyscheduler.client.any_kind import decoder_of
from pyscheduler.client.informer import Informer
from pyscheduler.client.reflector import Reflector
from pyscheduler.client.sink import NoReflectorMetrics, ReflectorMetrics
from pyscheduler.client.transport import Transport
from pyscheduler.clock import Clock
from pyscheduler.framework.informers import ResourceHandler

T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: In place of a model: whatever others want.
_ANY_MODEL = object()


class ResourceInformer(Generic[T]):
    """``framework.Informer`` and ``framework.Lister`` of one resource."""

    def __init__(self, name: str, store: Informer[Any]) -> None:
        self.name = name
        self._store = store
        #: What plugins see of an object in the store; known for sure when the first one comes.
        self.value_of: Callable[[Any], T] = _itself

    @property
    def lister(self) -> ResourceInformer[T]:
        """What is there."""
        return self

    def get(self, key: str) -> T | None:
        """Return the object named ``namespace/name`` (``name`` if it has no namespace)."""
        found = self._store.get(key)
        return None if found is None else self.value_of(found)

    def list(self, namespace: str | None = None) -> list[T]:
        """Return all objects, or those of one namespace."""
        value_of = self.value_of
        if namespace is None:
            return [value_of(known) for known in self._store]
        return [value_of(known) for known in self._store if known.metadata.namespace == namespace]

    def add_handler(self, handler: ResourceHandler[T]) -> None:
        """Tell `handler` of everything there is and of all changes from now on."""
        self._store.add_handler(_Guarded(self, handler))


#: what a handler may raise at its own cost; `sys.exit` in a library is no reason to end
_FAULTS = (Exception, SystemExit)


class _Guarded(Generic[T]):
    """A plugin's handler: what it raises is logged and goes no further."""

    def __init__(self, informer: ResourceInformer[T], handler: ResourceHandler[T]) -> None:
        self._informer = informer
        self._handler = handler

    def on_add(self, added: Any, initial: bool) -> None:  # the informer's own signature
        try:
            self._handler.on_add(self._informer.value_of(added), initial)
        except _FAULTS:  # foreign code; the others must be told all the same
            self._report("on_add")

    def on_update(self, old: Any, new: Any) -> None:
        value_of = self._informer.value_of
        try:
            self._handler.on_update(value_of(old), value_of(new))
        except _FAULTS:
            self._report("on_update")

    def on_delete(self, deleted: Any) -> None:
        try:
            self._handler.on_delete(self._informer.value_of(deleted))
        except _FAULTS:
            self._report("on_delete")

    def _report(self, method: str) -> None:
        kind = type(self._handler)
        _log.exception(
            "handler of an informer raised",
            resource=self._informer.name,
            handler=f"{kind.__module__}.{kind.__qualname__}.{method}",
        )


class _Followed:
    """One resource and what is known about who wants it."""

    def __init__(self, name: str, store: Informer[Any], *, model: Any, is_ours: bool) -> None:
        self.store = store
        self.informer: ResourceInformer[Any] = ResourceInformer(name, store)
        #: what the objects are read into; None is JSON
        self.model = model
        #: a reflector of ours is to follow it; the scheduler has others for pods and nodes
        self.is_ours = is_ours
        #: who wants it, in the order of asking
        self.asked_by: dict[str, None] = {}
        #: without it the scheduler is not ready
        self.is_required = False
        self.reflector: Reflector[Any] | None = None


class SharedInformers:
    """All resources that plugins follow.

    Args:
        transport: reads them.
        interner: shares parts of objects.
        clock: time.
        rng: jitter.
        metrics: gives the counters of one resource.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        interner: Interner,
        clock: Clock,
        rng: Random,
        metrics: Callable[[str], ReflectorMetrics] | None = None,
    ) -> None:
        self._transport = transport
        self._interner = interner
        self._clock = clock
        self._rng = rng
        self._metrics = metrics if metrics is not None else _no_metrics
        self._followed: dict[str, _Followed] = {}
        #: runs the reflectors, from the beginning of `run` on
        self._group: asyncio.TaskGroup | None = None

    def share(self, name: str, store: Informer[Any]) -> None:
        """Let plugins have part in what the scheduler follows anyway."""
        self._followed[name] = _Followed(name, store, model=BUILT_IN[name].struct, is_ours=False)

    def for_plugin(self, plugin: str) -> PluginInformers:
        """Return what that plugin's handle offers."""
        return PluginInformers(self, plugin)

    def follow(
        self, name: str, *, asked_by: str, model: Any = _ANY_MODEL, is_required: bool = True
    ) -> ResourceInformer[Any]:
        """Return the informer of a resource, which is followed from now on (or from `run` on).

        Args:
            name: ``plural.version.group``.
            asked_by: the plugin that wants it.
            model: what its objects are to be read into; None is JSON. Left out, it is what others
                want, or else the struct that `api` has for it, or else JSON.
            is_required: the scheduler is not ready without it.

        Raises:
            ValueError: the name is not of that form, or the resource is read into another model.
        """
        followed = self._followed.get(name)
        if followed is None:
            resource_named(name, object)
            known = BUILT_IN.get(name)
            store: Informer[Any] = Informer(clock=self._clock)
            followed = _Followed(
                name, store, model=_ANY_MODEL if known is None else known.struct, is_ours=True
            )
        self._settle_model(name, followed, model)
        self._followed[name] = followed
        followed.asked_by[asked_by] = None
        if self._group is None:
            followed.is_required |= is_required
        else:
            self._start(name, followed, self._group)
        return followed.informer

    async def run(self) -> None:
        """Follow everything that is asked for, until cancelled.

        Raises:
            ClientError: the very first look was refused, or the server's certificate is wrong.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for name, followed in self._followed.items():
                    self._start(name, followed, group)
                await asyncio.get_running_loop().create_future()  # others may be asked for later
            finally:
                self._group = None

    async def wait_synced(self) -> None:
        """Return when all that is required has been listed."""
        for followed in [*self._followed.values()]:
            if followed.is_required:
                await followed.store.synced.wait()

    def missing(self) -> list[str]:
        """Return a line about each resource that is required and has not been listed yet."""
        return [
            _missing(name, followed)
            for name, followed in [*self._followed.items()]
            if followed.is_required and not followed.store.synced.is_set()
        ]

    def _settle_model(self, name: str, followed: _Followed, model: Any) -> None:
        if model is _ANY_MODEL or model is followed.model:
            return
        if followed.model is not _ANY_MODEL:
            others = ", ".join(followed.asked_by) or "the scheduler"
            raise ValueError(
                f"{name} is read into {_name_of(followed.model)} for {others}:"
                f" ask for that, not for {_name_of(model)}"
            )
        if model is not None:
            decoder_of(name, model, self._interner)
        followed.model = model

    def _start(self, name: str, followed: _Followed, group: asyncio.TaskGroup) -> None:
        if not followed.is_ours or followed.reflector is not None:
            return
        if followed.model is _ANY_MODEL:
            followed.model = None
        known = BUILT_IN.get(name)
        if known is not None and followed.model is known.struct:
            reads = decoder(known, self._interner)
        else:
            reads = decoder_of(name, followed.model, self._interner)
            followed.informer.value_of = _value
        followed.reflector = Reflector(
            self._transport,
            reads,
            followed.store,
            asked_by=", ".join(followed.asked_by),
            is_optional=not followed.is_required,
            clock=self._clock,
            rng=self._rng,
            metrics=self._metrics(name),
        )
        group.create_task(followed.reflector.run(), name=f"reflector of {name}")


class PluginInformers:
    """``framework.Informers`` of one plugin."""

    def __init__(self, shared: SharedInformers, plugin: str) -> None:
        self._shared = shared
        self._plugin = plugin

    @property
    def listers(self) -> PluginListers:
        """``framework.Listers`` of the same plugin."""
        return PluginListers(self)

    def of(self, resource: str, model: type[Any] | None = None) -> ResourceInformer[Any]:
        """Return the informer of `resource`, followed from now on."""
        return self._shared.follow(resource, asked_by=self._plugin, model=model)


class PluginListers:
    """``framework.Listers`` of one plugin."""

    def __init__(self, informers: PluginInformers) -> None:
        self._informers = informers

    def of(self, resource: str, model: type[Any] | None = None) -> ResourceInformer[Any]:
        """Return the lister of `resource`, followed from now on."""
        return self._informers.of(resource, model).lister


def _itself(known: Any) -> Any:
    return known


def _value(known: Any) -> Any:
    return known.value


def _no_metrics(_name: str) -> ReflectorMetrics:
    return NoReflectorMetrics()


def _name_of(model: Any) -> str:
    return "JSON" if model is None else f"{model.__module__}.{model.__qualname__}"


def _missing(name: str, followed: _Followed) -> str:
    line = f"{name} (for {', '.join(followed.asked_by)})"
    problem = "" if followed.reflector is None else followed.reflector.problem
    return f"{line}: {problem}" if problem else line
