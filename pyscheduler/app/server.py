"""One scheduler process: the order in which things start, lead and stop.

    configuration, plugins, credentials   a problem here is one line and exit status 1
    operations thread                     /livez answers, /readyz says what is missing
    reflectors, until cache and queue are filled
    leader election (or none)  -->  scheduling  -->  signal, lost Lease or fault
    no more pops; binds in flight finish; the Lease is released

Losing the Lease ends the process: its successor begins with a clean cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

import structlog

from pyscheduler import __version__
from pyscheduler.app.assembly import Assembly, assemble, in_tree_registry
from pyscheduler.app.endpoints import Endpoints
from pyscheduler.app.operations_thread import OperationsThread
from pyscheduler.app.options import RunOptions
from pyscheduler.app.watchdog import Heartbeat, Watchdog
from pyscheduler.client.credentials import load_credentials
from pyscheduler.client.errors import Forbidden, NotFound
from pyscheduler.client.extender_client import ExtenderClient, connect_extenders
from pyscheduler.client.leader_election import LeaderElector, LeaseTimes
from pyscheduler.client.lean_transport import open_transport
from pyscheduler.client.rest import Rest
from pyscheduler.client.transport import Transport
from pyscheduler.clock import SystemClock
from pyscheduler.config.configuration import Configuration
from pyscheduler.config.load import default_config, load_config
from pyscheduler.errors import PySchedulerError
from pyscheduler.runtime.registry import Registry
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.exposition import Exposition
from pyscheduler.telemetry.metrics import SchedulerMetrics

_log = structlog.get_logger(__name__)

#: Seconds that binds and events in flight get at the end; pods' grace period is 30.
_DRAIN_TIMEOUT_S = 15.0
#: Seconds for the server's first answer; after that, silence is waited out.
_FIRST_ANSWER_S = 10.0


class LeadershipLostError(PySchedulerError):
    """The Lease went to somebody else, or could not be renewed in time."""


def run(options: RunOptions) -> int:
    """Runs one scheduler until a signal; returns the exit status.

    Raises:
        PySchedulerError: it could not start, or lost what it needs; one line says why.
    """
    registry = in_tree_registry()
    configuration = _configuration(options, registry)
    for warning in configuration.warnings:
        _log.warning(warning)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_Process(options, configuration, registry).run())


def _configuration(options: RunOptions, registry: Registry) -> Configuration:
    if options.config_file is not None:
        return load_config(options.config_file, registry)
    return default_config(registry, scheduler_name=options.scheduler_name)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


class _Process:
    """What one run owns."""

    def __init__(
        self, options: RunOptions, configuration: Configuration, registry: Registry
    ) -> None:
        self._options = options
        self._configuration = configuration
        self._registry = registry
        election = configuration.leader_election
        self._elects = (
            election.leader_elect if options.leader_elect is None else options.leader_elect
        )
        self._clock = SystemClock()
        self._rng = Random()
        self._metrics = SchedulerMetrics()
        self._metrics.build_info.labels(__version__).set(1)
        self._work = CurrentWork()
        self._is_leading = False
        #: made and run by the operations thread; None while there is no election
        self._elector: LeaderElector | None = None
        #: read by the operations thread
        self._assembly: Assembly | None = None
        self._leading: asyncio.Future[None] | None = None
        #: set by a signal; None of the tasks' faults
        self._stop = asyncio.Event()
        self._lost: asyncio.Future[None] | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._leading, self._lost = loop.create_future(), loop.create_future()
        heartbeat = Heartbeat(self._metrics.loop_lag, monotonic=self._clock.monotonic)
        watchdog = Watchdog(
            heartbeat,
            self._work,
            held=self._metrics.loop_held,
            monotonic=self._clock.monotonic,
            is_leading=lambda: self._is_leading,
            exit_after_s=self._configuration.leader_election.renew_deadline,
            dump_to=sys.stderr,
        )
        operations = OperationsThread(
            loop,
            endpoints=self._endpoints(watchdog) if self._options.port else None,
            bind_address=self._options.bind_address,
            port=self._options.port,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        kubeconfig = self._options.kubeconfig or (
            self._configuration.client_connection.kubeconfig or None
        )
        credentials = await load_credentials(kubeconfig)
        transport = open_transport(credentials)
        extenders: list[ExtenderClient] = []
        try:
            await _ask_once(transport)
            extenders = connect_extenders(self._configuration.extenders)
            assembly = self._assembly = assemble(
                self._configuration,
                self._registry,
                transport=transport,
                clock=self._clock,
                rng=self._rng,
                metrics=self._metrics,
                work=self._work,
                instance=socket.gethostname(),
                extenders=extenders,
                feature_gates=self._options.feature_gates,
            )
            operations.start()
            heartbeat.start(loop)
            watchdog.start()
            try:
                await self._live(assembly, operations, watchdog, kubeconfig, credentials.server)
            finally:
                # before the Lease is given back: what still retries must not bind after that
                assembly.dispatcher.fence()
                await operations.stop()
                watchdog.stop()
                heartbeat.stop()
                await assembly.dispatcher.close()
        finally:
            for extender in extenders:
                await extender.close()
            await transport.close()
        return 0

    async def _live(
        self,
        assembly: Assembly,
        operations: OperationsThread,
        watchdog: Watchdog,
        kubeconfig: Any,
        server: str,
    ) -> None:
        _log.info(
            "starting",
            version=__version__,
            server=server,
            profiles=[profile.scheduler_name for profile in self._configuration.profiles],
            port=operations.port,
            writes=assembly.dispatcher.transport_name,
        )
        async with _Tasks() as tasks:
            tasks.start(assembly.follow(), "reflectors")
            stop = tasks.start(self._stop.wait(), "signal")
            synced = tasks.start(assembly.wait_synced(), "initial sync")
            await tasks.until(synced, stop)
            if self._stop.is_set():
                return
            _settle_memory()
            _log.info(
                "in sync with the cluster",
                nodes=len(assembly.nodes),
                pods=len(assembly.pods),
                resource_version=assembly.pods.last_resource_version,
            )
            if self._elects:
                assembly.dispatcher.ask_before_writing(self._may_write)
                self._elect(operations, watchdog, kubeconfig)
            else:
                self._start_leading()
            assert self._leading is not None
            assert self._lost is not None
            leading = tasks.start(_wait(self._leading), "leadership")
            lost = tasks.start(_wait(self._lost), "leadership lost")
            await tasks.until(leading, stop, lost)
            if not self._stop.is_set():
                scheduling = tasks.start(assembly.schedule(), "scheduling")
                await tasks.until(stop, lost)
                scheduling.cancel()
                # it may still start a bind before it notices
                await asyncio.wait({scheduling})
            _log.info("stopping", binds_in_flight=assembly.scheduler.binding_count)
            if not await assembly.drain(_DRAIN_TIMEOUT_S):
                _log.warning(
                    "gave up waiting for writes in flight", **assembly.dispatcher.pending()
                )
            self._is_leading = False

    # --- leadership ---

    def _elect(self, operations: OperationsThread, watchdog: Watchdog, kubeconfig: Any) -> None:
        election = self._configuration.leader_election
        identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        status = self._metrics.leader_election_status.labels(election.resource_name)
        status.set(0)

        async def run_elector() -> None:
            # a connection of its own, so that no backlog of ours stands in front of a renewal
            transport = open_transport(await load_credentials(kubeconfig))
            try:
                elector = self._elector = LeaderElector(
                    Rest(transport),
                    namespace=election.resource_namespace,
                    name=election.resource_name,
                    identity=identity,
                    times=LeaseTimes(
                        election.lease_duration, election.renew_deadline, election.retry_period
                    ),
                    on_started=operations.on_main(self._start_leading),
                    on_stopped=operations.on_main(self._stop_leading),
                    may_renew=lambda: watchdog.held_for() < election.renew_deadline,
                )
                await elector.run()
            finally:
                await transport.close()

        operations.run_elector(run_elector, on_end=self._elector_ended)

    def _start_leading(self) -> None:
        self._is_leading = True
        self._metrics.leader_election_status.labels(
            self._configuration.leader_election.resource_name
        ).set(1)
        if self._leading is not None and not self._leading.done():
            self._leading.set_result(None)

    def _stop_leading(self, reason: str) -> None:
        self._metrics.leader_election_status.labels(
            self._configuration.leader_election.resource_name
        ).set(0)
        if self._assembly is not None:
            # at once, and amid the drain, too: the next leader may bind the same pods
            self._assembly.dispatcher.fence()
        if not self._stop.is_set():
            self._lose(LeadershipLostError(f"lost the lease: {reason}"))

    def _may_write(self) -> bool:
        """Asked before each write: a process that was suspended learns here that it leads no more.

        The elector would notice, too, but on its own thread and perhaps a bind too late.
        """
        elector = self._elector
        if elector is None or self._clock.monotonic() < elector.holds_until:
            return True
        self._stop_leading("its time ran out before it was renewed")
        return False

    def _elector_ended(self, error: BaseException | None) -> None:
        if error is None:
            self._lose(LeadershipLostError("leader election ended"))
        else:
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(error)

    # --- health ---

    def _endpoints(self, watchdog: Watchdog) -> Endpoints:
        deadline_s = self._configuration.leader_election.renew_deadline

        def comes_round() -> str | None:
            held_s = watchdog.held_for()
            return f"scheduling loop held for {held_s:.0f} s" if held_s > deadline_s else None

        def synced() -> str | None:
            assembly = self._assembly
            if assembly is None:
                return "handlers are not fully synchronized"
            missing = assembly.missing()
            return f"handlers are not fully synchronized: {'; '.join(missing)}" if missing else None

        def shutdown() -> str | None:
            return "process is shutting down" if self._stop.is_set() else None

        return Endpoints(
            live={"scheduling-loop": comes_round},
            ready={"sched-handler-sync": synced, "shutdown": shutdown},
            render_metrics=Exposition(self._metrics.registry).render,
        )


async def _ask_once(transport: Transport) -> None:
    """Anybody answers: an address where nobody does is told in one line, at the start.

    Raises:
        ClientError: nobody does, or we are not who we say we are.
    """
    # not every cluster lets everybody ask for its version: a refusal is an answer, too
    with contextlib.suppress(Forbidden, NotFound):
        await Rest(transport).call("GET", "/version", timeout_s=_FIRST_ANSWER_S)


class _Tasks:
    """The tasks of one run: the first to fail ends the run with its error; all end with it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> _Tasks:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, coroutine: Any, name: str) -> asyncio.Task[Any]:
        """Runs ``coroutine`` beside the others."""
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        return task

    async def until(self, *wanted: asyncio.Task[Any]) -> None:
        """Returns when one of ``wanted`` has ended.

        Raises:
            PySchedulerError: any task failed.
        """
        while not any(task.done() for task in wanted):
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._raise_fault()
            self._tasks = {t for t in self._tasks if not t.done()} | {*wanted}
        self._raise_fault()

    def _raise_fault(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise _innermost(task.exception())


def _innermost(error: BaseException | None) -> BaseException:
    """The one error that a TaskGroup wrapped."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    assert error is not None
    return error


async def _wait(future: asyncio.Future[None]) -> None:
    await asyncio.shield(future)


def _settle_memory() -> None:
    """Takes what the initial sync made out of the garbage collector's sight.

    A full collection over a hundred thousand long-lived objects holds the loop for tens of
    milliseconds; they are freed by reference counts anyway. What comes later is looked at in small
    portions (about 1 ms each), and as a whole hardly ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 5, 1_000)
