"""What a connection of exchanges does when bytes and ends come at awkward moments."""

import asyncio

import pytest

from pyscheduler.client.connection import ConnectionBroken
from pyscheduler.client.exchange_connection import ExchangeConnection
from tests.unit.client.loop_by_hand import Hours, Wire

_DONE = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def connection(wire: Wire) -> ExchangeConnection:
    made = ExchangeConnection(asyncio.get_running_loop(), on_closed=lambda _: None)
    made.connection_made(wire)
    return made


async def _asked(connection: ExchangeConnection) -> "asyncio.Task[bytes]":
    async def exchange() -> bytes:
        later = asyncio.get_running_loop().time() + 60
        return (await connection.exchange(b"request", give_up_at=later)).body

    task = asyncio.ensure_future(exchange())
    await asyncio.sleep(0)
    return task


async def test_bytes_right_behind_an_answer_spoil_the_connection_and_not_the_answer(
    connection: ExchangeConnection, wire: Wire
) -> None:
    asked = await _asked(connection)
    connection.data_received(_DONE)
    connection.data_received(b"more")

    assert await asked == b"ok"
    assert wire.is_cut
    assert not connection.is_usable


async def test_answer_that_came_before_the_end_counts(connection: ExchangeConnection) -> None:
    asked = await _asked(connection)
    connection.data_received(_DONE)
    connection.connection_lost(ConnectionResetError("reset"))

    assert await asked == b"ok"


async def test_body_without_a_length_is_complete_at_the_end(connection: ExchangeConnection) -> None:
    asked = await _asked(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nall")
    connection.connection_lost(None)

    assert await asked == b"all"


@pytest.mark.parametrize(
    ("received", "is_begun"),
    [pytest.param(b"", False, id="nothing"), pytest.param(_DONE[:-1], True, id="half")],
)
async def test_end_before_the_answer_breaks_it(
    connection: ExchangeConnection, received: bytes, is_begun: bool
) -> None:
    asked = await _asked(connection)
    if received:
        connection.data_received(received)
    connection.connection_lost(None)

    with pytest.raises(ConnectionBroken) as raised:
        await asked
    assert raised.value.is_begun == is_begun


async def test_answer_to_a_cancelled_request_is_not_taken_for_the_next(
    connection: ExchangeConnection, wire: Wire
) -> None:
    asked = await _asked(connection)
    asked.cancel()
    connection.data_received(_DONE)
    await asyncio.wait({asked})

    assert wire.is_cut
    assert not connection.is_usable


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
async def timed(hours: Hours, wire: Wire) -> ExchangeConnection:
    # only these methods of the loop are called
    made = ExchangeConnection(hours, on_closed=lambda _: None)  # type: ignore[arg-type]
    made.connection_made(wire)
    return made


async def _ask(connection: ExchangeConnection, give_up_at: float) -> "asyncio.Task[bytes]":
    async def exchange() -> bytes:
        return (await connection.exchange(b"request", give_up_at=give_up_at)).body

    task = asyncio.ensure_future(exchange())
    await asyncio.sleep(0)
    return task


async def test_answer_that_does_not_come_in_time_is_given_up(
    timed: ExchangeConnection, hours: Hours, wire: Wire
) -> None:
    asked = await _ask(timed, 60)
    hours.advance(59)
    await asyncio.sleep(0)
    assert not asked.done()
    hours.advance(60)

    with pytest.raises(TimeoutError):
        await asked
    assert wire.is_cut


async def test_exchange_has_its_whole_time_whenever_the_one_before_began(
    timed: ExchangeConnection, hours: Hours
) -> None:
    first = await _ask(timed, 60)
    timed.data_received(_DONE)
    await first
    hours.advance(50)
    second = await _ask(timed, 110)
    hours.advance(109)
    await asyncio.sleep(0)
    assert not second.done()
    hours.advance(110)

    with pytest.raises(TimeoutError):
        await second


async def test_exchange_with_less_time_than_the_one_before_has_no_more(
    timed: ExchangeConnection, hours: Hours
) -> None:
    first = await _ask(timed, 60)
    timed.data_received(_DONE)
    await first
    second = await _ask(timed, 5)
    hours.advance(5)

    with pytest.raises(TimeoutError):
        await second


async def test_idle_connection_outlives_the_time_of_its_last_exchange(
    timed: ExchangeConnection, hours: Hours
) -> None:
    asked = await _ask(timed, 60)
    timed.data_received(_DONE)
    await asked
    hours.advance(1000)

    assert timed.is_usable


async def test_exchanges_in_turn_share_a_timer(timed: ExchangeConnection, hours: Hours) -> None:
    for give_up_at in (60, 61, 62):
        asked = await _ask(timed, give_up_at)
        timed.data_received(_DONE)
        await asked

    assert len(hours.timers) == 1


async def test_closed_connection_leaves_no_timer(timed: ExchangeConnection, hours: Hours) -> None:
    asked = await _ask(timed, 60)
    timed.data_received(_DONE)
    await asked
    timed.connection_lost(None)

    assert all(timer.cancelled() for timer in hours.timers)
