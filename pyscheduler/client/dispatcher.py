"""The write queue: binds, deletions of victims, conditions and events, in order of importance.

- A bind is sent by the task that awaits it, once one of `bind_window` slots is free; slots go to
  the waiting bind of the highest pod priority first. No task or queue entry is made for it while
  slots are free.
- Deletions have slots of their own.
- Conditions and events are fire-and-forget and have a lane each with a few workers, so that no
  number of them holds up a bind. A condition is merged with an older one of the same pod and
  dropped when that pod is bound meanwhile.

What the server puts off (429, 5xx, no answer) is tried again with back-off: binds and deletions
until `patience_s` is over, the others a few times. A bind whose answer was lost is told by the
server's refusal: "already assigned to node X" is success when X is ours.
"""

# ruff: noqa: N818  # BindRefused and its siblings say what happened, as the API's reasons do

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

import msgspec
import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.client.backoff import Backoff
from pyscheduler.client.errors import (
    ApiError,
    ClientError,
    Conflict,
    Forbidden,
    NotFound,
    ServerUnreachable,
)
from pyscheduler.client.rest import JSON, STRATEGIC_MERGE_PATCH, api_error
from pyscheduler.client.slots import PrioritySlots
from pyscheduler.client.throttle import TokenBucket
from pyscheduler.client.transport import Transport
from pyscheduler.client.write_bodies import (
    StatusWrite,
    binding,
    changes_anything,
    deletion,
    status_patch,
)
from pyscheduler.client.write_lane import WriteLane
from pyscheduler.clock import Clock, SystemClock

#: Binds under way at once. A guess: enough that a local kube-apiserver never waits for us, and
#: few enough that a pod of high priority finds little in front of it.
BIND_WINDOW: Final = 32
_DELETE_WINDOW = 16
_STATUS_WORKERS = 4
_EVENT_WORKERS = 16

#: Events that may wait. At 1 kB each 20 MB; kube-scheduler's broadcaster drops beyond 1,000.
_EVENT_CAPACITY = 20_000
#: Conditions that may wait: one per pod, so this is a number of pods.
_STATUS_CAPACITY = 50_000

#: Seconds during which a bind is tried again; afterwards the pod goes back to the queue. Longer
#: than an API server takes to restart.
_PATIENCE_S = 30.0
_BACKOFF_FIRST_S, _BACKOFF_LIMIT_S = 0.2, 3.0
#: Attempts of a condition or an event.
_BACKGROUND_ATTEMPTS = 12
#: Seconds after which the watch has told us who changed a pod under a condition of ours.
_WATCH_LAG_S = 0.2
#: How often a condition is written again for a pod that changed.
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


class WriteMetrics(Protocol):
    """What the dispatcher counts; ``app`` joins it to the metrics of the process."""

    def wrote(self, kind: str, result: str, duration_s: float) -> None:
        """Count a write that is over, by kind (binding, delete, status, event) and result."""
        ...

    def dropped_event(self, reason: str) -> None:
        """Count an event given up."""
        ...


class NoWriteMetrics:
    """Counts nothing."""

    def wrote(self, kind: str, result: str, duration_s: float) -> None:
        """Count nothing."""

    def dropped_event(self, reason: str) -> None:
        """Count nothing."""


class EventWrite(msgspec.Struct, frozen=True, gc=False):
    """One request of the event recorder."""

    method: str
    path: str
    body: bytes
    content_type: str = JSON


class Dispatcher:
    """Carries out all writes of the scheduling loop; see the module's docstring.

    Args:
        transport: reaches the server.
        bind_window: binds under way at once.
        qps: writes per second of binds, deletions and conditions together, and as many events
            again; None for no limit on this side.
        burst: writes that may come at once after a quiet time.
        patience_s: seconds during which a bind or a deletion is tried again.
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
        self._rng = rng if rng is not None else Random()
        self._metrics: WriteMetrics = metrics if metrics is not None else NoWriteMetrics()
        self._log = structlog.get_logger(__name__)
        self._patience_s = patience_s
        self._binds = PrioritySlots(bind_window)
        self._deletes = PrioritySlots(_DELETE_WINDOW)
        self._is_fenced = False
        self._may_write: Callable[[], bool] = lambda: True
        self._newest: Callable[[str], Pod | None] = lambda _key: None
        self._bucket: TokenBucket | None = None
        self._event_bucket: TokenBucket | None = None
        if qps is not None:
            size = burst if burst is not None else max(1, int(qps))
            self._bucket = TokenBucket(qps, size, clock=self._clock)
            self._event_bucket = TokenBucket(qps, size, clock=self._clock)
        self._statuses: WriteLane[str, StatusWrite] = WriteLane(
            self._send_status,
            limit=_STATUS_WORKERS,
            capacity=_STATUS_CAPACITY,
            on_dropped=lambda _: self._metrics.wrote("status", "dropped", 0.0),
        )
        self._events: WriteLane[str, EventWrite] = WriteLane(
            self._send_event,
            limit=_EVENT_WORKERS,
            capacity=_EVENT_CAPACITY,
            on_dropped=lambda _: self._metrics.dropped_event("queue full"),
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
        return {
            "binding": self._binds.taken + self._binds.waiting,
            "delete": self._deletes.taken + self._deletes.waiting,
            "status": len(self._statuses),
            "event": len(self._events),
        }

    async def bind(self, pod: Pod, node_name: str) -> None:
        """Bind `pod` to the node; on return the server has done so.

        Raises:
            BindError: it has not, or we do not know; the child class says which.
        """
        uid = pod.uid
        self._statuses.discard(uid)
        if self._statuses.is_sending(uid):
            # A condition that arrives after the bind would stay on a bound pod.
            await self._statuses.finished(uid)
        await self._binds.acquire(pod.priority)
        started = self._clock.monotonic()
        result = "error"
        try:
            if not self._may_go_on():
                raise BindFenced(f"{pod.key}: not bound to {node_name}: no longer the leader")
            await self._send_bind(pod, node_name)
            result = "success"
        finally:
            self._binds.release()
            self._metrics.wrote("binding", result, self._clock.monotonic() - started)

    async def delete_pod(self, pod: Pod) -> None:
        """Delete that very pod; on return it is gone, is going, or was replaced long since.

        Raises:
            ClientError: it is still there.
        """
        meta = pod.metadata
        await self._deletes.acquire(pod.priority)
        started = self._clock.monotonic()
        result = "error"
        try:
            if not self._may_go_on():
                raise BindFenced(f"{pod.key}: not deleted: no longer the leader")
            path = f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}"
            await self._send_patiently("DELETE", path, deletion(pod))
            result = "success"
        except (NotFound, Conflict):
            result = "success"  # gone, or another pod has its name
        finally:
            self._deletes.release()
            self._metrics.wrote("delete", result, self._clock.monotonic() - started)

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
        if self._is_fenced:
            return
        older = self._statuses.get(pod.uid)
        if nominated_node_name is None and older is not None:
            nominated_node_name = older.nominated_node_name
        write = StatusWrite(pod, reason, message, nominated_node_name)
        if older is not None or self._statuses.is_sending(pod.uid) or changes_anything(write):
            self._statuses.put(pod.uid, write)

    def send_event(self, key: str, write: EventWrite) -> None:
        """Have an event written in the background, in place of an unsent one of that key."""
        if self._is_fenced:
            self._metrics.dropped_event("no longer the leader")
            return
        self._events.put(key, write)

    def unsent_event(self, key: str) -> bool:
        """Whether the write of that key still waits, so that it can be replaced."""
        return self._events.get(key) is not None and not self._events.is_sending(key)

    def look_up_with(self, newest: Callable[[str], Pod | None]) -> None:
        """Ask `newest` for a pod by key when it changed under a condition being written."""
        self._newest = newest

    def ask_before_writing(self, may_write: Callable[[], bool]) -> None:
        """Ask `may_write` right before each bind, deletion and condition; False: it is not sent."""
        self._may_write = may_write

    def fence(self) -> None:
        """Send no bind, deletion or condition, and take no event, any more: another may lead.

        What waits fails at once with `BindFenced`; what is on its way cannot be called back.
        """
        self._is_fenced = True
        self._binds.open_to_all()
        self._deletes.open_to_all()

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

    async def _send_bind(self, pod: Pod, node_name: str) -> None:
        meta = pod.metadata
        path = f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}/binding"
        try:
            # The answer is a Status without content: nothing of it is read.
            await self._send_patiently("POST", path, binding(pod, node_name))
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

    def _may_go_on(self) -> bool:
        return not self._is_fenced and self._may_write()

    async def _send_patiently(self, method: str, path: str, body: bytes) -> None:
        """Send until an answer is final or patience is over; the last error is raised then."""
        if self._bucket is not None:
            await self._bucket.take()
            if not self._may_go_on():
                raise BindFenced(f"{method} {path}: not sent: no longer the leader")
        backoff: Backoff | None = None
        give_up_at = 0.0
        was_away = False
        while True:
            error: ApiError | ServerUnreachable
            try:
                answer = await self._transport.request(method, path, body=body)
            except ServerUnreachable as unreachable:
                error, asked_s, was_away = unreachable, 0.0, True
            else:
                if answer.status < 400:
                    return
                error = api_error(answer, method, path)
                # a server that comes back forbids everything until it has read its roles
                is_coming_back = was_away and isinstance(error, Forbidden)
                if not error.is_transient and not is_coming_back:
                    raise error
                asked_s = error.retry_after_s or 0.0
            now = self._clock.monotonic()
            if backoff is None:
                backoff = Backoff(
                    _BACKOFF_FIRST_S, _BACKOFF_LIMIT_S, rng=self._rng, clock=self._clock
                )
                give_up_at = now + self._patience_s
            delay_s = max(backoff.next_s(), asked_s)
            if now + delay_s > give_up_at:
                raise error
            await self._clock.sleep(delay_s)
            if not self._may_go_on():
                raise error

    async def _send_status(self, _uid: str, write: StatusWrite) -> None:
        for _ in range(_CONFLICTS):
            await self._give_way()
            if not self._may_go_on():
                return
            meta = write.pod.metadata
            patch = EventWrite(
                "PATCH",
                f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}/status",
                status_patch(write, now_s=self._clock.now()),
                STRATEGIC_MERGE_PATCH,
            )
            problem = await self._send_in_background("status", patch, pod=write.pod.key)
            if not isinstance(problem, Conflict):
                return
            await self._clock.sleep(_WATCH_LAG_S)
            newest = self._newest(write.pod.key)
            if newest is None or newest.uid != write.pod.uid or newest.node_name:
                return
            write = msgspec.structs.replace(write, pod=newest)

    async def _send_event(self, key: str, write: EventWrite) -> None:
        if self._event_bucket is not None:
            await self._event_bucket.take()
        await self._send_in_background("event", write, event_key=key)

    async def _send_in_background(
        self, kind: str, write: EventWrite, **subject: str
    ) -> ClientError | None:
        """Send, trying again a few times; whatever comes of it is counted and nothing raised.

        Returns:
            Why it was given up; None when it was written.
        """
        started = self._clock.monotonic()
        backoff: Backoff | None = None
        problem: ClientError | None = None
        was_away = False
        for _ in range(_BACKGROUND_ATTEMPTS):
            asked_s = 0.0
            try:
                answer = await self._transport.request(
                    write.method, write.path, body=write.body, content_type=write.content_type
                )
                if answer.status < 400:
                    self._metrics.wrote(kind, "success", self._clock.monotonic() - started)
                    return None
                problem = api_error(answer, write.method, write.path)
                if not problem.is_transient and not (was_away and isinstance(problem, Forbidden)):
                    break
                asked_s = problem.retry_after_s or 0.0
            except ServerUnreachable as unreachable:
                problem, was_away = unreachable, True
            except ClientError as fault:
                problem = fault
                break
            if backoff is None:
                backoff = Backoff(
                    _BACKOFF_FIRST_S, _BACKOFF_LIMIT_S, rng=self._rng, clock=self._clock
                )
            await self._clock.sleep(max(backoff.next_s(), asked_s))
        self._metrics.wrote(kind, "error", self._clock.monotonic() - started)
        if kind == "event":
            self._metrics.dropped_event("refused")
        is_moot = isinstance(problem, (NotFound, Conflict))  # the pod went, or is another by now
        level = self._log.debug if is_moot else self._log.warning
        level("write given up", kind=kind, reason=str(problem), **subject)
        return problem

    async def _give_way(self) -> None:
        """Take a token of the common bucket, but only when no bind would have to wait for it."""
        bucket = self._bucket
        while bucket is not None and (self._binds.waiting or not bucket.try_take()):
            await self._clock.sleep(0.05)
