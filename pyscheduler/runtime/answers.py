"""What each hook may answer, and the words for an answer that nobody can read.

An answer that is looked at here and passes can be used by the rest of the runtime without a second
look; one that does not pass is its plugin's fault, found where the plugin still has a name.

Called by: ``instrument``, after each call of a hook; ``adapters``, ``profile`` (name what applies).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from numbers import Real
from typing import Any, Final

import numpy as np

from pyscheduler.framework.cluster_events import ClusterEventWithHint
from pyscheduler.framework.status import (
    Code,
    NodeVerdict,
    PostFilterResult,
    PreBindPreFlightResult,
    PreFilterResult,
    Status,
)

#: looks at one answer, given what the hook was called with; raises `OddAnswer`
Look = Callable[[Any, tuple[Any, ...]], None]

_NONE: Final = type(None)
_PASSING: Final = frozenset({Code.SUCCESS})
_REJECTING: Final = _PASSING | {
    Code.UNSCHEDULABLE,
    Code.UNSCHEDULABLE_AND_UNRESOLVABLE,
    Code.PENDING,
}


class OddAnswer(Exception):  # noqa: N818  # its text is the fault
    """A hook answered what it may not."""


class Answers:
    """What one hook may answer."""

    __slots__ = ("_codes", "_hook", "_kinds", "_look", "may_skip", "plain")

    def __init__(
        self,
        hook: str,
        *kinds: type,
        codes: AbstractSet[Code] = frozenset(),
        look: Look | None = None,
    ) -> None:
        """Describes the answers.

        Args:
            hook: the point, as messages name it.
            kinds: types that are understood.
            codes: statuses that are.
            look: looks closer at anything that is no status.
        """
        self._hook = hook
        self._kinds = kinds
        self._codes = codes
        self._look = look
        #: types whose values need no look
        self.plain = frozenset(
            kind for kind in kinds if kind is _NONE or (look is None and kind is not Status)
        )
        #: nor does `framework.SKIP`
        self.may_skip = Status in kinds and Code.SKIP in codes

    def check(self, answer: object, args: tuple[Any, ...]) -> None:
        """Returns if the rest of the runtime understands ``answer``.

        Raises:
            OddAnswer: it does not, or the answer is an error.
        """
        if not isinstance(answer, self._kinds):
            raise OddAnswer(f"answered {type(answer).__name__} instead of {self._wanted()}")
        if isinstance(answer, Status):
            _check_status(answer, self._hook, self._codes)
        elif self._look is not None:
            self._look(answer, args)

    def _wanted(self) -> str:
        return " or ".join("None" if kind is _NONE else kind.__name__ for kind in self._kinds)


def _check_status(status: Status, hook: str, codes: AbstractSet[Code]) -> None:
    if not isinstance(status.code, Code):
        raise OddAnswer(f"answered a status whose code is {status.code!r}")
    reasons: object = status.reasons
    if not (isinstance(reasons, tuple) and all(isinstance(reason, str) for reason in reasons)):
        raise OddAnswer(f"answered a status whose reasons are no texts: {status.reasons!r}")
    if status.code not in codes:
        is_told = status.code is Code.ERROR and status.message
        cause = status.message if is_told else f"status {status.code.label} is not for {hook}"
        raise OddAnswer(cause) from status.error


def _look_at_narrowing(answer: object, _args: tuple[Any, ...]) -> None:
    if isinstance(answer, PreFilterResult):
        names = answer.node_names
        if not (names is None or isinstance(names, AbstractSet)):
            raise OddAnswer(f"answered node names in a {type(names).__name__}, not in a set")


def _look_at_verdict(answer: NodeVerdict, args: tuple[Any, ...]) -> None:
    nodes = args[2]
    if answer.n != nodes.n:
        raise OddAnswer(f"judged {answer.n} of {nodes.n} nodes")


def _look_at_scores(answer: np.ndarray[Any, Any], args: tuple[Any, ...]) -> None:
    # of normalize the third argument is the array of raw scores
    check_scores(answer, len(args[2]))


def check_scores(scores: np.ndarray[Any, Any], n: int) -> None:
    """Returns if these are integers, one for each of ``n`` nodes.

    Raises:
        OddAnswer: they are not.
    """
    if scores.shape != (n,):
        raise OddAnswer(f"answered scores of shape {scores.shape} for {n} nodes")
    if n and scores.dtype.kind not in "iu":
        raise OddAnswer(f"scores are {scores.dtype}, not integers")


def _look_at_label_scores(answer: tuple[object, ...], args: tuple[Any, ...]) -> None:
    if len(answer) != 2:
        raise OddAnswer(f"answered {len(answer)} values instead of a label and scores")
    label, scores = answer
    if not isinstance(label, str) or not isinstance(scores, np.ndarray):
        raise OddAnswer(f"answered {answer!r} instead of a label and an array of scores")
    # the third argument is the table of nodes
    check_scores(scores, len(args[2].label_codes(label)[1]) + 1)


def _look_at_permission(answer: tuple[object, ...], _args: tuple[Any, ...]) -> None:
    if len(answer) != 2:  # a status and a time limit
        raise OddAnswer(f"answered {len(answer)} values instead of a status and seconds")
    status, timeout_s = answer
    if status is None:
        return
    if not isinstance(status, Status):
        raise OddAnswer(f"answered {status!r} instead of a status or None")
    _check_status(status, "Permit", _REJECTING | {Code.WAIT})
    if status.code is not Code.WAIT:
        return
    if not isinstance(timeout_s, Real) or timeout_s != timeout_s:
        raise OddAnswer(f"lets the pod wait for {timeout_s!r}, not for seconds")


def _look_at_post_filter(answer: tuple[object, ...], _args: tuple[Any, ...]) -> None:
    if len(answer) != 2:  # a result and a status
        raise OddAnswer(f"answered {len(answer)} values instead of a result and a status")
    result, status = answer
    if not (result is None or isinstance(result, PostFilterResult)):
        raise OddAnswer(f"answered {result!r} instead of a result or None")
    if result is not None and not isinstance(result.nominated_node_name, str):
        raise OddAnswer(f"nominated {result.nominated_node_name!r}, which is no name of a node")
    if not (status is None or isinstance(status, Status)):
        raise OddAnswer(f"answered {status!r} instead of a status or None")
    if status is not None:
        # whatever ends the search is told to the user, errors too
        _check_status(status, "PostFilter", frozenset(Code))


def _look_at_events(answer: Sequence[object], _args: tuple[Any, ...]) -> None:
    for entry in answer:
        if not isinstance(entry, ClusterEventWithHint):
            raise OddAnswer(f"answered {entry!r} instead of a ClusterEventWithHint")
        for asked in (entry.hint, entry.pre_hint):
            if not (asked is None or callable(asked)):
                raise OddAnswer(f"answered the hint {asked!r}, which cannot be called")


class SortKeys:
    """Looks whether sort keys can be compared with each other: a heap cannot tell whose they are.

    Of each place in the key all must be of one type; numbers are.
    """

    def __init__(self) -> None:
        #: type of each place, as far as any key went
        self._kinds: list[object] = []
        #: types of keys that were looked at
        self._known: set[tuple[type, ...]] = set()

    def look(self, key: tuple[Any, ...], _args: tuple[Any, ...]) -> None:
        """Returns if ``key`` can be compared with all that passed before.

        Raises:
            OddAnswer: it cannot.
        """
        types = tuple(map(type, key))
        if types not in self._known:
            self._compare(key)
            if tuple not in types:  # what a nested one holds differs from key to key
                self._known.add(types)
        for part in key:
            if part != part:
                raise OddAnswer(f"answered {key!r}, which cannot be compared with itself")

    def _compare(self, key: tuple[Any, ...]) -> None:
        kinds = [_kind(part) for part in key]
        for place, (part, kind) in enumerate(zip(key, kinds, strict=True)):
            try:
                part < part  # noqa: B015  # whether it raises is the question
            except TypeError as error:
                raise OddAnswer(f"answered {key!r}: {error}") from error
            if place < len(self._kinds) and self._kinds[place] != kind:
                raise OddAnswer(f"answered {key!r}, which cannot be compared with others' keys")
        self._kinds += kinds[len(self._kinds) :]


def _kind(part: object) -> object:
    if isinstance(part, tuple):
        return tuple(_kind(inner) for inner in part)
    return Real if isinstance(part, Real) else type(part)


# One for each form of each hook.
PRE_ENQUEUE: Final = Answers("PreEnqueue", Status, _NONE, codes=_REJECTING)
PRE_FILTER: Final = Answers(
    "PreFilter",
    PreFilterResult,
    Status,
    _NONE,
    codes=_REJECTING | {Code.SKIP},
    look=_look_at_narrowing,
)
ADD_POD: Final = Answers("AddPod", Status, _NONE, codes=_REJECTING)
REMOVE_POD: Final = Answers("RemovePod", Status, _NONE, codes=_REJECTING)
FILTER: Final = Answers("Filter", Status, _NONE, codes=_REJECTING)
FILTER_NODES: Final = Answers("Filter", NodeVerdict, look=_look_at_verdict)
POST_FILTER: Final = Answers("PostFilter", tuple, look=_look_at_post_filter)
PRE_SCORE: Final = Answers("PreScore", Status, _NONE, codes=_PASSING | {Code.SKIP})
SCORE: Final = Answers("Score", int, np.integer)
SCORE_NODES: Final = Answers("Score", np.ndarray, look=_look_at_scores)
SCORE_BY_LABEL: Final = Answers("Score", tuple, _NONE, look=_look_at_label_scores)
RESERVE: Final = Answers("Reserve", Status, _NONE, codes=_REJECTING)
PERMIT: Final = Answers("Permit", tuple, look=_look_at_permission)
PRE_FLIGHT: Final = Answers(
    "PreBindPreFlight", PreBindPreFlightResult, Status, _NONE, codes=_PASSING | {Code.SKIP}
)
PRE_BIND: Final = Answers("PreBind", Status, _NONE, codes=_REJECTING)
BIND: Final = Answers("Bind", Status, _NONE, codes=_REJECTING | {Code.SKIP})
SIGN: Final = Answers("Sign", tuple, _NONE)
EVENTS: Final = Answers("EnqueueExtensions", list, tuple, look=_look_at_events)


def check_keys(keys: object) -> frozenset[str] | None:
    """What a pre-hint answered, as the queue wants it.

    Raises:
        OddAnswer: it is no collection of texts.
    """
    if keys is None:
        return None
    if isinstance(keys, str) or not isinstance(keys, Collection):
        raise OddAnswer(f"answered {keys!r} instead of a collection of keys")
    if not all(isinstance(key, str) for key in keys):
        raise OddAnswer("answered keys that are no texts")
    return frozenset(keys)
