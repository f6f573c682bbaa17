"""Every call into a plugin goes through here: the only catch-all in the core.

`Instrument.hook` wraps a bound hook once, when a profile is made. The wrapper says what is running
(for the watchdog), times a sample of the calls, and turns whatever is raised into a `PluginFault`
that names plugin and hook; an answer of a wrong type is the same fault. A hint that raises counts
as Queue: it costs an attempt, never liveness.

Called by: ``runtime.profile``, once per plugin and hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, NoReturn, Protocol, TypeVar

import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cluster_events import HintFn, PreHintFn, QueueingHint
from pyscheduler.framework.status import Code, Status
from pyscheduler.telemetry.current_work import CurrentWork

F = TypeVar("F", bound=Callable[..., Any])

_log = structlog.get_logger(__name__)

#: Share of cycles whose hooks are timed. Source: kube-scheduler 1.37, pluginMetricsSamplePercent.
_SAMPLE_ONE_IN = 10

#: What a hook may raise at its own cost. A plain call cannot be cancelled: when CancelledError
#: comes out of it, the plugin looked into something that was.
_FAULTS = (Exception, asyncio.CancelledError)


class PluginFault(PySchedulerError):  # noqa: N818  # a fault is what it is
    """A hook raised, or answered what it may not; costs the pod this attempt."""

    def __init__(self, plugin: str, hook: str, cause: BaseException | str) -> None:
        self.plugin = plugin
        self.hook = hook
        text = cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}"
        super().__init__(f"plugin {plugin} failed in {hook}: {text}")

    def status(self) -> Status:
        """The pod's status: an error, with the plugin's name."""
        return Status(Code.ERROR, (str(self),), self.plugin)


class HookObserver(Protocol):
    """Takes durations and faults; ``telemetry.metrics`` in the real process."""

    def plugin_executed(self, plugin: str, point: str, seconds: float) -> None:
        """One timed call of a hook."""

    def plugin_fault(self, plugin: str, hook: str) -> None:
        """A hook raised, or answered what it may not."""


class Instrument:
    """Wraps hooks of one process."""

    def __init__(
        self, work: CurrentWork, clock: Clock, observer: HookObserver | None = None
    ) -> None:
        self.work = work
        self._clock = clock
        self._observer = observer
        self._cycles = 0
        self._timed = False

    def start_cycle(self, pod: Pod) -> None:
        """A new cycle begins; decides whether its hooks are timed."""
        self.work.pod = pod.key
        self._cycles += 1
        self._timed = self._observer is not None and self._cycles % _SAMPLE_ONE_IN == 0

    def end_cycle(self) -> None:
        """No hook is running any more."""
        self.work.clear()

    def hook(self, plugin: str, point: str, function: F, *, answers: tuple[type, ...] = ()) -> F:
        """``function`` with its faults named; use for sync hooks.

        Args:
            plugin: its name.
            point: the hook, as metrics and messages name it.
            function: the bound hook.
            answers: types that it may answer; any other is a fault. Empty: not looked at.
        """
        work, clock = self.work, self._clock

        def call(*args: Any) -> Any:
            work.plugin, work.hook = plugin, point
            start = clock.monotonic() if self._timed else 0.0
            try:
                answer = function(*args)
                if answers and not isinstance(answer, answers):
                    _refuse(answer, answers)
            except PluginFault:
                raise
            except _FAULTS as error:
                self._count_fault(plugin, point)
                _log.exception("plugin raised", plugin=plugin, hook=point, pod=work.pod)
                raise PluginFault(plugin, point, error) from error
            else:
                return answer
            finally:
                work.plugin = work.hook = ""
                if start and self._observer is not None:
                    self._observer.plugin_executed(plugin, point, clock.monotonic() - start)

        return call  # type: ignore[return-value]  # same call shape

    def async_hook(
        self, plugin: str, point: str, function: F, *, answers: tuple[type, ...] = ()
    ) -> F:
        """The same for hooks that are awaited; others run meanwhile, so nothing is 'current'."""

        async def call(*args: Any) -> Any:
            try:
                answer = await function(*args)
                if answers and not isinstance(answer, answers):
                    _refuse(answer, answers)
            except PluginFault:
                raise
            except _FAULTS as error:
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                self._count_fault(plugin, point)
                # the API refusing a write is no bug of the plugin: its text says it all
                if not isinstance(error, PySchedulerError):
                    _log.exception("plugin raised", plugin=plugin, hook=point)
                raise PluginFault(plugin, point, error) from error
            else:
                return answer

        return call  # type: ignore[return-value]  # same call shape

    def hint(self, plugin: str, function: HintFn | None) -> HintFn | None:
        """A hint that never raises: a fault counts as Queue."""
        if function is None:
            return None

        def call(pod: Pod, old: object, new: object) -> QueueingHint:
            try:
                return function(pod, old, new)
            except _FAULTS:  # foreign code; a fault costs an attempt, never liveness
                self._count_fault(plugin, "QueueingHint")
                _log.exception("queueing hint raised", plugin=plugin, pod=pod.key)
                return QueueingHint.QUEUE

        return call

    def pre_hint(self, plugin: str, function: PreHintFn | None) -> PreHintFn | None:
        """A pre-hint that never raises: after a fault all pods are looked at."""
        if function is None:
            return None

        def call(old: object, new: object) -> Collection[str] | None:
            try:
                keys = function(old, new)
                if isinstance(keys, str):
                    raise TypeError(f"answered the text {keys!r} instead of a collection of keys")
            except Exception:  # noqa: BLE001  # foreign code; a fault costs time, never liveness
                self._count_fault(plugin, "PreQueueingHint")
                _log.exception("pre-queueing hint raised", plugin=plugin)
                return None
            return keys

        return call

    def _count_fault(self, plugin: str, point: str) -> None:
        if self._observer is not None:
            self._observer.plugin_fault(plugin, point)


def is_being_cancelled() -> bool:
    """The running task is to end; else a plugin awaited something that somebody cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refuse(answer: object, answers: tuple[type, ...]) -> NoReturn:
    wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in answers)
    raise TypeError(f"answered {type(answer).__name__} instead of {wanted}")
