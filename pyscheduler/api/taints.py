"""Taints and tolerations.

Source: `component-helpers/scheduling/corev1/helpers.go` and `core/v1/toleration.go`, 1.37.
"""

from collections.abc import Collection, Iterable

from pyscheduler.api.core_v1 import Taint, Toleration
from pyscheduler.api.keys import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE
from pyscheduler.api.selectors import parse_int64

#: The effects that keep a pod off a node; PreferNoSchedule only costs score.
HARD_EFFECTS: frozenset[str] = frozenset((NO_SCHEDULE, NO_EXECUTE))
SOFT_EFFECTS: frozenset[str] = frozenset((PREFER_NO_SCHEDULE,))


def tolerates(toleration: Toleration, taint: Taint, *, comparisons: bool = False) -> bool:
    """Whether the toleration covers the taint.

    Args:
        toleration: of the pod.
        taint: of the node.
        comparisons: whether the alpha operators Gt and Lt (feature gate
            TaintTolerationComparisonOperators) may match; else they tolerate nothing. `Gt` covers
            taints whose value is greater than the toleration's; what is no canonical integer
            covers and is covered by nothing.
    """
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    match toleration.operator:
        case "Equal" | "":
            return toleration.value == taint.value
        case "Exists":
            return True
        case "Gt" | "Lt" if comparisons:
            bound, found = _canonical_int64(toleration.value), _canonical_int64(taint.value)
            if bound is None or found is None:
                return False
            return found > bound if toleration.operator == "Gt" else found < bound
        case _:
            return False


def find_untolerated(
    taints: Iterable[Taint],
    tolerations: Iterable[Toleration],
    effects: Collection[str] = HARD_EFFECTS,
    *,
    comparisons: bool = False,
) -> Taint | None:
    """Returns the first taint of these effects that no toleration covers."""
    for taint in taints:
        if taint.effect in effects and not any(
            tolerates(toleration, taint, comparisons=comparisons) for toleration in tolerations
        ):
            return taint
    return None


def _canonical_int64(text: str) -> int | None:
    """Returns the number if that is the one way to write it: no plus, no leading zeros, no -0."""
    number = parse_int64(text)
    return number if number is not None and str(number) == text else None
