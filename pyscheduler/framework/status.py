"""What a hook answers: a status for the pod, or a verdict over all nodes.

Refusals are values, faults are exceptions. A hook that has nothing to object returns ``None``
(success); the runtime turns an exception into ``Status(Code.ERROR)``. Whole-cluster filters
answer with a `NodeVerdict`, which the runtime compresses into codes and interned reasons.

Called by: plugins (they make the values), ``runtime`` (reads them), ``cycle.failure`` (words them).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


class Code(IntEnum):
    """Outcome of a hook, with kube-scheduler's numbers.

    Source: kube-scheduler 1.37, ``framework/interface.go``.
    """

    SUCCESS = 0
    ERROR = 1
    UNSCHEDULABLE = 2
    UNSCHEDULABLE_AND_UNRESOLVABLE = 3
    WAIT = 4
    SKIP = 5
    PENDING = 6

    @property
    def label(self) -> str:
        """The name that metrics and logs show, as upstream spells it."""
        return _LABELS[self]


_LABELS = {
    Code.SUCCESS: "Success",
    Code.ERROR: "Error",
    Code.UNSCHEDULABLE: "Unschedulable",
    Code.UNSCHEDULABLE_AND_UNRESOLVABLE: "UnschedulableAndUnresolvable",
    Code.WAIT: "Wait",
    Code.SKIP: "Skip",
    Code.PENDING: "Pending",
}

#: Reasons in one verdict: a bit each while they are put together.
_MAX_REASONS = 63

_REJECTIONS = (Code.UNSCHEDULABLE, Code.UNSCHEDULABLE_AND_UNRESOLVABLE, Code.PENDING)


@dataclass(frozen=True, slots=True)
class Status:
    """The outcome of one hook for one pod; ``None`` stands for success."""

    code: Code
    #: what the user reads, in the plugin's order
    reasons: tuple[str, ...] = ()
    #: name of the plugin that said so; filled in by the runtime
    plugin: str = ""
    #: the fault behind ``Code.ERROR``
    error: BaseException | None = field(default=None, compare=False)

    @property
    def is_success(self) -> bool:
        """True when the pod may go on."""
        return self.code is Code.SUCCESS

    @property
    def is_rejected(self) -> bool:
        """True for the codes that put a pod back to wait for an event."""
        return self.code in _REJECTIONS

    @property
    def message(self) -> str:
        """The reasons in one line, the fault in front of them."""
        reasons = ", ".join(self.reasons)
        if self.error is None:
            return reasons
        return f"{self.error}: {reasons}" if reasons else str(self.error)

    def by(self, plugin: str) -> Status:
        """The same status, remembering who said so."""
        if self.plugin == plugin:
            return self
        return Status(self.code, self.reasons, plugin, self.error)


SUCCESS = Status(Code.SUCCESS)
SKIP = Status(Code.SKIP)


def unschedulable(*reasons: str) -> Status:
    """A rejection that other pods' leaving (preemption) might lift."""
    return Status(Code.UNSCHEDULABLE, reasons)


def unresolvable(*reasons: str) -> Status:
    """A rejection that no preemption can lift."""
    return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, reasons)


def wait(*reasons: str) -> Status:
    """Permit's answer for a pod that shall wait; comes with a time limit."""
    return Status(Code.WAIT, reasons)


def pending(*reasons: str) -> Status:
    """A rejection that waits for something outside; its hint wakes the pod without backoff."""
    return Status(Code.PENDING, reasons)


class NodeVerdict:
    """One filter's answer for N nodes: who is rejected, and why.

    Rejections accumulate: a node rejected twice carries both reasons, and its code is the
    least resolvable of the two.

    Shapes:
        every mask is (N,) bool.
    """

    __slots__ = ("_rejections", "n")

    def __init__(self, n: int) -> None:
        self.n = n
        self._rejections: list[tuple[BoolArray, str, bool]] = []

    def reject(self, mask: BoolArray, reason: str, *, unresolvable: bool = False) -> NodeVerdict:
        """Rejects the nodes under ``mask`` with ``reason`` and returns the verdict itself.

        Raises:
            ValueError: the mask is not (N,).
            TypeError: it is not bool, or the reason is no text.
        """
        kind: object = getattr(mask, "dtype", type(mask).__name__)
        if kind != np.bool_:
            raise TypeError(f"mask is {kind}, not an array of bool")
        if mask.shape != (self.n,):
            raise ValueError(f"mask has shape {mask.shape}, the table has {self.n} nodes")
        if not isinstance(reason, str):
            raise TypeError(f"reason is {reason!r}, not a text")
        if mask.any():
            if len(self._rejections) == _MAX_REASONS:
                raise ValueError(f"more than {_MAX_REASONS} reasons in one verdict")
            self._rejections.append((mask, reason, unresolvable))
        return self

    @property
    def all_pass(self) -> bool:
        """True when no node was rejected."""
        return not self._rejections

    def rejected(self) -> BoolArray:
        """(N,) bool: the nodes with at least one reason against them."""
        rejected = np.zeros(self.n, dtype=np.bool_)
        for mask, _, _ in self._rejections:
            rejected |= mask
        return rejected

    def resolve(self, reasons: ReasonTable) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """Codes (N,) int8 and indexes into ``reasons`` (N,) int32; 0 and 0 where a node passes."""
        if len(self._rejections) == 1:
            mask, reason, unresolvable = self._rejections[0]
            code, index = np.int8(_code(unresolvable)), np.int32(reasons.index((reason,)))
            return mask * code, mask * index
        codes = np.zeros(self.n, dtype=np.int8)
        indexes = np.zeros(self.n, dtype=np.int32)
        bits = np.zeros(self.n, dtype=np.int64)
        for i, (mask, _, unresolvable) in enumerate(self._rejections):
            np.maximum(codes, _code(unresolvable), out=codes, where=mask)
            bits[mask] |= 1 << i
        for combination in np.unique(bits[bits != 0]).tolist():
            texts = tuple(r for i, (_, r, _) in enumerate(self._rejections) if combination >> i & 1)
            indexes[bits == combination] = reasons.index(texts)
        return codes, indexes


def _code(unresolvable: bool) -> int:
    return Code.UNSCHEDULABLE_AND_UNRESOLVABLE if unresolvable else Code.UNSCHEDULABLE


class ReasonTable:
    """Interned tuples of reasons, numbered from 1; 0 means that a node passed."""

    def __init__(self) -> None:
        self._tuples: list[tuple[str, ...]] = [()]
        self._index: dict[tuple[str, ...], int] = {(): 0}

    def index(self, reasons: tuple[str, ...]) -> int:
        """The number of ``reasons``, given out on first sight."""
        known = self._index.get(reasons)
        if known is None:
            known = self._index[reasons] = len(self._tuples)
            self._tuples.append(reasons)
        return known

    def __getitem__(self, index: int) -> tuple[str, ...]:
        return self._tuples[index]

    def __len__(self) -> int:
        return len(self._tuples)


@dataclass(frozen=True, slots=True)
class PreFilterResult:
    """Narrows the search to ``node_names``; ``None`` means all nodes."""

    node_names: frozenset[str] | None = None

    @property
    def all_nodes(self) -> bool:
        """True when nothing is narrowed."""
        return self.node_names is None


@dataclass(frozen=True, slots=True)
class PostFilterResult:
    """The node that a PostFilter nominated; empty clears an older nomination."""

    nominated_node_name: str = ""


@dataclass(frozen=True, slots=True)
class PreBindPreFlightResult:
    """PreBind has work for the pod."""

    #: neighbouring plugins that all say so run their PreBind concurrently
    allow_parallel: bool = False


@dataclass(slots=True)
class Diagnosis:
    """Why no node fits a pod: what the condition says and which plugins must wake it."""

    #: nodes looked at
    total_nodes: int
    #: how many nodes gave each reason
    reason_counts: dict[str, int] = field(default_factory=dict)
    #: plugins that rejected the pod or any node
    unschedulable_plugins: set[str] = field(default_factory=set)
    #: plugins that answered Pending
    pending_plugins: set[str] = field(default_factory=set)
    #: set instead of counts when PreFilter turned the pod away
    pre_filter_message: str = ""
    #: what PostFilter adds
    post_filter_message: str = ""

    @property
    def message(self) -> str:
        """The text of the PodScheduled condition, worded as kube-scheduler words it.

        Source: kube-scheduler 1.37, ``framework/types.go`` FitError.
        """
        head = f"0/{self.total_nodes} nodes are available:"
        if self.pre_filter_message:
            text = f"{head} {self.pre_filter_message}."
        else:
            histogram = sorted(f"{count} {reason}" for reason, count in self.reason_counts.items())
            text = f"{head} {', '.join(histogram)}." if histogram else head
        return f"{text} {self.post_filter_message}" if self.post_filter_message else text

    def count(self, reasons: Iterable[str], nodes: int = 1) -> None:
        """Adds ``nodes`` to each of ``reasons``."""
        for reason in reasons:
            self.reason_counts[reason] = self.reason_counts.get(reason, 0) + nodes
