"""What is counted about writes, as a protocol; ``app`` joins it to the metrics of the process."""

from typing import Protocol


class WriteMetrics(Protocol):
    """What the dispatcher counts."""

    def wrote(self, kind: str, result: str, duration_s: float) -> None:
        """Count a write that is over, by kind (those of `Dispatcher.pending`) and result."""
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
