"""TLS of one connection: what the wire carries <-> what HTTP reads and writes.

OpenSSL turns the one into the other between two buffers in memory. An event loop's own TLS is made
for streams of any kind: it reads until a read fails, counts for flow control and says farewell. An
exchange of one request and one answer needs none of it, and costs a fifth less CPU without.

    handshake --the server is who it should be--> open --the server says farewell--> ended

Called by: ``connection``.
"""

import ssl
from typing import Final

#: The longest record that TLS allows, in bytes: one read never leaves a part of it behind.
_RECORD_BYTES: Final = 1 << 14


class TlsChannel:
    """The client's side; bytes for the wire are handed out by `to_send` after each other call.

    Args:
        context: whom to trust, and who we are.
        server_name: the name that the server's certificate must have.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        #: Whether the handshake is over, so that requests can be written.
        self.is_open = False
        #: Whether the server has said that nothing more follows.
        self.is_ended = False

    def shake_hands(self) -> None:
        """Go on with the handshake as far as what has come allows.

        Raises:
            ssl.SSLError: there is no agreement, or the server is not to be trusted.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.is_open = True

    def feed(self, data: bytes) -> bytes:
        """Take what the wire carried; return what that says, which may be nothing.

        Raises:
            ssl.SSLError: it is not what the server wrote, or says that the server refuses us.
        """
        self._incoming.write(data)
        if not self.is_open:
            self.shake_hands()
        pieces: list[bytes] = []
        while self._incoming.pending and self.is_open and not self.is_ended:
            try:
                piece = self._tls.read(_RECORD_BYTES)
            except ssl.SSLWantReadError:  # only a part of a record, or nothing for us in it
                break
            self.is_ended = not piece
            pieces.append(piece)
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Have `data` encrypted."""
        written = self._tls.write(data)
        while written < len(data):  # one record at a time
            written += self._tls.write(memoryview(data)[written:])

    def to_send(self) -> bytes:
        """Return what must go over the wire now."""
        return self._outgoing.read()
