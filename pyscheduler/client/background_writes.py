"""Writes that nobody awaits: the status of pods that wait, and events.

Each of the two has a lane with a few workers, so that no number of them holds up a bind. A status
is merged with an older one of the same pod. A status that the server refuses because its pod
changed is written onto the pod as the server has it now, unless that has a node by then. What the
server refuses for another reason is counted and logged: the next attempt on the pod writes its
status anew.

Apart from the dispatcher, whose one caller this is, because what is awaited and what is not fail in
different ways.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from cachetools import LRUCache

from pyscheduler.api.codec import PODS, Decoder, MalformedObject, decoder
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.interner import Interner
from pyscheduler.client.errors import ClientError, Conflict, Invalid, NotFound
from pyscheduler.client.rest import STRATEGIC_MERGE_PATCH
from pyscheduler.client.sending import Sender, WriteRequest
from pyscheduler.client.throttle import TokenBucket
from pyscheduler.client.write_bodies import (
    StatusWrite,
    changes_anything,
    pod_path,
    status_patch,
)
from pyscheduler.client.write_lane import WriteLane
from pyscheduler.client.write_metrics import WriteMetrics
from pyscheduler.clock import Clock

_STATUS_WORKERS = 4
_EVENT_WORKERS = 16

#: Events that may wait. At 1 kB each 20 MB; kube-scheduler's broadcaster drops beyond 1,000.
_EVENT_CAPACITY = 20_000
#: Statuses that may wait: one per pod, so this is a number of pods.
_STATUS_CAPACITY = 50_000

#: Nominations of ours that are remembered because the watch may not have told of them yet.
_REMEMBERED: Final = 10_000
#: How often a status is sent for a pod that changes each time, as often as client-go would.
_CONFLICTS: Final = 5


class StatusWrites:
    """The lane of statuses, at most one waiting per pod.

    Args:
        sender: sends them.
        bucket: gives tokens, if there is a limit on this side.
        rank: whose turn it is at the bucket.
        may_go_on: asked before anything is sent.
        clock: time.
        metrics: counts what happens.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        bucket: TokenBucket | None,
        rank: int,
        may_go_on: Callable[[], bool],
        clock: Clock,
        metrics: WriteMetrics,
    ) -> None:
        self._sender = sender
        self._bucket = bucket
        self._rank = rank
        self._may_go_on = may_go_on
        self._clock = clock
        self._metrics = metrics
        self._pods: Decoder[Pod] = decoder(PODS, Interner())
        #: Node that we last nominated, by uid of the pod; its object may not say so yet.
        self._nominated: LRUCache[str, str] = LRUCache(_REMEMBERED)
        self._lane: WriteLane[str, StatusWrite] = WriteLane(
            self._send,
            limit=_STATUS_WORKERS,
            capacity=_STATUS_CAPACITY,
            on_dropped=lambda _: metrics.wrote("status", "dropped", 0.0),
        )

    def __len__(self) -> int:
        return len(self._lane)

    def put(self, write: StatusWrite) -> None:
        """Have it written, if that changes anything."""
        uid = write.pod.uid
        older = self._lane.get(uid)
        write = write.over(older)
        is_unsettled = older is not None or self._lane.is_sending(uid)
        if is_unsettled or changes_anything(write) or self._takes_back(write):
            self._lane.put(uid, write)

    async def withdraw(self, uid: str) -> None:
        """Take back what was not sent, and return once nothing of that pod is on its way."""
        self._lane.discard(uid)
        self._nominated.pop(uid, None)
        if self._lane.is_sending(uid):
            await self._lane.finished(uid)

    async def close(self) -> None:
        """Give up what is unsent; may be called twice."""
        await self._lane.close()

    def _takes_back(self, write: StatusWrite) -> bool:
        """Whether it nominates another node than we did last, also if the pod does not show that.

        A nomination that was cleared while the watch had not told of it yet would stay for good.
        """
        wanted = write.nominated_node_name
        return wanted is not None and self._nominated.get(write.pod.uid, wanted) != wanted

    async def _send(self, uid: str, write: StatusWrite) -> None:
        for _ in range(_CONFLICTS):
            if not await self._may_send():
                return
            problem = await self._patch(write)
            if not isinstance(problem, Conflict):
                break
            newest = await self._read(write.pod)
            if newest is None:
                return
            write = msgspec.structs.replace(write, pod=newest)
            if not changes_anything(write):
                problem = None  # written, and its answer was lost
                break
        if problem is None and write.nominated_node_name is not None:
            self._nominated[uid] = write.nominated_node_name

    async def _may_send(self) -> bool:
        """Whether the next request may go out, now that it is its turn."""
        if self._bucket is not None:
            await self._bucket.take(self._rank)
        return self._may_go_on()

    async def _patch(self, write: StatusWrite) -> ClientError | None:
        patch = WriteRequest(
            "PATCH",
            f"{pod_path(write.pod)}/status",
            status_patch(write, now_s=self._clock.now()),
            STRATEGIC_MERGE_PATCH,
        )
        return await _send_and_tell(
            self._sender,
            patch,
            "status",
            may_go_on=self._may_go_on,
            clock=self._clock,
            metrics=self._metrics,
            subject={"pod": write.pod.key},
        )

    async def _read(self, pod: Pod) -> Pod | None:
        """The pod as the server has it; None: it has a node, is gone, or cannot be read.

        Not as the watch told last: that may be late, or broken, for longer than a write can wait.
        """
        if not await self._may_send():
            return None
        read = WriteRequest("GET", pod_path(pod))
        try:
            newest = self._pods.object(await self._sender.send(read, may_go_on=self._may_go_on))
        except (ClientError, MalformedObject) as error:
            log = structlog.get_logger(__name__)
            tell = log.debug if isinstance(error, NotFound) else log.warning
            tell("write given up", kind="status", reason=str(error), pod=pod.key)
            return None
        return None if newest.uid != pod.uid or newest.node_name else newest


class EventWrites:
    """The lane of events; an unsent one is replaced by its successor.

    Args:
        sender: sends them.
        bucket: gives tokens, if there is a limit on this side.
        clock: time.
        metrics: counts what happens.
    """

    def __init__(
        self, sender: Sender, *, bucket: TokenBucket | None, clock: Clock, metrics: WriteMetrics
    ) -> None:
        self._sender = sender
        self._bucket = bucket
        self._clock = clock
        self._metrics = metrics
        self._lane: WriteLane[str, WriteRequest] = WriteLane(
            self._send,
            limit=_EVENT_WORKERS,
            capacity=_EVENT_CAPACITY,
            on_dropped=lambda _: metrics.dropped_event("queue full"),
        )

    def __len__(self) -> int:
        return len(self._lane)

    def put(self, key: str, write: WriteRequest) -> None:
        """Have it written, in place of an unsent one of that key."""
        self._lane.put(key, write)

    def is_unsent(self, key: str) -> bool:
        """Whether the write of that key still waits, so that it can be replaced."""
        return self._lane.get(key) is not None and not self._lane.is_sending(key)

    async def close(self) -> None:
        """Give up what is unsent; may be called twice."""
        await self._lane.close()

    async def _send(self, key: str, write: WriteRequest) -> None:
        if self._bucket is not None:
            await self._bucket.take()
        problem = await _send_and_tell(
            self._sender,
            write,
            "event",
            # what was taken before the fence may go out: it tells what we did while we led
            may_go_on=lambda: True,
            clock=self._clock,
            metrics=self._metrics,
            subject={"event_key": key},
        )
        if problem is not None:
            self._metrics.dropped_event("refused")


async def _send_and_tell(
    sender: Sender,
    write: WriteRequest,
    kind: str,
    *,
    may_go_on: Callable[[], bool],
    clock: Clock,
    metrics: WriteMetrics,
    subject: dict[str, str],
) -> ClientError | None:
    """Send; whatever comes of it is counted and nothing raised.

    Returns:
        Why it was given up; None when it was written.
    """
    started = clock.monotonic()
    problem: ClientError | None = None
    try:
        await sender.send(write, may_go_on=may_go_on)
    except ClientError as error:
        problem = error
        log = structlog.get_logger(__name__)
        # moot: the object went, changed meanwhile, or is another one of its name
        is_moot = isinstance(error, (NotFound, Conflict)) or is_about_another_uid(error)
        tell = log.debug if is_moot else log.warning
        tell("write given up", kind=kind, reason=str(error), **subject)
    metrics.wrote(kind, "success" if problem is None else "error", clock.monotonic() - started)
    return problem


def is_about_another_uid(error: ClientError) -> bool:
    """Whether a refused PATCH says that the uid in our body is not the object's.

    A kube-apiserver answers with 422, since a uid never changes.
    """
    return isinstance(error, Invalid) and "metadata.uid: Invalid value" in error.details
