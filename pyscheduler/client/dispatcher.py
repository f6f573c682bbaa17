"""The write queue: binds, writes about victims, plugins' own writes, status and events, in order.

- A bind is sent by the task that awaits it, once one of `bind_window` slots is free; slots go to
  the waiting bind of the highest pod priority first. No task or queue entry is made for it while
  slots are free.
- Conditions and deletions of victims, and the requests of plugins, are awaited by somebody, too,
  and have slots of their own.
- The status of pods that wait (PodScheduled=False, the nomination) and events are fire-and-forget
  and have a lane each with a few workers, so that no number of them holds up a bind. A status is
  merged with an older one of the same pod and dropped when that pod is bound meanwhile.

With a limit on this side (``qps``) the next token goes to a bind, then to what is awaited, then to
a status. How often a write is sent is for `sending` to say. A bind whose answer was lost is told by
the server's refusal: "already assigned to node X" is success when X is ours.
"""

# ruff: noqa: N818  # BindRefused and its siblings say what happened, as the API's reasons do

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any, Final, TypeVar

import msgspec

from pyscheduler.api.core_v1 import Pod
from pyscheduler.client.background_writes import EventWrites, StatusWrites, is_about_another_uid
from pyscheduler.client.errors import ApiError, ClientError, Conflict, Invalid, NotFound
from pyscheduler.client.rest import JSON, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from pyscheduler.client.sending import Sender, WriteRequest
from pyscheduler.client.slots import PrioritySlots
from pyscheduler.client.throttle import TokenBucket
from pyscheduler.client.transport import Transport
from pyscheduler.client.write_bodies import (
    StatusWrite,
    binding,
    condition_patch,
    deletion,
    pod_path,
)
from pyscheduler.client.write_metrics import NoWriteMetrics, WriteMetrics
from pyscheduler.clock import Clock, SystemClock

T = TypeVar("T")

#: Binds under way at once. A guess: enough that a local kube-apiserver never waits for us, and
#: few enough that a pod of high priority finds little in front of it.
BIND_WINDOW: Final = 32
#: The same for each other kind that somebody awaits.
_AWAITED_WINDOW = 16

#: Whose turn it is for a token of ``qps``.
_BIND_RANK, _AWAITED_RANK, _STATUS_RANK = range(3)

#: Seconds during which a write is tried again; afterwards a pod goes back to the queue. Longer
#: than an API server takes to restart.
_PATIENCE_S = 30.0
#: How often a victim's condition is sent to a server that gave up against other writers.
_CONFLICTS = 5


class BindError(ClientError):
    """A pod was not bound; the children say what that means for it."""


class BindRefused(BindError):
    """The server will not bind this pod so: it changed, is being deleted or is bound elsewhere."""


class BindPodGone(BindError):
    """The pod, or this incarnation of it, is not there any more."""


class BindUnavailable(BindError):
    """The server did not answer, or not usefully, for longer than we wait."""


class BindFenced(BindError):
    """We are no longer the leader, or are shutting down: nothing was sent."""


class Dispatcher:
    """Carries out all writes of the scheduling loop; see the module's docstring.

    Args:
        transport: reaches the server.
        bind_window: binds under way at once.
        qps: writes per second of all kinds together but events, and as many events again; None for
            no limit on this side.
        burst: writes that may come at once after a quiet time.
        patience_s: seconds during which a write is tried again.
        clock: time.
        rng: jitter.
        metrics: counts what happens.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        bind_window: int = BIND_WINDOW,
        qps: float | None = None,
        burst: int | None = None,
        patience_s: float = _PATIENCE_S,
        clock: Clock | None = None,
        rng: Random | None = None,
        metrics: WriteMetrics | None = None,
    ) -> None:
        self._transport = transport
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._sender = Sender(
            transport,
            patience_s=patience_s,
            clock=self._clock,
            rng=rng if rng is not None else Random(),
        )
        self._metrics: WriteMetrics = metrics if metrics is not None else NoWriteMetrics()
        self._binds = PrioritySlots(bind_window)
        #: What is awaited, by kind.
        self._slots = {
            "binding": self._binds,
            "condition": PrioritySlots(_AWAITED_WINDOW),
            "delete": PrioritySlots(_AWAITED_WINDOW),
            "request": PrioritySlots(_AWAITED_WINDOW),
        }
        self._is_fenced = False
        self._may_write: Callable[[], bool] = lambda: True
        self._bucket: TokenBucket | None = None
        event_bucket: TokenBucket | None = None
        if qps is not None:
            size = burst if burst is not None else max(1, int(qps))
            self._bucket = TokenBucket(qps, size, clock=self._clock)
            event_bucket = TokenBucket(qps, size, clock=self._clock)
        self._statuses = StatusWrites(
            self._sender,
            bucket=self._bucket,
            rank=_STATUS_RANK,
            may_go_on=self._may_go_on,
            clock=self._clock,
            metrics=self._metrics,
        )
        self._events = EventWrites(
            self._sender, bucket=event_bucket, clock=self._clock, metrics=self._metrics
        )

    # --- what the scheduler calls ---------------------------------------------------------------

    @property
    def transport_name(self) -> str:
        """What carries the writes, for logs and benchmarks."""
        return self._transport.name

    @property
    def bind_window(self) -> int:
        """Binds under way at once, at most."""
        return self._binds.limit

    @property
    def unsent_binds(self) -> int:
        """Binds that wait for a slot: beyond twice the window no further pod should be decided."""
        return self._binds.waiting

    def pending(self) -> dict[str, int]:
        """Return the writes accepted and not yet answered, by kind."""
        awaited = {kind: slots.taken + slots.waiting for kind, slots in self._slots.items()}
        return {**awaited, "status": len(self._statuses), "event": len(self._events)}

    async def bind(self, pod: Pod, node_name: str) -> None:
        """Bind `pod` to the node; on return the server has done so.

        Raises:
            BindError: it has not, or we do not know; the child class says which.
        """
        # A status that arrived after the bind would stay on a bound pod.
        await self._statuses.withdraw(pod.uid)
        await self._in_turn("binding", pod, lambda: self._send_bind(pod, node_name))

    async def patch_pod_condition(
        self, pod: Pod, *, condition_type: str, reason: str, message: str
    ) -> None:
        """Set a condition of that very pod to True; on return it has it, is gone or was replaced.

        Raises:
            ClientError: it is there without the condition.
        """
        patch = condition_patch(
            pod, condition_type, reason=reason, message=message, now_s=self._clock.now()
        )
        if patch is None:
            return
        write = WriteRequest("PATCH", f"{pod_path(pod)}/status", patch, STRATEGIC_MERGE_PATCH)
        await self._in_turn("condition", pod, lambda: self._send_condition(write))

    async def delete_pod(self, pod: Pod) -> None:
        """Delete that very pod; on return it is gone, is going, or was replaced long since.

        Raises:
            ClientError: it is still there.
        """
        write = WriteRequest("DELETE", pod_path(pod), deletion(pod))
        await self._in_turn("delete", pod, lambda: self._send_deletion(write))

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Carry out any other write and return the decoded answer, None if it is empty.

        A POST whose answer was lost is not sent again, since it may have created something.

        Args:
            method: ``POST``, ``PUT``, ``DELETE``, ``PATCH`` (a JSON merge patch), or ``GET``, for
                what a write was refused for: it goes where writes go.
            path: from ``/api`` or ``/apis`` on, without the server.
            body: the object or patch; None sends none.

        Raises:
            ClientError: the API server refused, or could not be reached for long.
        """
        write = WriteRequest(
            method,
            path,
            None if body is None else msgspec.json.encode(body),
            MERGE_PATCH if method == "PATCH" else JSON,
            is_repeatable=method != "POST",
        )
        answer = await self._in_turn("request", None, lambda: self._send(write, _AWAITED_RANK))
        return msgspec.json.decode(answer) if answer else None

    def patch_pod_status(
        self, pod: Pod, *, reason: str, message: str, nominated_node_name: str | None = None
    ) -> None:
        """Have PodScheduled=False written in the background, if that changes anything.

        Args:
            pod: the pod as last seen.
            reason: ``Unschedulable`` or ``SchedulerError``.
            message: for the user.
            nominated_node_name: the node to nominate, "" for none; None leaves it as it is.
        """
        if not self._is_fenced:
            self._statuses.put(StatusWrite(pod, reason, message, nominated_node_name))

    def nominate(self, pod: Pod, node_name: str) -> None:
        """Have the nomination written in the background; an empty name clears it."""
        if not self._is_fenced:
            self._statuses.put(StatusWrite(pod, nominated_node_name=node_name))

    def send_event(self, key: str, write: WriteRequest) -> None:
        """Have an event written in the background, in place of an unsent one of that key."""
        if self._is_fenced:
            self._metrics.dropped_event("no longer the leader")
            return
        self._events.put(key, write)

    def unsent_event(self, key: str) -> bool:
        """Whether the write of that key still waits, so that it can be replaced."""
        return self._events.is_unsent(key)

    def ask_before_writing(self, may_write: Callable[[], bool]) -> None:
        """Ask `may_write` right before each write but events; False: it is not sent."""
        self._may_write = may_write

    def fence(self) -> None:
        """Send nothing but the events taken before, and take no more: another may lead.

        What waits fails at once with `BindFenced`; what is on its way cannot be called back.
        """
        self._is_fenced = True
        for slots in self._slots.values():
            slots.open_to_all()

    async def drain(self, timeout_s: float) -> bool:
        """Return once everything accepted is written; False when `timeout_s` was too short."""
        deadline = self._clock.monotonic() + timeout_s
        while any(self.pending().values()):
            if self._clock.monotonic() >= deadline:
                return False
            await self._clock.sleep(0.02)
        return True

    async def close(self) -> None:
        """Give up what is unsent; may be called twice."""
        self.fence()
        await self._statuses.close()
        await self._events.close()

    # --- sending --------------------------------------------------------------------------------

    async def _in_turn(self, kind: str, pod: Pod | None, send: Callable[[], Awaitable[T]]) -> T:
        """Call `send` once a slot of its kind is ours, and count how that ended."""
        slots = self._slots[kind]
        await slots.acquire(0 if pod is None else pod.priority)
        started = self._clock.monotonic()
        result = "error"
        try:
            if not self._may_go_on():
                subject = "" if pod is None else f"{pod.key}: "
                raise BindFenced(f"{subject}{kind} not sent: no longer the leader")
            answer = await send()
            result = "success"
            return answer
        finally:
            slots.release()
            self._metrics.wrote(kind, result, self._clock.monotonic() - started)

    async def _send(self, write: WriteRequest, rank: int) -> bytes:
        if self._bucket is not None:
            await self._bucket.take(rank)
            if not self._may_go_on():
                raise BindFenced(f"{write.method} {write.path}: not sent: no longer the leader")
        return await self._sender.send(write, may_go_on=self._may_go_on)

    async def _send_bind(self, pod: Pod, node_name: str) -> None:
        write = WriteRequest("POST", f"{pod_path(pod)}/binding", binding(pod, node_name))
        try:
            # The answer is a Status without content: nothing of it is read.
            await self._send(write, _BIND_RANK)
        except NotFound as error:
            raise BindPodGone(f"{pod.key}: not bound to {node_name}: {error.details}") from error
        except Conflict as error:
            if f'is already assigned to node "{node_name}"' in error.details:
                return
            raise BindRefused(f"{pod.key}: not bound to {node_name}: {error.details}") from error
        except BindFenced:
            raise
        except ApiError as error:
            kind = BindUnavailable if error.is_transient else BindRefused
            raise kind(f"{pod.key}: not bound to {node_name}: {error}") from error
        except ClientError as error:
            raise BindUnavailable(f"{pod.key}: not bound to {node_name}: {error}") from error

    async def _send_deletion(self, write: WriteRequest) -> None:
        try:
            await self._send(write, _AWAITED_RANK)
        except NotFound:
            return
        except Conflict as error:
            if "precondition" not in error.details:
                raise  # others wrote at the same time, and the pod is still there
            # another pod has its name

    async def _send_condition(self, write: WriteRequest) -> None:
        for attempt in range(1, _CONFLICTS + 1):
            try:
                await self._send(write, _AWAITED_RANK)
            except Conflict:
                # the server gave up against others who wrote at the same time
                if attempt == _CONFLICTS:
                    raise
            except (NotFound, Invalid) as error:
                if isinstance(error, NotFound) or is_about_another_uid(error):
                    return
                raise
            else:
                return

    def may_write(self) -> bool:
        """Whether this process may still write: not once it was fenced, or another may lead."""
        return self._may_go_on()

    def _may_go_on(self) -> bool:
        return not self._is_fenced and self._may_write()
