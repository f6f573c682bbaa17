"""Tasks of plugins: run while this process schedules, begun again when they fail.

Apart from the plugins, so that each task has an owner that awaits or cancels it. They begin with
scheduling rather than with the process: a standby must not write, nor poll what it does not use.

Called by: plugins, as ``handle.tasks``; ``app.assembly`` runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from pyscheduler.client.backoff import Backoff
from pyscheduler.clock import Clock

_log = structlog.get_logger(__name__)

#: Pauses before a task is begun again. Guesses: soon enough for one that stumbled once, and seldom
#: enough that a broken one does not fill the log.
_BACKOFF_FIRST_S, _BACKOFF_LIMIT_S = 1.0, 60.0

TaskFunction = Callable[[], Awaitable[None]]


class PluginTasks:
    """``framework.BackgroundTasks`` of all plugins."""

    def __init__(self, *, clock: Clock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._functions: list[tuple[str, TaskFunction]] = []
        #: the tasks' owner while scheduling
        self._group: asyncio.TaskGroup | None = None

    def start(self, function: TaskFunction, *, name: str) -> None:
        """Run ``function`` on the event loop while this process schedules."""
        self._functions.append((name, function))
        if self._group is not None:
            self._begin(name, function, self._group)

    async def run(self) -> None:
        """Run all tasks until cancelled; they have ended on return."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for name, function in [*self._functions]:
                    self._begin(name, function, group)
                await asyncio.get_running_loop().create_future()  # others may be started later
            finally:
                self._group = None

    def _begin(self, name: str, function: TaskFunction, group: asyncio.TaskGroup) -> None:
        group.create_task(self._keep(name, function), name=name)

    async def _keep(self, name: str, function: TaskFunction) -> None:
        """Await ``function`` until it returns, or we are cancelled."""
        backoff = Backoff(_BACKOFF_FIRST_S, _BACKOFF_LIMIT_S, rng=self._rng, clock=self._clock)
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                await function()
            except asyncio.CancelledError:
                if task.cancelling():
                    raise
                _log.warning("background task of a plugin was cancelled from within", task=name)
            # foreign code; it must not take the others along, not even by `sys.exit` in a library
            except (Exception, SystemExit):  # noqa: BLE001
                _log.exception("background task of a plugin failed, beginning it again", task=name)
            else:
                # one that came to its end is not kept in mind: what it needed may be freed
                self._functions.remove((name, function))
                return
            await self._clock.sleep(backoff.next_s())
