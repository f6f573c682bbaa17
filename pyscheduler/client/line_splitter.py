"""Lines out of the pieces in which a watch arrives."""

from pyscheduler.client.errors import ResponseTooLarge

#: No object is larger: etcd takes 1.5 MB, and JSON of what it holds not ten times that.
_LINE_LIMIT_BYTES = 32 << 20


class LineSplitter:
    """Joins and cuts chunks into lines; each byte is copied once or twice."""

    def __init__(self) -> None:
        #: The pieces of a line whose end has not come.
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def has_rest(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._size > 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes, without their ends and without empty ones.

        Raises:
            ResponseTooLarge: a line is longer than any object can be.
        """
        lines = chunk.split(b"\n")
        if len(lines) > 1 and self._pieces:
            self._pieces.append(lines[0])
            lines[0] = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
        rest = lines.pop()
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
            if self._size > _LINE_LIMIT_BYTES:
                raise ResponseTooLarge(f"a watch event is longer than {_LINE_LIMIT_BYTES} bytes")
        return [line for line in lines if line]
