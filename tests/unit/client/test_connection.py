"""What a connection does when bytes and ends come at awkward moments."""

import asyncio

import pytest

from pyscheduler.client.connection import Connection, ConnectionBroken

_DONE = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """The event loop's side of a connection, by hand."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_cut = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_cut


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def connection(wire: Wire) -> Connection:
    made = Connection(on_closed=lambda _: None)
    made.connection_made(wire)
    return made


async def _asked(connection: Connection) -> "asyncio.Task[bytes]":
    async def exchange() -> bytes:
        later = asyncio.get_running_loop().time() + 60
        return (await connection.exchange(b"request", give_up_at=later)).body

    task = asyncio.ensure_future(exchange())
    await asyncio.sleep(0)
    return task


async def test_bytes_right_behind_an_answer_spoil_the_connection_and_not_the_answer(
    connection: Connection, wire: Wire
) -> None:
    asked = await _asked(connection)
    connection.data_received(_DONE)
    connection.data_received(b"more")

    assert await asked == b"ok"
    assert wire.is_cut
    assert not connection.is_usable


async def test_answer_that_came_before_the_end_counts(connection: Connection) -> None:
    asked = await _asked(connection)
    connection.data_received(_DONE)
    connection.connection_lost(ConnectionResetError("reset"))

    assert await asked == b"ok"


async def test_body_without_a_length_is_complete_at_the_end(connection: Connection) -> None:
    asked = await _asked(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nall")
    connection.connection_lost(None)

    assert await asked == b"all"


@pytest.mark.parametrize(
    ("received", "is_begun"),
    [pytest.param(b"", False, id="nothing"), pytest.param(_DONE[:-1], True, id="half")],
)
async def test_end_before_the_answer_breaks_it(
    connection: Connection, received: bytes, is_begun: bool
) -> None:
    asked = await _asked(connection)
    if received:
        connection.data_received(received)
    connection.connection_lost(None)

    with pytest.raises(ConnectionBroken) as raised:
        await asked
    assert raised.value.is_begun == is_begun


async def test_answer_to_a_cancelled_request_is_not_taken_for_the_next(
    connection: Connection, wire: Wire
) -> None:
    asked = await _asked(connection)
    asked.cancel()
    connection.data_received(_DONE)
    await asyncio.wait({asked})

    assert wire.is_cut
    assert not connection.is_usable
