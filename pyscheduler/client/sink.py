"""What a reflector tells and whom: the sink of objects and the counters, as protocols.

Apart from `reflector` so that an informer, and whoever counts, need not know how objects are
followed.
"""

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from pyscheduler.api.codec import MalformedObject
from pyscheduler.api.meta import HasMetadata

#: Seconds of decoding and handling after which other tasks get their turn.
SLICE_S: Final = 0.005


T_contra = TypeVar("T_contra", bound=HasMetadata, contravariant=True)


class Sink(Protocol[T_contra]):
    """Where a reflector puts what it learns; the informer is one."""

    async def replace(
        self,
        objects: Sequence[T_contra],
        *,
        resource_version: str,
        malformed: Sequence[MalformedObject] = (),
    ) -> None:
        """Take `objects` as all there is at `resource_version`, besides the malformed ones."""
        ...

    def apply(self, event_type: str, changed: T_contra) -> None:
        """Take one change: ``ADDED``, ``MODIFIED`` or ``DELETED`` with the state it led to."""
        ...

    def on_bookmark(self, resource_version: str) -> None:
        """Know that there is nothing more up to `resource_version`."""
        ...

    def on_malformed(self, error: MalformedObject) -> None:
        """Know that one object is in a state that cannot be read."""
        ...


class ReflectorMetrics(Protocol):
    """What a reflector counts; ``app`` joins it to the metrics of the process."""

    def synced(self, mode: str) -> None:
        """Count a full synchronisation, by ``watchlist`` or ``list``."""
        ...

    def expired(self) -> None:
        """Count a resourceVersion that was gone (410)."""
        ...

    def reconnected(self, reason: str) -> None:
        """Count a watch opened where the last one ended: ``ended``, ``broken``, ``silent``..."""
        ...

    def watch_event(self) -> None:
        """Count an object event of a live watch."""
        ...

    def malformed(self) -> None:
        """Count an object that could not be read."""
        ...


class NoReflectorMetrics:
    """Counts nothing."""

    def synced(self, mode: str) -> None:
        """Count nothing."""

    def expired(self) -> None:
        """Count nothing."""

    def reconnected(self, reason: str) -> None:
        """Count nothing."""

    def watch_event(self) -> None:
        """Count nothing."""

    def malformed(self) -> None:
        """Count nothing."""
