"""One connection to the API server: how it opens, what TLS it speaks, and how it ends.

What is said on it is the affair of its two kinds: `exchange_connection` carries one answer after
the other, `stream_connection` a single one that goes on and on. The life of either::

    opening --TLS agreed on, if there is any--> open --closed by either side, or broken--> closed

Called by: the event loop, and `lean_transport`, which knows credentials, what a failure means and
when to try again.
"""

import asyncio
import errno
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pyscheduler.client.tls_channel import TlsChannel


class ConnectionBroken(Exception):  # noqa: N818  # says what happened, as its siblings do
    """The connection ended before its answer did.

    Attributes:
        is_begun: whether some of the answer had come.
    """

    def __init__(self, reason: str, *, is_begun: bool) -> None:
        super().__init__(reason)
        self.is_begun = is_begun


class Connection(asyncio.Protocol, ABC):
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

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more, as far as this side knows."""
        return bool(self._transport.is_closing())

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

    def close(self) -> None:
        """Cut the connection; what is under way fails."""
        self._transport.abort()

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Know what the server said."""

    @abstractmethod
    def _break(self, reason: str) -> None:
        """Know that nothing more will come; told more than once, the first time counts."""

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

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop, at the very end."""
        self._fail_to_open(error or ConnectionResetError(errno.ECONNRESET, ""))
        self._on_closed(self)
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
