from __future__ import annotations

import asyncio
import threading

import aiohttp
import pytest

from pyscheduler.app.endpoints import Endpoints
from pyscheduler.app.operations_thread import OperationsThread
from pyscheduler.errors import PySchedulerError


def operations(port: int | None = None) -> OperationsThread:
    """Return a thread that serves on `port`, or serves nothing."""
    endpoints = Endpoints(live={}, ready={}, render_metrics=lambda _: (b"", "text/plain"))
    return OperationsThread(
        asyncio.get_running_loop(),
        endpoints=None if port is None else endpoints,
        bind_address="127.0.0.1",
        port=port or 0,
    )


async def test_health_is_served_until_stopped() -> None:
    thread = operations(port=0)
    thread.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{thread.port}/livez") as response,
        ):
            assert await response.text() == "ok"
    finally:
        await thread.stop()
        await thread.stop()


async def test_a_port_in_use_is_one_clear_error() -> None:
    first = operations(port=0)
    first.start()
    second = operations(port=first.port)
    try:
        with pytest.raises(PySchedulerError, match=f"127.0.0.1:{first.port}"):
            second.start()
    finally:
        await first.stop()
        await second.stop()


async def test_elector_runs_there_and_is_released_on_stop() -> None:
    steps: list[str] = []
    began = asyncio.Event()

    async def elect() -> None:
        assert threading.current_thread().name == "operations"
        try:
            thread.on_main(began.set)()
            await asyncio.get_running_loop().create_future()
        finally:
            steps.append("released")

    thread = operations()
    thread.start()
    thread.run_elector(elect, on_end=lambda _: steps.append("ended"))
    await began.wait()
    await thread.stop()

    assert steps == ["released"]


@pytest.mark.parametrize(
    "fault", [pytest.param(None, id="returns"), pytest.param(OSError("gone"), id="raises")]
)
async def test_an_elector_that_ends_is_reported_on_the_main_loop(fault: OSError | None) -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def elect() -> None:
        if fault is not None:
            raise fault

    thread = operations()
    thread.start()
    thread.run_elector(elect, on_end=ended.set_result)

    assert await ended is fault
    await thread.stop()


async def test_on_main_hands_over_the_arguments() -> None:
    seen: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def see(number: int, *, name: str) -> None:
        seen.set_result((number, name))

    thread = operations()
    threading.Thread(target=lambda: thread.on_main(see)(1, name="a")).start()

    assert await seen == (1, "a")
    await thread.stop()
