"""What is known about a class of pods: verdicts and raw scores per node, kept between cycles.

Pods that all plugins of a profile would judge alike are one class. An entry holds, per plugin, the
codes, reasons and raw scores of all rows, and the position of the change log up to which they are
true; ``filtering`` and ``scoring`` bring an entry up to date by judging the changed rows again.

Bounded by memory, least recently used first; and an entry that the change log has left behind is
of no more use, so templates that came and went leave nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler.cache.change_log import CHANGES_KEPT
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.scores import MAX_NODE_SCORE, MIN_NODE_SCORE
from pyscheduler.framework.status import BoolArray, Int64Array, ReasonTable, Status
from pyscheduler.runtime.crowding import Crowding
from pyscheduler.runtime.label_scores import LabelScores
from pyscheduler.runtime.ranking import Ranking, Totals
from pyscheduler.runtime.row_statuses import rows_of

#: Bytes of answers kept; about 1,500 classes at 1,000 nodes. A guess.
_MAX_BYTES = 64 << 20
#: Changes after which an entry must be judged afresh: the change log keeps no more than these.
_OUTDATED = 2 * CHANGES_KEPT
#: Classes up to which nobody looks for outdated ones.
_FEW = 64


#: scores as they are kept
Scores = npt.NDArray[np.signedinteger[Any]]

_INT8 = np.iinfo(np.int8)
_NO_SCORES = np.zeros(0, dtype=np.int8)
#: In place of a score that was never normalised; no score is like that.
_UNKNOWN = -1


class Signature(tuple[Any, ...]):
    """The class of a pod: what the profile's plugins signed of it, hashed once."""

    _hash: int

    def __new__(cls, parts: Iterable[Any]) -> Signature:
        """Joins the parts.

        Raises:
            TypeError: a part cannot be hashed.
        """
        signature = super().__new__(cls, parts)
        signature._hash = tuple.__hash__(signature)
        return signature

    def __hash__(self) -> int:
        # the cache asks several times a pod, and parts are deep
        return self._hash


class FilterAnswer:
    """One filter's answer for all rows; no arrays while nobody was rejected."""

    __slots__ = ("codes", "plugin", "reasons")

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        #: (capacity,) int8: 0 or a rejecting code
        self.codes: npt.NDArray[np.int8] | None = None
        #: (capacity,) int32: index into the reason table
        self.reasons: npt.NDArray[np.int32] | None = None

    def copy(self) -> FilterAnswer:
        """The same for another class."""
        copied = FilterAnswer(self.plugin)
        if self.codes is not None and self.reasons is not None:
            copied.codes, copied.reasons = self.codes.copy(), self.reasons.copy()
        return copied

    def put(self, row: int, code: int, reason: int, *, capacity: int) -> None:
        """What holds for one row now; code and reason are 0 if it passes."""
        if self.codes is None or self.reasons is None:
            if not code:
                return
            self.codes = np.zeros(capacity, dtype=np.int8)
            self.reasons = np.zeros(capacity, dtype=np.int32)
        self.codes[row], self.reasons[row] = code, reason

    def put_all(
        self, codes: npt.NDArray[np.int8], reasons: npt.NDArray[np.int32], *, capacity: int
    ) -> BoolArray:
        """What holds for all N rows now; (N,) bool: those whose code is another than before."""
        n = len(codes)
        if self.codes is None or self.reasons is None:
            self.codes = np.zeros(capacity, dtype=np.int8)
            self.reasons = np.zeros(capacity, dtype=np.int32)
        differing: BoolArray = self.codes[:n] != codes
        self.codes[:n], self.reasons[:n] = codes, reasons
        return differing

    def put_nobody(self, n: int) -> BoolArray:
        """All of ``n`` rows pass now; (n,) bool: those that did not before."""
        codes, self.codes, self.reasons = self.codes, None, None
        # as bools each of them is whether it is not 0
        return np.zeros(n, dtype=np.bool_) if codes is None else codes[:n].astype(np.bool_)


class ScoreAnswer:
    """One scorer's raw and normalised scores for all rows.

    Raw scores take a byte each unless one of them does not fit: what is kept of classes that come
    once goes through the processor's caches for nothing.
    """

    __slots__ = (
        "_capacity",
        "_everybodys",
        "by_label",
        "fresh",
        "may_be_odd",
        "normalized",
        "raw",
        "stale",
    )

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        #: (capacity,) int8 or int64; `put` and `put_all` alone change it
        self.raw: Scores = _NO_SCORES
        #: (capacity,) int8; None for plugins that do not normalise
        self.normalized: Scores | None = None
        #: False: all raw scores are in 0..100, so they need no look before they are weighed
        self.may_be_odd = False
        #: number of rows that were found to have the same scores; -1: not looked at
        self._everybodys = -1
        #: the same by value of the label that decides, if it is known that one does
        self.by_label: LabelScores | None = None
        #: False until every row has a raw score
        self.fresh = False
        #: True when raw scores changed since they were normalised or summed
        self.stale = True

    def copy(self, n: int) -> ScoreAnswer:
        """The same raw scores of ``n`` rows for another class.

        What was made of them stays what it is only if it does not depend on who is feasible.
        """
        copied = ScoreAnswer(self._capacity)
        copied.raw, copied.may_be_odd, copied.fresh = self.raw.copy(), self.may_be_odd, True
        if self.normalized is not None and self.is_everybodys(n):
            copied.put_everybodys(self.normalized.item(0), n)
            copied.stale = False
        return copied

    @property
    def final(self) -> Scores:
        """(capacity,) what is weighed: the normalised scores, or the raw ones if there are none."""
        return self.raw if self.normalized is None else self.normalized

    def put_all(self, scores: Int64Array) -> None:
        """These (N,) are the raw scores."""
        self._everybodys = -1
        # as unsigned numbers the negative ones are the largest: one look instead of two
        highest = scores.astype(np.int64, copy=False).view(np.uint64).max(initial=0)
        dtype = np.int8 if highest <= _INT8.max else np.int64
        self.may_be_odd = bool(highest > MAX_NODE_SCORE)
        if self.raw.dtype != dtype or not self.raw.size:
            self.raw = np.zeros(self._capacity, dtype=dtype)
        self.raw[: len(scores)] = scores

    def put(self, row: int, score: int) -> None:
        """The raw score of one row is another."""
        self._make_room(score)
        self.raw[row] = score

    def put_where(self, rows: BoolArray, score: int) -> None:
        """The raw score of these of the first rows (N,) is another."""
        self._make_room(score)
        np.putmask(self.raw[: len(rows)], rows, score)

    def _make_room(self, score: int) -> None:
        if not MIN_NODE_SCORE <= score <= MAX_NODE_SCORE:
            self.may_be_odd = True
            if not _INT8.min <= score <= _INT8.max:
                self.raw = self.raw.astype(np.int64, copy=False)
        self._everybodys = -1

    def is_alike(self, n: int) -> bool:
        """All of ``n`` rows have one raw score."""
        return bool(self.raw[:n].min() == self.raw[:n].max())

    def is_everybodys(self, n: int) -> bool:
        """All of ``n`` rows have one raw score, and one normalised score that is known."""
        if self._everybodys != n and self.normalized is not None:
            normalized = self.normalized[:n]
            lowest = normalized.min()
            if lowest != _UNKNOWN and lowest == normalized.max() and self.is_alike(n):
                self._everybodys = n
        return self._everybodys == n

    def put_normalized(self, rows: slice | npt.NDArray[np.intp], scores: Int64Array) -> None:
        """These are the scores, in 0..100, of feasible ``rows``."""
        if self.normalized is None:
            self.normalized = np.full(self._capacity, _UNKNOWN, dtype=np.int8)
        self.normalized[rows] = scores
        self._everybodys = -1

    def put_normalized_where(self, rows: BoolArray, score: int) -> None:
        """These of the first rows (N,), who were normalised before, have this score."""
        assert self.normalized is not None
        np.putmask(self.normalized[: len(rows)], rows, score)
        self._everybodys = -1

    def put_everybodys(self, score: int, n: int) -> None:
        """All of ``n`` rows, who have one raw score, have this normalised one."""
        self.put_normalized(slice(0, n), np.array(score))
        self._everybodys = n


class ClassEntry:
    """All answers for one class."""

    __slots__ = (
        "aspects",
        "capacity",
        "changed_rows",
        "crowdings",
        "feasible",
        "feasible_count",
        "feasible_version",
        "filters",
        "is_shared",
        "n",
        "overrides",
        "parts",
        "pods",
        "position",
        "pre_filter_status",
        "ranking",
        "rejecting_plugins",
        "rows",
        "rows_version",
        "scored_version",
        "scores",
        "skip_scores",
        "state",
        "unconcerned",
    )

    def __init__(self, capacity: int, *, is_shared: bool = True) -> None:
        self.capacity = capacity
        #: False: of one pod that is like no other, so nothing is kept
        self.is_shared = is_shared
        #: what plugins signed of the class, by name; empty where that is not known
        self.parts: Mapping[str, tuple[Any, ...]] = {}
        #: rows judged, and the change-log position the answers are true for
        self.n = 0
        self.position = -1
        #: what PreFilter and PreScore wrote; shared by the pods of the class
        self.state = CycleState()
        #: set when PreFilter turned the whole class away
        self.pre_filter_status: Status | None = None
        #: what must change in a row before any answer here can; see `Profile.aspects_judged`
        self.aspects = 0
        #: plugins that PreFilter results narrowed the nodes for
        self.rejecting_plugins: frozenset[str] = frozenset()
        self.skip_scores: frozenset[str] | None = None
        #: plugins that skip these pods whatever the nodes are like, and count as if they had said
        #: so; see `Profile.unconcerned`
        self.unconcerned: frozenset[str] = frozenset()
        self.filters: list[FilterAnswer] = []
        self.scores: dict[str, ScoreAnswer] = {}
        #: row -> changed aspects since the totals were last brought up to date
        self.changed_rows: dict[int, int] = {}
        #: (capacity,) bool
        self.feasible: BoolArray = np.zeros(capacity, dtype=np.bool_)
        self.feasible_count = 0
        #: grows when a row becomes feasible or stops being so
        self.feasible_version = 0
        self.scored_version = -1
        #: the feasible rows, as of a version; see `feasible_rows`
        self.rows: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.rows_version = (-1, -1)
        #: weighted sums, and the rows where they are highest
        self.ranking = Ranking(capacity)
        #: pods judged with this entry, or with one that lent it an answer, for the cold check
        self.pods = 0
        #: what nominated pods take from the class, by the priority of the pods that must respect
        #: them; kept by ``narrowing``
        self.crowdings: dict[int, Crowding] = {}
        #: rows that fail for this pod once the pods nominated to them are there; see `overridden`
        self.overrides: MutableMapping[int, Status] = {}

    @property
    def totals(self) -> Totals:
        """(capacity,): weighted sums; -1 where not feasible."""
        return self.ranking.totals

    def overridden(self, overrides: MutableMapping[int, Status]) -> ClassEntry:
        """The answers for one pod to whom these rows are lost; nobody else may use them."""
        own = ClassEntry(self.capacity, is_shared=self.is_shared)
        own.n, own.position = self.n, self.position
        own.state = self.state.clone()
        own.rejecting_plugins = self.rejecting_plugins
        own.unconcerned = self.unconcerned
        own.filters = self.filters
        own.overrides = overrides
        own.feasible[:] = self.feasible
        own.feasible[rows_of(overrides)] = False
        own.feasible_count = int(np.count_nonzero(own.feasible[: own.n]))
        return own

    def feasible_rows(self) -> npt.NDArray[np.intp]:
        """The rows of the feasible nodes, looked for only when they have changed."""
        version = (self.feasible_version, self.feasible_count)
        if self.rows_version != version:
            self.rows, self.rows_version = np.flatnonzero(self.feasible[: self.n]), version
        return self.rows

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, as if every filter had rejected somebody; rare ones apart."""
        rows = self.capacity
        return rows * (13 + 5 * len(self.filters) + 2 * max(len(self.scores), 5)) + 2048


class ClassCache:
    """Entries by signature."""

    def __init__(
        self, max_bytes: int = _MAX_BYTES, *, on_clear: Callable[[], None] = lambda: None
    ) -> None:
        """Makes an empty cache.

        Args:
            max_bytes: what entries may take.
            on_clear: forgets what else refers to the reasons.
        """
        self.reasons = ReasonTable()
        self._on_clear = on_clear
        self._max_bytes = max_bytes
        #: and what they take, noted when they came; the latest used last
        self._entries: OrderedDict[tuple[object, ...], tuple[ClassEntry, int]] = OrderedDict()
        self._bytes = 0
        #: looking costs as much as there are entries, so it is done when they have doubled
        self._look_at = _FEW

    def get(self, signature: tuple[object, ...]) -> ClassEntry | None:
        """The entry of a class."""
        known = self._entries.get(signature)
        if known is None:
            return None
        self._entries.move_to_end(signature)
        return known[0]

    def put(self, signature: tuple[object, ...], entry: ClassEntry) -> None:
        """Keeps ``entry``, unless it alone is larger than the bound."""
        size = entry.nbytes
        if size > self._max_bytes:
            return
        self.drop(signature)
        self._entries[signature] = entry, size
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, unused) = self._entries.popitem(last=False)
            self._bytes -= unused
        if len(self._entries) > self._look_at:
            self._drop_outdated(entry.position)
            self._look_at = max(2 * len(self._entries), _FEW)

    def _drop_outdated(self, position: int) -> None:
        """Forgets who is too far behind that position of the change log."""
        outdated = [
            signature
            for signature, (entry, _) in self._entries.items()
            if position - entry.position > _OUTDATED
        ]
        for signature in outdated:
            self.drop(signature)

    def drop(self, signature: tuple[object, ...]) -> None:
        """Forgets one class."""
        known = self._entries.pop(signature, None)
        if known is not None:
            self._bytes -= known[1]

    def clear(self) -> None:
        """Forgets all classes, and the reasons only they refer to."""
        self._entries.clear()
        self._bytes = 0
        self.reasons = ReasonTable()
        self._on_clear()

    def __len__(self) -> int:
        return len(self._entries)
