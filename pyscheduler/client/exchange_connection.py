"""A kept-alive HTTP/1.1 connection that carries one exchange at a time.

Apart from `connection` for what an exchange adds: a time limit, and the return to idleness. The
life of a connection that is open::

    idle --exchange--> awaiting an answer --complete, and the server keeps it--> idle
      |                  |
      +------------------+---- closed by either side, cancelled, not HTTP ----> closed

Called by: ``lean_transport``.
"""

import asyncio
from collections.abc import Callable

from pyscheduler.client.answer_reader import AnswerReader, MalformedAnswer
from pyscheduler.client.connection import Connection, ConnectionBroken
from pyscheduler.client.tls_channel import TlsChannel


class ExchangeConnection(Connection):
    """See the module's docstring; the arguments are those of a `Connection`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        tls: TlsChannel | None = None,
        on_closed: Callable[[Connection], None],
    ) -> None:
        super().__init__(loop, tls=tls, on_closed=on_closed)
        #: Reads the answer under way; None while idle.
        self._reader: AnswerReader | None = None
        #: Of whoever awaits that answer.
        self._waiter: asyncio.Future[None] | None = None
        #: Until when the answer under way may take, by the loop's time.
        self._give_up_at = 0.0
        #: Looks at that moment or earlier. It outlives the exchange that set it: most end long
        #: before their time, and so a timer serves thousands of them.
        self._timer: asyncio.TimerHandle | None = None
        #: Since when it is idle, by the loop's time; kept by the pool.
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent, as far as this side knows."""
        return self._reader is None and not self._transport.is_closing()

    async def exchange(self, request: bytes, *, give_up_at: float) -> AnswerReader:
        """Send a request and return the complete answer.

        Args:
            request: the whole request.
            give_up_at: moment by the loop's time.

        Raises:
            ConnectionBroken: the answer did not come, or not to its end.
            TimeoutError: it did not come in time.
        """
        reader = self._reader = AnswerReader()
        self._waiter = self._loop.create_future()
        self._look_at_the_clock(give_up_at)
        try:
            self._write(request)
            await self._waiter
        except BaseException:
            # The answer may still come: no other request may follow on this connection.
            self.close()
            raise
        finally:
            self._waiter = None
        self._reader = None
        if not reader.is_kept:
            self.close()
        return reader

    def _take(self, data: bytes) -> None:
        """Know what the server said."""
        if self._reader is None or self._waiter is None or self._waiter.done():
            self.close()  # nobody asked for this; whose answer the next bytes are is unknown
            return
        try:
            if self._reader.feed(data):
                self._waiter.set_result(None)
        except MalformedAnswer as error:
            self._break(str(error))

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop, at the very end."""
        if self._timer is not None:
            self._timer.cancel()
        is_complete = self._reader is not None and self._reader.end()
        if is_complete and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        super().connection_lost(error)

    def _look_at_the_clock(self, give_up_at: float) -> None:
        """The exchange that begins fails at that moment."""
        self._give_up_at = give_up_at
        if self._timer is not None:
            if self._timer.when() <= give_up_at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(give_up_at, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._give_up_at:
            self._look_at_the_clock(self._give_up_at)
        else:
            self._fail(TimeoutError())

    def _break(self, reason: str) -> None:
        is_begun = self._reader is not None and self._reader.status > 0
        self._fail(ConnectionBroken(reason, is_begun=is_begun))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
