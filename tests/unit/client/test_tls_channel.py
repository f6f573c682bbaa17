"""TLS between two buffers, against OpenSSL's other side in the same process."""

import contextlib
import ssl
from pathlib import Path

import pytest

from pyscheduler.client.tls_channel import TlsChannel

_CERTIFICATES = Path(__file__).parents[2] / "certificates"
_LARGE = bytes(range(256)) * 400


class Server:
    """The server's side of one connection."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_CERTIFICATES / "server.pem", _CERTIFICATES / "server.key")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self, data: bytes) -> bytes:
        self._incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._outgoing.read()

    def write(self, data: bytes) -> bytes:
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        return self._outgoing.read()

    def read(self, data: bytes) -> bytes:
        self._incoming.write(data)
        found = b""
        while self._incoming.pending:
            found += self._tls.read(1 << 14)
        return found

    def say_farewell(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._outgoing.read()


def _channel(authority: str = "authority.pem") -> TlsChannel:
    context = ssl.create_default_context(cafile=str(_CERTIFICATES / authority))
    return TlsChannel(context, "extender.test")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def channel(server: Server) -> TlsChannel:
    made = _channel()
    made.shake_hands()
    assert made.feed(server.shake_hands(made.to_send())) == b""
    assert made.is_open
    assert made.feed(server.shake_hands(made.to_send())) == b""  # tickets
    return made


def test_what_is_written_can_be_read_however_long(channel: TlsChannel, server: Server) -> None:
    channel.write(_LARGE)

    assert server.read(channel.to_send()) == _LARGE


def test_all_records_that_came_at_once_are_read(channel: TlsChannel, server: Server) -> None:
    assert channel.feed(server.write(b"head") + server.write(_LARGE)) == b"head" + _LARGE
    assert not channel.is_ended


def test_record_in_pieces_says_something_with_its_last_byte(
    channel: TlsChannel, server: Server
) -> None:
    *pieces, last = [bytes([byte]) for byte in server.write(b"answer")]

    assert [channel.feed(piece) for piece in pieces] == [b""] * len(pieces)
    assert channel.feed(last) == b"answer"


def test_answer_with_the_end_of_the_handshake_is_not_lost(server: Server) -> None:
    channel = _channel()
    channel.shake_hands()
    channel.feed(server.shake_hands(channel.to_send()))
    tickets = server.shake_hands(channel.to_send())

    assert channel.feed(tickets + server.write(b"early")) == b"early"


def test_farewell_ends_it_after_what_came_before(channel: TlsChannel, server: Server) -> None:
    assert channel.feed(server.write(b"last words") + server.say_farewell()) == b"last words"
    assert channel.is_ended


def test_server_of_another_authority_is_told_why_we_hang_up(server: Server) -> None:
    channel = _channel("other-authority.pem")
    channel.shake_hands()

    with pytest.raises(ssl.SSLCertVerificationError):
        channel.feed(server.shake_hands(channel.to_send()))
    with pytest.raises(ssl.SSLError, match="alert unknown ca"):
        server.shake_hands(channel.to_send())


def test_bytes_that_are_no_tls_are_refused(channel: TlsChannel) -> None:
    with pytest.raises(ssl.SSLError):
        channel.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
