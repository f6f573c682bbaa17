"""Every call into a plugin goes through here: the only catch-all in the core.

`Instrument.hook` wraps a bound hook once, when a profile is made. The wrapper says what is running
(for the watchdog), times a sample of the calls, and turns whatever is raised into a `PluginFault`
that names plugin and hook; an answer that nobody can read is the same fault (see ``answers``), and
so is a call that held the event loop for too long, once it came back. A hint's fault counts as
Queue: it costs an attempt, never liveness.

Called by: ``runtime.profile``, once per plugin and hook.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Protocol, TypeVar

import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cluster_events import HintFn, PreHintFn, QueueingHint
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.nodes import NodeInfo
from pyscheduler.framework.status import SKIP, Code, Status
from pyscheduler.runtime.answers import Answers, OddAnswer, check_keys
from pyscheduler.telemetry.current_work import HELD_TOO_LONG_S, CurrentWork

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: Share of cycles whose hooks are timed. Source: kube-scheduler 1.37, pluginMetricsSamplePercent.
_SAMPLE_ONE_IN = 10

#: What no hook answers.
_NO_ANSWER: Final = object()

#: Hooks whose answer stands however long they held the loop: what they did cannot be undone.
_IRREVOCABLE: Final = frozenset({"Bind", "PostBind", "Unreserve"})


#: What pods are told of a fault in these hooks, before its text. A fault in any other reaches no
#: pod, or has no words there. Source: kube-scheduler 1.37, ``framework/runtime/framework.go``.
_TOLD_AS: Final = {
    "PreFilter": 'running PreFilter plugin "{}"',
    "AddPod": 'running AddPod on PreFilter plugin "{}"',
    "RemovePod": 'running RemovePod on PreFilter plugin "{}"',
    "Filter": 'running "{}" filter plugin',
    "PreScore": 'running PreScore plugin "{}"',
    "Score": 'running Score plugins: plugin "{}" failed with',
    "ScoreExtensionNormalize": 'running Normalize on Score plugins: plugin "{}" failed with',
    "Reserve": 'running Reserve plugin "{}"',
    "Permit": 'running Permit plugin "{}"',
    "PreBindPreFlight": 'running PreBindPreFlight "{}"',
    "PreBind": 'running PreBind plugin "{}"',
    "Bind": 'running Bind plugin "{}"',
}


class PluginFault(PySchedulerError):  # noqa: N818  # a fault is what it is
    """A hook raised, or answered what it may not; costs the pod this attempt.

    Its text is what the pod's condition and event say.
    """

    def __init__(
        self, plugin: str, hook: str, cause: BaseException | str, *, told: str = ""
    ) -> None:
        """Words the fault.

        Args:
            plugin: whose it is.
            hook: where it was met.
            cause: what was raised, or what is wrong.
            told: the whole text, where it does not follow from the hook.
        """
        self.plugin = plugin
        self.hook = hook
        says_it_all = isinstance(cause, (str, OddAnswer, PySchedulerError))
        text = str(cause) if says_it_all else f"{type(cause).__name__}: {cause}"
        told_as = _TOLD_AS.get(hook, f"plugin {{}} failed in {hook}")
        super().__init__(told or f"{told_as.format(plugin)}: {text}")

    def status(self) -> Status:
        """The pod's status: an error, with the plugin's name."""
        return Status(Code.ERROR, (str(self),), self.plugin)


class HookObserver(Protocol):
    """Takes durations and faults; ``telemetry.metrics`` in the real process."""

    def plugin_executed(self, plugin: str, point: str, seconds: float) -> None:
        """One timed call of a hook."""

    def plugin_fault(self, plugin: str, hook: str) -> None:
        """A hook raised, answered what it may not, or held the event loop for too long."""


class Instrument:
    """Wraps hooks of one process."""

    def __init__(
        self, work: CurrentWork, clock: Clock, observer: HookObserver | None = None
    ) -> None:
        self.work = work
        self._observer = observer
        #: the clock that holds are measured by, in seconds
        self.monotonic = clock.monotonic
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

    def hook(self, plugin: str, point: str, function: F, *, answers: Answers | None = None) -> F:
        """``function`` with its faults named; use for sync hooks.

        Args:
            plugin: its name.
            point: the hook, as metrics and messages name it.
            function: the bound hook.
            answers: what it may answer; any other is a fault. None: not looked at.
        """
        work, monotonic = self.work, self.monotonic
        # what most hooks answer most of the time needs no look
        plain = answers.plain if answers is not None else frozenset()
        skip = SKIP if answers is not None and answers.may_skip else _NO_ANSWER

        def call(*args: Any) -> Any:
            outer_plugin, outer_hook = work.plugin, work.hook
            work.plugin, work.hook = plugin, point
            start = monotonic()
            try:
                answer = function(*args)
                if answers is not None and type(answer) not in plain and answer is not skip:
                    answers.check(answer, args)
            except (PluginFault, KeyboardInterrupt):
                raise
            # Whatever it is, SystemExit of a library included. A plain call cannot be cancelled:
            # when CancelledError comes out of it, the plugin looked into something that was.
            except BaseException as error:
                raise self.fault(plugin, point, error, pod=_key_of(args)) from error
            finally:
                held_s = monotonic() - start
                work.plugin, work.hook = outer_plugin, outer_hook
                if self._timed and self._observer is not None:
                    self._observer.plugin_executed(plugin, point, held_s)
            if held_s > HELD_TOO_LONG_S:
                self._held(plugin, point, held_s, pod=_key_of(args))
            return answer

        return call  # type: ignore[return-value]  # same call shape

    def async_hook(
        self, plugin: str, point: str, function: F, *, answers: Answers | None = None
    ) -> F:
        """The same for hooks that are awaited; others run meanwhile."""
        work, monotonic = self.work, self.monotonic
        plain = answers.plain if answers is not None else frozenset()

        async def call(*args: Any) -> Any:
            pod = _key_of(args)
            try:
                answer, longest_s = await _step_by_step(
                    function, args, work, monotonic, doing=(plugin, point, pod)
                )
                if answers is not None and type(answer) not in plain:
                    answers.check(answer, args)
            except (PluginFault, KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                raise self.fault(plugin, point, error, pod=pod) from error
            if longest_s > HELD_TOO_LONG_S:
                self._held(plugin, point, longest_s, pod=pod)
            return answer

        return call  # type: ignore[return-value]  # same call shape

    def hint(self, plugin: str, function: HintFn | None) -> HintFn | None:
        """A hint that never raises: a fault counts as Queue."""
        if function is None:
            return None

        def checked(pod: Pod, old: object, new: object) -> QueueingHint:
            answer = function(pod, old, new)
            if not isinstance(answer, QueueingHint):
                raise OddAnswer(f"answered {answer!r} instead of a QueueingHint")
            return answer

        hook = self.hook(plugin, "QueueingHint", checked)

        def call(pod: Pod, old: object, new: object) -> QueueingHint:
            try:
                return hook(pod, old, new)
            except PluginFault:  # told where it was raised
                return QueueingHint.QUEUE

        return call

    def pre_hint(self, plugin: str, function: PreHintFn | None) -> PreHintFn | None:
        """A pre-hint that never raises: after a fault all pods are looked at."""
        if function is None:
            return None

        def checked(old: object, new: object) -> frozenset[str] | None:
            return check_keys(function(old, new))

        hook = self.hook(plugin, "PreQueueingHint", checked)

        def call(old: object, new: object) -> frozenset[str] | None:
            try:
                return hook(old, new)
            except PluginFault:  # told where it was raised
                return None

        return call

    def fault(
        self,
        plugin: str,
        hook: str,
        cause: BaseException | str,
        *,
        pod: str = "",
        told: str = "",
    ) -> PluginFault:
        """Counts a fault, tells of it and gives what is to be raised, with that text or its own."""
        if self._observer is not None:
            self._observer.plugin_fault(plugin, hook)
        pod = pod or self.work.pod
        fault = PluginFault(plugin, hook, cause, told=told)
        if isinstance(cause, (str, OddAnswer)):
            _log.error("plugin failed", plugin=plugin, hook=hook, pod=pod, reason=str(cause))
        # the API refusing a write is no bug of the plugin: its text says it all
        elif not isinstance(cause, PySchedulerError):
            _log.error("plugin raised", plugin=plugin, hook=hook, pod=pod, exc_info=cause)
        return fault

    def each(
        self,
        hook: Callable[[CycleState, Pod, NodeInfo], T],
        state: CycleState,
        pod: Pod,
        nodes: Sequence[NodeInfo],
        *,
        plugin: str,
        point: str,
    ) -> list[T]:
        """What a hook answers node by node; all these calls together are one hold of the loop.

        Raises:
            PluginFault: one of them raised, or they have held the loop for too long by now.
        """
        if len(nodes) == 1:  # the hook's own look is enough
            return [hook(state, pod, nodes[0])]
        answers = []
        start = self.monotonic()
        for node in nodes:
            answers.append(hook(state, pod, node))
            if (held_s := self.monotonic() - start) > HELD_TOO_LONG_S:
                self._held(plugin, point, held_s, pod=pod.key)
        return answers

    def _held(self, plugin: str, hook: str, held_s: float, *, pod: str) -> None:
        cause = f"held the event loop for {held_s:.1f} s, at most {HELD_TOO_LONG_S:g} s are allowed"
        fault = self.fault(plugin, hook, cause, pod=pod)
        if hook not in _IRREVOCABLE:
            raise fault


@types.coroutine
def _step_by_step(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    work: CurrentWork,
    monotonic: Callable[[], float],
    *,
    doing: tuple[str, str, str],
) -> Generator[Any, Any, tuple[Any, float]]:
    """Awaits a hook; from one of its awaits to the next it is what holds the loop.

    Args:
        function: the hook.
        args: what it is called with.
        work: says what is running.
        monotonic: the clock that holds are measured by.
        doing: the plugin, the hook and the pod.

    Returns:
        Its answer, and the seconds that the longest step took.
    """
    steps: Generator[Any, None, Any] | None = None
    raised: BaseException | None = None
    longest_s = 0.0
    while True:
        outer = work.plugin, work.hook, work.pod
        work.plugin, work.hook, work.pod = doing
        start = monotonic()
        try:
            if steps is None:
                steps = _awaited(function(*args))
            awaited = next(steps) if raised is None else steps.throw(raised)
        except StopIteration as end:
            return end.value, max(longest_s, monotonic() - start)
        finally:
            work.plugin, work.hook, work.pod = outer
        held_s = monotonic() - start
        if held_s > longest_s:
            longest_s = held_s
        raised = None
        try:
            yield awaited
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # noqa: BLE001  # handed on
            raised = error


def _awaited(answer: Any) -> Generator[Any, None, Any]:
    if not hasattr(answer, "__await__"):
        raise OddAnswer(f"is no async def: answered {type(answer).__name__} at once")
    return answer.__await__()  # type: ignore[no-any-return]  # what awaiting means


def is_being_cancelled() -> bool:
    """The running task is to end; else a plugin awaited something that somebody cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _key_of(args: tuple[Any, ...]) -> str:
    """The pod that a hook was called for, by what it was called with."""
    for arg in args:
        if isinstance(arg, Pod):
            return arg.key
        if isinstance(arg, QueuedEntity):
            return arg.pod.key
    return ""
