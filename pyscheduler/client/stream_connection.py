"""An HTTP/1.1 connection that carries one answer which goes on and on: a watch.

Apart from `exchange_connection` for its rhythm. Nothing is read before somebody asks for more, so
that at most one read of it is held. And while events flow, the socket is left alone for a moment
after each read: the events of that moment come as one piece, and cost one wake-up instead of one
each. What comes alone is followed at once, and so is a flood::

    listening --an event or two, or a flood--> listening, when somebody asks
    listening --some events together--> resting --5 ms later, when somebody asks--> listening

Called by: ``lean_transport``.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from pyscheduler.client.answer_reader import AnswerReader, MalformedAnswer
from pyscheduler.client.connection import Connection, ConnectionBroken
from pyscheduler.client.tls_channel import TlsChannel

#: Seconds without a read while events flow: no pod waits longer for it than for its binding.
_REST_S: Final = 0.005
#: Events of one read from which on they flow: a rest costs about what two wake-ups cost.
_FLOW_EVENTS: Final = 3
#: A read that brings as many bytes is part of a flood, such as a list: more is there already.
_FLOOD_BYTES: Final = 64 << 10


class StreamConnection(Connection):
    """See the module's docstring; the arguments are those of a `Connection`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        tls: TlsChannel | None = None,
        on_closed: Callable[[Connection], None],
    ) -> None:
        super().__init__(loop, tls=tls, on_closed=on_closed)
        self._reader = AnswerReader()
        #: Of whoever awaits more of the answer.
        self._waiter: asyncio.Future[None] | None = None
        self._is_complete = False
        self._failure: ConnectionBroken | None = None
        #: When the socket may be looked at again, by the loop's time.
        self._rested_at = 0.0

    async def begin(self, request: bytes) -> AnswerReader:
        """Send the request; return its answer once the head is there. Closed when cancelled.

        Raises:
            ConnectionBroken: there is none.
        """
        self._write(request)
        while not self._reader.status:
            await self._more()
        return self._reader

    async def read(self) -> bytes:
        """Return what came of the body since the last call; empty at its end.

        The connection is closed when this is cancelled.

        Raises:
            ConnectionBroken: the end will not come.
        """
        while not (piece := self._reader.take()) and not self._is_complete:
            await self._more()
        return piece

    async def _more(self) -> None:
        """Return when there may be more, or an end."""
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        if self._rested_at > self._loop.time():
            self._loop.call_at(self._rested_at, self._listen)
        else:
            self._listen()
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise

    def _listen(self) -> None:
        if not self.is_closing:
            self._transport.resume_reading()

    def _take(self, data: bytes) -> None:
        self._transport.pause_reading()
        # each event is a JSON object on a line of its own
        if len(data) < _FLOOD_BYTES and data.count(b"}\n") >= _FLOW_EVENTS:
            self._rested_at = self._loop.time() + _REST_S
        try:
            self._is_complete = self._reader.feed(data)
        except MalformedAnswer as error:
            self._break(str(error))
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop, at the very end."""
        self._is_complete |= self._reader.end()
        super().connection_lost(error)

    def _break(self, reason: str) -> None:
        if self._failure is None:
            self._failure = ConnectionBroken(reason, is_begun=self._reader.status > 0)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
