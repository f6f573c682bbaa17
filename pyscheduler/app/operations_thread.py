"""The thread that must go on when the scheduling loop does not: Lease, health checks, metrics.

It has an asyncio loop of its own. A plugin that holds the scheduling loop for seconds therefore
neither costs the leader its Lease nor makes the probes time out, and it can be seen from outside
that the loop is held.

Order: `start` (the HTTP server answers from then on), `run_elector` once the caches are filled,
`stop`, which lets the elector release its Lease before the server closes. What the elector has to
say to the scheduler crosses over through `on_main`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from aiohttp import web

from pyscheduler.app.endpoints import Endpoints
from pyscheduler.errors import PySchedulerError
from pyscheduler.telemetry.logs import get_logger

logger = get_logger(__name__)

P = ParamSpec("P")

#: Makes and runs the elector; called on the operations loop, so that its connections live there.
RunElector = Callable[[], Coroutine[Any, Any, None]]
#: Called on the main loop when the elector has ended by itself, with what it raised if it did.
OnElectorEnd = Callable[[BaseException | None], None]


class OperationsThread:
    """Owns the thread, its loop and everything that runs there.

    Args:
        main_loop: the scheduling loop, where callbacks go.
        endpoints: what is served; None serves nothing.
        bind_address: the address to listen on.
        port: the port to listen on; 0 lets the system choose.
    """

    def __init__(
        self,
        main_loop: asyncio.AbstractEventLoop,
        *,
        endpoints: Endpoints | None,
        bind_address: str,
        port: int,
    ) -> None:
        self._main_loop = main_loop
        self._endpoints = endpoints
        self._bind_address = bind_address
        self._requested_port = port
        #: The port listened on, once started; 0 when nothing is served.
        self.port = 0
        #: Made by `start`, closed by the thread when it ends.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._elector: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """The thread runs, and the HTTP server answers, when this returns.

        Raises:
            PySchedulerError: the address cannot be listened on.
        """
        started: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, started), name="operations", daemon=True
        )
        self._thread.start()
        try:
            self.port = started.result()
        except OSError as error:
            raise PySchedulerError(
                f"cannot serve health checks and metrics on "
                f"{self._bind_address}:{self._requested_port}: {error.strerror or error}"
            ) from error

    def run_elector(self, run: RunElector, *, on_end: OnElectorEnd) -> None:
        """Let the elector run on this thread until it ends or `stop` cancels it.

        Args:
            run: makes the elector and runs it; cancelled, it releases its Lease.
            on_end: called on the main loop if it ends without having been stopped.
        """
        assert self._loop is not None, "start comes first"
        self._loop.call_soon_threadsafe(self._begin_electing, self._loop, run, on_end)

    def on_main(self, callback: Callable[P, object]) -> Callable[P, None]:
        """Return a function for this thread that has `callback` called on the main loop."""

        def hand_over(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                self._main_loop.call_soon_threadsafe(lambda: callback(*args, **kwargs))
            except RuntimeError:
                # The main loop is closed: the process is ending and nobody waits for the news.
                return

        return hand_over

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """The elector has released its Lease and the server is closed; may be called again."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        self._thread = self._loop = None
        if thread.is_alive():
            # The thread may end, and close its loop, at this very moment: then there is
            # nothing to tell it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._stopping.set)
            await asyncio.to_thread(thread.join, timeout_s)
        if thread.is_alive():
            logger.warning("operations thread did not end in time", timeout_s=timeout_s)

    def _run(
        self, loop: asyncio.AbstractEventLoop, started: concurrent.futures.Future[int]
    ) -> None:
        try:
            loop.run_until_complete(self._serve(started))
        finally:
            loop.close()

    async def _serve(self, started: concurrent.futures.Future[int]) -> None:
        runner: web.AppRunner | None = None
        try:
            try:
                if self._endpoints is not None:
                    runner = web.AppRunner(self._endpoints.application(), access_log=None)
                    started.set_result(await self._listen(runner))
                else:
                    started.set_result(0)
            except OSError as error:
                started.set_exception(error)
                return
            await self._stopping.wait()
            await self._stop_elector()
        finally:
            if runner is not None:
                await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> int:
        await runner.setup()
        site = web.TCPSite(runner, self._bind_address, self._requested_port)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    def _begin_electing(
        self, loop: asyncio.AbstractEventLoop, run: RunElector, on_end: OnElectorEnd
    ) -> None:
        self._elector = loop.create_task(self._elect(run, on_end), name="leader-election")

    async def _elect(self, run: RunElector, on_end: OnElectorEnd) -> None:
        report = self.on_main(on_end)
        try:
            await run()
        except Exception as error:  # noqa: BLE001  # the edge of this thread: the main loop decides
            report(error)
        else:
            if not self._stopping.is_set():
                report(None)

    async def _stop_elector(self) -> None:
        if self._elector is not None:
            self._elector.cancel()
            await asyncio.gather(self._elector, return_exceptions=True)
