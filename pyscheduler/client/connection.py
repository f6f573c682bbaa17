"""One kept-alive HTTP/1.1 connection to the API server, which carries one exchange at a time.

Apart from `lean_transport`, its one caller, which knows credentials, what a failure means and when
to try again. The life of a connection::

    opening --TLS agreed on, if there is any--> idle
    idle --exchange--> awaiting an answer --complete, and the server keeps it--> idle
      |                  |
      +------------------+---- closed by either side, cancelled, not HTTP ----> closed
"""

import asyncio
import errno
import ssl
from collections.abc import Callable
from typing import Any

from pyscheduler.client.answer_reader import AnswerReader, MalformedAnswer
from pyscheduler.client.tls_channel import TlsChannel


class ConnectionBroken(Exception):  # noqa: N818  # says what happened, as its siblings do
    """The connection ended before its answer did.

    Attributes:
        is_begun: whether some of the answer had come.
    """

    def __init__(self, reason: str, *, is_begun: bool) -> None:
        super().__init__(reason)
        self.is_begun = is_begun


class Connection(asyncio.Protocol):
    """See the module's docstring; made by ``loop.create_connection``.

    Args:
        loop: the running one. It is kept: to ask for it costs a system call.
        tls: None for plain HTTP.
        on_closed: is told when it can carry nothing more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        tls: TlsChannel | None = None,
        on_closed: Callable[["Connection"], None],
    ) -> None:
        self._loop = loop
        self._tls = tls
        self._on_closed = on_closed
        #: Of whoever awaits that requests can be sent.
        self._opened: asyncio.Future[None] = loop.create_future()
        self._transport: Any = None  # asyncio's and uvloop's have no class in common
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

    async def opened(self) -> None:
        """Return once requests can be sent; closed when cancelled.

        Raises:
            ssl.SSLError: the server is not to be trusted, or TLS cannot be agreed on.
            ConnectionResetError: it was closed before that.
        """
        try:
            await self._opened
        except BaseException:
            self.close()
            raise

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

    def close(self) -> None:
        """Cut the connection; an exchange under way fails."""
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._transport = transport
        if self._tls is None:
            self._opened.set_result(None)
        else:
            self._tls.shake_hands()  # the first word is ours, and cannot fail
            transport.write(self._tls.to_send())

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._tls is None:
            self._take(data)
        else:
            self._decrypt(self._tls, data)

    def _decrypt(self, tls: TlsChannel, data: bytes) -> None:
        try:
            said = tls.feed(data)
        except ssl.SSLError as error:
            self._transport.write(tls.to_send())  # why we hang up
            self._fail_to_open(error)
            self._break(str(error))
            self.close()
            return
        owed = tls.to_send()  # our part of the handshake
        if owed:
            self._transport.write(owed)
        if tls.is_open and not self._opened.done():
            self._opened.set_result(None)
        if said:
            self._take(said)
        if tls.is_ended:
            self.close()

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
        self._fail_to_open(error or ConnectionResetError(errno.ECONNRESET, ""))
        self._on_closed(self)
        if self._reader is not None and self._reader.end():
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
            return
        reason = "" if error is None else str(error)
        self._break(reason or "the connection was closed before the answer was complete")

    def _fail_to_open(self, error: Exception) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()  # seen, should nobody be there any more who awaits it

    def _write(self, request: bytes) -> None:
        if self._tls is not None:
            try:
                self._tls.write(request)
            except ssl.SSLError as error:
                raise ConnectionBroken(str(error), is_begun=False) from error
            request = self._tls.to_send()
        self._transport.write(request)

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
