"""Notices that a watch is dead although its connection seems to be there.

A server that was stopped, or a middlebox that forgot the connection, sends neither bytes nor an
end. What counts as too long depends on what the stream has shown so far.
"""

import asyncio
from typing import Final

from pyscheduler.clock import Clock

#: How often silence is looked for.
CHECK_S: Final = 5.0
#: Seconds without a byte: before the answer begins and among the initial events; once live, from a
#: server that sent a bookmark on this stream (it does so each minute).
_OPENING_LIMIT_S = 60.0
_BOOKMARK_LIMIT_S = 150.0
#: Seconds that a stream may be open beyond the end we asked for.
_OVERDUE_LIMIT_S = 15.0


class SilenceWatch:
    """Watches over one stream; its reader keeps the three fields up to date."""

    def __init__(self, clock: Clock, *, timeout_s: float) -> None:
        self._clock = clock
        self._overdue_at = clock.monotonic() + timeout_s + _OVERDUE_LIMIT_S
        #: Moment since when the server owes us bytes; None while the reader is busy with some.
        self.waiting_since: float | None = clock.monotonic()
        #: Whether the stream is past its beginning: answered, and no initial events to come.
        self.is_live = False
        #: Whether the server has sent a bookmark since.
        self.is_bookmarked = False

    async def fallen_silent(self) -> str:
        """Return, in words, once the stream must be given up; never if it goes on well.

        Two looks in a row must agree: after this process itself was stopped for a while, the
        first one may come before the bytes that wait in the socket.
        """
        strikes = 0
        while True:
            await self._clock.sleep(CHECK_S)
            silent_s = self._silent_s()
            strikes = strikes + 1 if silent_s is not None else 0
            if strikes == 2:
                return f"no byte for {silent_s:.0f} s"

    def _silent_s(self) -> float | None:
        """Return for how long the stream is silent, None while that is in order."""
        if self.waiting_since is None:
            return None
        now = self._clock.monotonic()
        silent_s = now - self.waiting_since
        if now > self._overdue_at and silent_s >= CHECK_S:
            return silent_s
        if not self.is_live:
            limit_s = _OPENING_LIMIT_S
        elif self.is_bookmarked:
            limit_s = _BOOKMARK_LIMIT_S
        else:
            return None
        return silent_s if silent_s > limit_s else None


async def cancel_when_silent(watch: SilenceWatch, reader: "asyncio.Task[object]") -> str:
    """Cancel `reader` once its stream has fallen silent; return what is wrong."""
    reason = await watch.fallen_silent()
    reader.cancel()
    return reason
