"""One write on its way to the API server: when it is sent again, and until when.

Apart from the dispatcher, which says in what order and how many at once; here is the one rule for
all kinds of writes. What the server puts off (429, 5xx) or leaves unanswered is sent again with
back-off until patience is over. Everything else is final, with one exception: a server that was
away and comes back forbids everybody everything until it has read its roles.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import msgspec

from pyscheduler.client.backoff import Backoff
from pyscheduler.client.errors import ApiError, Forbidden, ServerUnreachable
from pyscheduler.client.rest import JSON, api_error
from pyscheduler.client.transport import Transport
from pyscheduler.clock import Clock

_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_LIMIT_S: Final = 3.0


class WriteRequest(msgspec.Struct, frozen=True, gc=False):
    """One request, as it goes out."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = JSON
    #: False for what must not be carried out twice, such as the creation of a nameless object:
    #: without an answer it is not sent again.
    is_repeatable: bool = True


class Sender:
    """Sends writes; knows when another attempt makes sense.

    Args:
        transport: reaches the server.
        patience_s: seconds from the first failure during which a write is tried again.
        clock: time.
        rng: jitter.
    """

    def __init__(
        self, transport: Transport, *, patience_s: float, clock: Clock, rng: Random
    ) -> None:
        self._transport = transport
        self._patience_s = patience_s
        self._clock = clock
        self._rng = rng

    async def send(self, write: WriteRequest, *, may_go_on: Callable[[], bool]) -> bytes:
        """Return the body of the answer that says that it was carried out.

        Args:
            write: what to send.
            may_go_on: asked before each further attempt; False ends it with the last error.

        Raises:
            ClientError: it was not carried out, or nobody knows; the last error of all attempts.
        """
        backoff: Backoff | None = None
        give_up_at = 0.0
        was_away = False
        while True:
            error: ApiError | ServerUnreachable
            try:
                answer = await self._transport.request(
                    write.method, write.path, body=write.body, content_type=write.content_type
                )
            except ServerUnreachable as unreachable:
                error, was_away = unreachable, True
            else:
                if answer.status < 400:
                    return answer.body
                error = api_error(answer, write.method, write.path)
            if not _is_worth_another(error, write, was_away=was_away):
                raise error
            now = self._clock.monotonic()
            if backoff is None:
                backoff = Backoff(
                    _BACKOFF_FIRST_S, _BACKOFF_LIMIT_S, rng=self._rng, clock=self._clock
                )
                give_up_at = now + self._patience_s
            asked_s = error.retry_after_s if isinstance(error, ApiError) else None
            delay_s = max(backoff.next_s(), asked_s or 0.0)
            if now + delay_s > give_up_at:
                raise error
            await self._clock.sleep(delay_s)
            if not may_go_on():
                raise error


def _is_worth_another(
    error: ApiError | ServerUnreachable, write: WriteRequest, *, was_away: bool
) -> bool:
    if isinstance(error, ServerUnreachable):
        return write.is_repeatable or not error.is_sent
    if isinstance(error, Forbidden):
        return was_away
    # A 5xx may come after the change was made; only the server's own "later" surely comes before.
    return error.is_transient and (write.is_repeatable or error.retry_after_s is not None)
