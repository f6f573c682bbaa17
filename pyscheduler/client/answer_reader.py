"""One HTTP/1.1 answer out of the bytes of a connection: RFC 9112 as far as a client needs it.

Apart from the connection so that it can be tested byte by byte. The states::

    head --> (another head, after a 1xx) --> body by length, in chunks, or to the end --> complete

It reads what an authenticated API server, or a gateway in front of one, sends; it is no guard
against a server that means harm. Called by: ``exchange_connection``, ``stream_connection``.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final

#: Longest head, or line of a chunked body, in bytes; a guess, far above what servers send.
_HEAD_LIMIT_BYTES: Final = 64 << 10


class MalformedAnswer(Exception):  # noqa: N818  # says what it is, as MalformedObject does
    """The bytes are no HTTP/1.1 answer: the connection cannot be used any more."""


class AnswerHeaders(Mapping[str, str]):
    """The headers of one answer, whatever their case; looked through only when asked."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._found: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._lines()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines())

    def __len__(self) -> int:
        return len(self._lines())

    def _lines(self) -> dict[str, str]:
        if self._found is None:
            self._found = {}
            for line in self._head.decode("latin-1").split("\r\n")[1:]:
                name, _, value = line.partition(":")
                self._found[name.lower()] = value.strip()
        return self._found


class _Framing(Enum):
    """What ends the body."""

    LENGTH = auto()
    CHUNKED = auto()
    END_OF_STREAM = auto()


class _Line(Enum):
    """What the next line of a chunked body is."""

    SIZE = auto()
    #: the empty one that follows the data of a chunk
    END_OF_CHUNK = auto()
    TRAILER = auto()


class AnswerReader:
    """Reads one answer that arrives in pieces."""

    __slots__ = ("_framing", "_left", "_line", "_pieces", "_rest", "head", "is_kept", "status")

    def __init__(self) -> None:
        #: The status code; 0 until the head is there.
        self.status = 0
        #: The status line and the headers, as they came.
        self.head = b""
        #: Whether the server keeps the connection for another request.
        self.is_kept = False
        self._framing = _Framing.LENGTH
        self._pieces: list[bytes] = []
        #: Bytes to come of the body, or of the chunk.
        self._left = 0
        self._line = _Line.SIZE
        #: The beginning of a head or line whose end has not come.
        self._rest = b""

    @property
    def body(self) -> bytes:
        """What has come of the body, without what was taken."""
        return b"".join(self._pieces)

    def take(self) -> bytes:
        """Return what has come of the body and was not taken yet; it is not kept any more."""
        taken = self.body
        self._pieces.clear()
        return taken

    def feed(self, data: bytes) -> bool:
        """Take what came; return whether the answer is complete.

        Raises:
            MalformedAnswer: this is not HTTP, or more than the answer.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        while not self.status:
            head, separator, rest = data.partition(b"\r\n\r\n")
            if not separator:
                self._keep(data)
                return False
            self._read_head(head)
            data = rest
        if self._framing is _Framing.CHUNKED:
            return self._feed_chunked(data)
        self._pieces.append(data)
        self._left -= len(data)
        return self._framing is _Framing.LENGTH and _is_end(-self._left)

    def end(self) -> bool:
        """Know that the server sends nothing more; return whether the answer is complete."""
        return self.status > 0 and self._framing is _Framing.END_OF_STREAM

    def _read_head(self, head: bytes) -> None:
        code = head[9:12]
        if not head.startswith(b"HTTP/1.") or not code.isdigit():
            raise MalformedAnswer(f"not an HTTP/1.1 answer: {head[:40]!r}")
        status = int(code)
        if status < 200:  # the answer proper is still to come
            return
        self.status, self.head = status, head
        folded = head.lower()
        is_closing = b"close" in _header(folded, b"\r\nconnection:")
        self.is_kept = folded.startswith(b"http/1.1") and not is_closing
        if status in (204, 304):
            return
        if _header(folded, b"\r\ntransfer-encoding:").endswith(b"chunked"):
            self._framing = _Framing.CHUNKED
            return
        length = _header(folded, b"\r\ncontent-length:")
        if length.isdigit():
            self._left = int(length)
        elif length:
            raise MalformedAnswer(f"a Content-Length of {length[:40]!r}")
        else:
            self._framing, self.is_kept = _Framing.END_OF_STREAM, False

    def _feed_chunked(self, data: bytes) -> bool:
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._pieces.append(piece)
                self._left -= len(piece)
                at += len(piece)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._keep(data[at:])
                return False
            line, at = data[at:end], end + 2
            if self._line is _Line.TRAILER and not line:
                return _is_end(len(data) - at)
            self._read_line(line)
        return False

    def _read_line(self, line: bytes) -> None:
        if self._line is _Line.SIZE:
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError as error:
                raise MalformedAnswer(f"no size of a chunk: {line[:40]!r}") from error
            self._line = _Line.END_OF_CHUNK if self._left else _Line.TRAILER
        elif self._line is _Line.END_OF_CHUNK:
            if line:
                raise MalformedAnswer(f"a chunk is longer than its size: {line[:40]!r}")
            self._line = _Line.SIZE

    def _keep(self, rest: bytes) -> None:
        if len(rest) > _HEAD_LIMIT_BYTES:
            raise MalformedAnswer(f"a head or line of more than {_HEAD_LIMIT_BYTES} bytes")
        self._rest = rest


def _is_end(surplus: int) -> bool:
    """Whether the last byte has come; nothing may follow, since nothing else was asked for."""
    if surplus > 0:
        raise MalformedAnswer(f"{surplus} bytes after the end of the answer")
    return surplus == 0


def _header(folded_head: bytes, name: bytes) -> bytes:
    """The value of a header in a head in lower case; empty when there is none."""
    at = folded_head.find(name)
    if at < 0:
        return b""
    end = folded_head.find(b"\r\n", at + 2)
    return folded_head[at + len(name) : end if end >= 0 else None].strip()
