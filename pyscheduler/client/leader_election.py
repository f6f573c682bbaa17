"""Leadership on a ``coordination.k8s.io/v1`` Lease: at most one holder acts at a time.

The states of a candidate::

    STANDBY --- lease absent, released, or seen unchanged for its whole duration ---> LEADING
    LEADING --- not renewed for `renew_deadline_s`, or taken by another -----------> STOPPED

Expiry is judged by our own monotonic clock from the moment we last saw the lease change, never by
the times written in it: clocks of machines differ. Each write carries the resourceVersion it is
based on, so that two candidates cannot both succeed; each request has a time limit of its own, so
that a hung one cannot outlive the deadline. Who stops leading does not start again: the process
ends, and its successor begins with a clean cache.

Runs on any event loop and keeps no global state: ``app`` gives it a thread of its own, so that a
busy scheduling loop does not lose the lease; `may_renew` is how it gives the lease up when that
loop is stuck.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import msgspec
import structlog

from pyscheduler.api.codec import LEASES, Decoder, Interner, MalformedObject, decoder, encode
from pyscheduler.api.coordination_v1 import Lease, LeaseSpec
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.times import format_micro
from pyscheduler.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    NotFound,
    ServerUnreachable,
)
from pyscheduler.client.rest import Rest
from pyscheduler.clock import Clock, SystemClock

#: How much a retry is stretched at random, so that candidates do not march in step (upstream's).
_JITTER = 1.2


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a lease holds and how it is kept; the defaults are kube-scheduler's, in seconds."""

    lease_duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0

    def __post_init__(self) -> None:
        if self.lease_duration_s <= self.renew_deadline_s:
            raise ValueError("leaseDuration must be longer than renewDeadline")
        if self.renew_deadline_s <= self.retry_period_s * _JITTER:
            raise ValueError(f"renewDeadline must be longer than {_JITTER} times retryPeriod")


class LeaderElector:
    """One candidate for one lease.

    Args:
        rest: reaches the server; it must be used on the loop that runs `run` alone.
        namespace: of the lease.
        name: of the lease.
        identity: unlike that of any other candidate, such as ``host_uuid``.
        times: how long the lease holds and how often it is renewed.
        clock: time.
        rng: jitter.
        on_started: is called once we lead.
        on_stopped: is called with the reason once we lead no more; not when we never led.
        on_new_leader: is called with the identity of each leader seen, ours included.
        may_renew: whether the scheduling loop is alive; while not, the lease is not renewed.
    """

    def __init__(
        self,
        rest: Rest,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
        on_started: Callable[[], None],
        on_stopped: Callable[[str], None],
        on_new_leader: Callable[[str], None] | None = None,
        may_renew: Callable[[], bool] = lambda: True,
    ) -> None:
        self._rest = rest
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times if times is not None else LeaseTimes()
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._rng = rng if rng is not None else Random()
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._on_new_leader = on_new_leader
        self._may_renew = may_renew
        self._decoder: Decoder[Lease] = decoder(LEASES, Interner())
        self._log = structlog.get_logger(__name__).bind(lease=f"{namespace}/{name}")
        #: The lease as last seen, and the monotonic moment at which it was first seen so.
        self._seen: Lease | None = None
        self._seen_at = 0.0
        #: Monotonic moment of the last renewal that succeeded.
        self._renewed_at = 0.0
        self._leader = ""
        self._is_leading = False
        self._problem = ""

    @property
    def is_leading(self) -> bool:
        """Whether we hold the lease, as far as we know."""
        return self._is_leading

    @property
    def holds_until(self) -> float:
        """Monotonic moment after which nobody may act on the lease unless it is renewed again.

        0 while we do not lead. For who acts: a process that was suspended for longer learns of
        that here first. May be read from any thread.
        """
        return self._renewed_at + self._times.renew_deadline_s if self._is_leading else 0.0

    @property
    def leader(self) -> str:
        """Identity of the last leader seen; "" before any."""
        return self._leader

    async def run(self) -> str:
        """Wait for the lease, lead, and return why we stopped leading.

        Cancelling it releases the lease, so that another can lead at once; a lease that we hold
        is held until then.

        Raises:
            Forbidden: the very first look at the lease is not allowed to us.
        """
        try:
            await self._acquire()
            self._is_leading = True
            self._log.info("leading", identity=self._identity)
            self._on_started()
            reason = await self._hold()
        except asyncio.CancelledError:
            if self._is_leading:
                self._is_leading = False
                await self._release()
                self._on_stopped("released")
            raise
        self._is_leading = False
        self._log.error("no longer leading", identity=self._identity, reason=reason)
        self._on_stopped(reason)
        return reason

    async def _acquire(self) -> None:
        is_first = True
        self._log.info("waiting for the lease", identity=self._identity)
        while True:
            try:
                if self._may_renew() and await self._bounded(self._times.renew_deadline_s):
                    return
                self._recovered()
            except Forbidden as error:
                if is_first:
                    raise
                self._report(error)
            except Conflict:  # another candidate was faster; the next look shows which
                self._recovered()
            except (ClientError, MalformedObject) as error:
                self._report(error)
            is_first = False
            await self._clock.sleep(self._until_next_look())

    def _until_next_look(self) -> float:
        """Return the jittered retry period, or less when a lease that we saw runs out before.

        A standby thus takes over within the lease's duration and two retry periods of the last
        renewal, whatever the jitter.
        """
        pause_s = self._times.retry_period_s * (1 + (_JITTER - 1) * self._rng.random())
        if self._seen is None:
            return pause_s
        left_s = self._expiry(self._seen) - self._clock.monotonic()
        return min(pause_s, left_s) if left_s > 0 else pause_s

    async def _hold(self) -> str:
        """Renew until that fails for too long; return why."""
        times = self._times
        reason = ""
        while True:
            await self._clock.sleep(times.retry_period_s)
            while True:
                left_s = self._renewed_at + times.renew_deadline_s - self._clock.monotonic()
                if left_s <= 0:
                    return reason or f"not renewed for {times.renew_deadline_s:g} s"
                try:
                    if not self._may_renew():
                        reason = "the scheduling loop is held"
                    elif await self._bounded(left_s):
                        reason = ""
                        self._recovered()
                        break
                    else:
                        return f"the lease was taken by {self._leader}"
                except (ClientError, MalformedObject) as error:
                    reason = str(error)
                    self._report(error)
                left_s = self._renewed_at + times.renew_deadline_s - self._clock.monotonic()
                await self._clock.sleep(max(0.0, min(times.retry_period_s, left_s)))

    async def _bounded(self, limit_s: float) -> bool:
        """Take or renew the lease; False when another one holds it.

        Whatever the transport does about time limits, this is over after `limit_s`.

        Raises:
            ClientError: we do not know, or another candidate was faster.
        """
        started = self._clock.monotonic()
        attempt = asyncio.ensure_future(self._try(min(limit_s, self._times.renew_deadline_s / 2)))
        limit = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            await asyncio.wait((attempt, limit), return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done():
                raise ServerUnreachable(f"no answer about the lease in {limit_s:.1f} s")
            is_ours = attempt.result()
        finally:
            for task in (attempt, limit):
                task.cancel()
            await asyncio.gather(attempt, limit, return_exceptions=True)
        if is_ours:
            # From before the request: the server may have taken it that early.
            self._renewed_at = started
        return is_ours

    async def _try(self, timeout_s: float) -> bool:
        """Take or renew the lease with requests of `timeout_s` each."""
        held = self._seen if self._is_leading else None
        if held is None:
            try:
                held = await self._look(timeout_s)
            except NotFound:
                await self._create(timeout_s)
                return True
            if not self._is_free(held):
                return False
        try:
            await self._replace(held, timeout_s)
        except (Conflict, NotFound):
            if not self._is_leading:
                raise
            # Somebody touched our lease: an annotation is harmless, another holder is not.
            found = await self._look(timeout_s)
            if found.spec.holder_identity != self._identity:
                return False
            await self._replace(found, timeout_s)
        return True

    async def _look(self, timeout_s: float) -> Lease:
        body = await self._rest.get(
            LEASES, self._name, namespace=self._namespace, timeout_s=timeout_s
        )
        found = self._decoder.object(body)
        self._see(found)
        return found

    def _is_free(self, lease: Lease) -> bool:
        holder = lease.spec.holder_identity
        if not holder or holder == self._identity:
            return True
        return self._clock.monotonic() >= self._expiry(lease)

    def _expiry(self, lease: Lease) -> float:
        """Return the monotonic moment at which a lease runs out unless it changes."""
        duration_s = lease.spec.lease_duration_seconds or self._times.lease_duration_s
        return self._seen_at + duration_s

    def _see(self, lease: Lease) -> None:
        """Note a lease; its time runs anew whenever anything in its spec has changed."""
        if self._seen is None or self._seen.spec != lease.spec:
            self._seen_at = self._clock.monotonic()
        self._seen = lease
        holder = lease.spec.holder_identity or ""
        if holder and holder != self._leader:
            self._leader = holder
            self._log.info("new leader", leader=holder)
            if self._on_new_leader is not None:
                self._on_new_leader(holder)

    async def _create(self, timeout_s: float) -> None:
        now = format_micro(self._clock.now())
        spec = self._spec(acquired=now, renewed=now, transitions=0)
        lease = Lease(ObjectMeta(name=self._name, namespace=self._namespace), spec)
        body = await self._rest.create(
            LEASES, encode(LEASES, lease), namespace=self._namespace, timeout_s=timeout_s
        )
        self._see(self._decoder.object(body))

    async def _replace(self, held: Lease, timeout_s: float) -> None:
        now = format_micro(self._clock.now())
        is_ours = held.spec.holder_identity == self._identity
        transitions = held.spec.lease_transitions or 0
        acquired = held.spec.acquire_time if is_ours else now
        spec = self._spec(
            acquired=acquired or now,
            renewed=now,
            transitions=transitions if is_ours else transitions + 1,
        )
        await self._put(held, spec, timeout_s)

    async def _put(self, held: Lease, spec: LeaseSpec, timeout_s: float) -> None:
        # Labels, annotations and owners of the lease are kept as they were seen.
        changed = msgspec.structs.replace(held, spec=spec)
        body = await self._rest.replace(
            LEASES,
            self._name,
            encode(LEASES, changed),
            namespace=self._namespace,
            timeout_s=timeout_s,
        )
        self._see(self._decoder.object(body))

    def _spec(self, *, acquired: str, renewed: str, transitions: int) -> LeaseSpec:
        return LeaseSpec(
            holder_identity=self._identity,
            # Whole seconds, never less than what we act by.
            lease_duration_seconds=-int(-self._times.lease_duration_s // 1),
            acquire_time=acquired,
            renew_time=renewed,
            lease_transitions=transitions,
        )

    async def _release(self) -> None:
        """Leave the lease to whoever comes first; if that fails, it expires by itself."""
        limit_s = self._times.retry_period_s
        try:
            # What was under way when we were cancelled may have been carried out: look first.
            held = await self._look(limit_s)
            if held.spec.holder_identity != self._identity:
                return
            now = format_micro(self._clock.now())
            spec = LeaseSpec(
                holder_identity="",
                lease_duration_seconds=1,
                acquire_time=now,
                renew_time=now,
                lease_transitions=held.spec.lease_transitions,
            )
            await self._put(held, spec, limit_s)
            self._log.info("lease released", identity=self._identity)
        except (ClientError, MalformedObject) as error:
            self._log.warning("lease not released", reason=str(error))

    def _report(self, error: Exception) -> None:
        if not self._problem:
            self._log.warning("lease cannot be read or written", reason=str(error))
        self._problem = str(error)

    def _recovered(self) -> None:
        if self._problem:
            self._log.info("lease can be read and written again")
            self._problem = ""
