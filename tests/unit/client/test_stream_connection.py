"""When a connection of a watch looks at its socket, and what it hands on."""

import asyncio

import pytest

from pyscheduler.client.connection import ConnectionBroken
from pyscheduler.client.stream_connection import StreamConnection
from tests.unit.client.loop_by_hand import Hours, Wire

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _events(count: int) -> bytes:
    return b"".join([_chunk(b'{"type":"ADDED"}\n')] * count)


class Reading:
    """Reads to the end, each piece as soon as it is there."""

    def __init__(self, connection: StreamConnection) -> None:
        self.pieces: list[bytes] = []
        self._connection = connection
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        await self._connection.begin(b"request")
        while piece := await self._connection.read():
            self.pieces.append(piece)


def _let_pass(hours: Hours, milliseconds: float) -> None:
    hours.advance(hours.now + milliseconds / 1000)


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def hours() -> Hours:
    return Hours(now=100.0)


@pytest.fixture
async def connection(hours: Hours, wire: Wire) -> StreamConnection:
    # only these methods of the loop are called
    made = StreamConnection(hours, on_closed=lambda _: None)  # type: ignore[arg-type]
    made.connection_made(wire)
    return made


@pytest.fixture
async def reading(connection: StreamConnection) -> Reading:
    """The head has come."""
    made = Reading(connection)
    await _turn()
    connection.data_received(_HEAD)
    await _turn()
    return made


async def test_events_that_come_alone_or_in_pairs_are_followed_at_once(
    connection: StreamConnection, reading: Reading, hours: Hours, wire: Wire
) -> None:
    for count in (1, 2, 1):
        connection.data_received(_events(count))
        await _turn()
        assert wire.is_read

    assert [piece.count(b"\n") for piece in reading.pieces] == [1, 2, 1]
    assert not hours.timers


async def test_socket_rests_five_milliseconds_while_events_flow(
    connection: StreamConnection, reading: Reading, hours: Hours, wire: Wire
) -> None:
    for count in (3, 9, 4):
        connection.data_received(_events(count))
        await _turn()
        assert reading.pieces[-1].count(b"\n") == count
        assert not wire.is_read
        _let_pass(hours, 4.5)
        assert not wire.is_read
        _let_pass(hours, 0.5)
        assert wire.is_read


async def test_flood_is_read_without_rests(
    connection: StreamConnection, reading: Reading, wire: Wire
) -> None:
    for _ in range(3):
        connection.data_received(_events(10_000))
        await _turn()
        assert wire.is_read

    assert [piece.count(b"\n") for piece in reading.pieces] == [10_000] * 3


async def test_nothing_is_read_that_nobody_has_asked_for(
    connection: StreamConnection, hours: Hours, wire: Wire
) -> None:
    begun = asyncio.ensure_future(connection.begin(b"request"))
    await _turn()
    connection.data_received(_HEAD + _chunk(b"early"))
    assert (await begun).status == 200
    _let_pass(hours, 1000)
    assert not wire.is_read

    assert await connection.read() == b"early"
    assert not wire.is_read


async def test_head_may_come_in_pieces(connection: StreamConnection, wire: Wire) -> None:
    begun = asyncio.ensure_future(connection.begin(b"request"))
    for at in range(0, len(_HEAD), 20):
        await _turn()
        assert not begun.done()
        connection.data_received(_HEAD[at : at + 20])

    assert (await begun).status == 200
    assert wire.written == [b"request"]


@pytest.mark.parametrize(
    ("head", "end"),
    [
        pytest.param(_HEAD, b"0\r\n\r\n", id="in chunks"),
        pytest.param(b"HTTP/1.1 410 Gone\r\nContent-Length: 8\r\n\r\n", b"", id="of known length"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", None, id="to the end of the connection"),
    ],
)
async def test_body_ends(
    connection: StreamConnection, hours: Hours, head: bytes, end: bytes | None
) -> None:
    reading = Reading(connection)
    await _turn()
    connection.data_received(head)
    body = _chunk(b"the body") if head == _HEAD else b"the body"
    connection.data_received(body + (end or b""))
    if end is None:
        connection.connection_lost(None)
    await reading.task

    assert reading.pieces == [b"the body"]


async def test_what_came_before_a_break_is_handed_on(
    connection: StreamConnection, reading: Reading
) -> None:
    connection.data_received(_chunk(b"whole") + b"5\r\nha")
    connection.connection_lost(ConnectionResetError("reset"))

    with pytest.raises(ConnectionBroken, match="reset") as raised:
        await reading.task
    assert raised.value.is_begun
    assert b"".join(reading.pieces) == b"wholeha"


async def test_break_while_the_socket_rests_is_told(
    connection: StreamConnection, reading: Reading, hours: Hours, wire: Wire
) -> None:
    connection.data_received(_events(3))
    await _turn()
    connection.close()
    connection.connection_lost(None)

    with pytest.raises(ConnectionBroken, match="closed before the answer was complete"):
        await reading.task
    _let_pass(hours, 5)
    assert not wire.is_read


async def test_answer_that_is_no_http_breaks_it(connection: StreamConnection) -> None:
    reading = Reading(connection)
    await _turn()
    connection.data_received(b"220 mail.example.com ESMTP\r\n\r\n")

    with pytest.raises(ConnectionBroken, match=r"not an HTTP/1\.1 answer"):
        await reading.task


async def test_connection_is_closed_when_its_reader_is_cancelled(
    reading: Reading, wire: Wire
) -> None:
    reading.task.cancel()
    await asyncio.wait({reading.task})

    assert wire.is_cut
