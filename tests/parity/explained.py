"""The differences that we know of and mean: one row each, at most ten.

A row covers a difference only if the case itself shows what the row is about; a row that covered by
message or by plugin would hide faults. docs/compatibility.md says the same to users.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pyscheduler.api.quantity import INT64_MAX, parse_quantity
from tests.parity.compare import Difference
from tests.parity.worlds import PRIORITIES, Case, Manifest, key_of

#: More rows than these would be a list of faults.
MOST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row of the table.

    Attributes:
        name: of the row.
        reason: why we differ and mean to.
        link: where users read of it.
        covers: whether it explains one difference of a case.
    """

    name: str
    reason: str
    link: str
    covers: Callable[[Case, Difference], bool]


def unexplained(case: Case, found: Sequence[Difference]) -> list[Difference]:
    """Those for which there is no row."""
    return [one for one in found if explanation_of(case, one) is None]


def explanation_of(case: Case, difference: Difference) -> Explanation | None:
    """The row that covers the difference."""
    return next((row for row in EXPLAINED if row.covers(case, difference)), None)


# --- quantities beyond int64 ---


def _exceeds_int64(case: Case, difference: Difference) -> bool:
    """Whether some pods' requests, all added up, exceed what fits."""
    totals: Counter[str] = Counter()
    for pod in _pods(case):
        for resource, amount in _requests(pod["spec"]):
            totals[resource] += amount  # type: ignore[assignment]  # exact, not only integers
    return any(abs(total) > INT64_MAX for total in totals.values())


def _pods(case: Case) -> Iterator[Manifest]:
    yield case.incoming.pod
    yield from (manifest for manifest in case.world.objects if manifest["kind"] == "Pod")
    yield from case.world.nominated


def _requests(spec: Manifest) -> Iterator[tuple[str, Fraction]]:
    parts = [*spec["containers"], *spec.get("initContainers", ()), spec]
    lists = [(part.get("resources") or {}).get("requests") or {} for part in parts]
    for requests in [*lists, spec.get("overhead") or {}]:
        for resource, text in requests.items():
            amount = Fraction(*parse_quantity(str(text)))
            yield resource, amount * 1000 if resource == "cpu" else amount


# --- host ports held twice ---


def _has_port_twice(case: Case, difference: Difference) -> bool:
    """Whether two pods of one node hold the same host port, and the case preempts."""
    if "preemption:" not in f"{difference.theirs}{difference.ours}" and difference.what not in (
        "nominated",
        "victims",
    ):
        return False
    held = Counter(
        (pod["spec"]["nodeName"], port.get("hostIP", ""), port.get("protocol", "TCP"), number)
        for pod in _pods(case)
        if pod["spec"].get("nodeName")
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
        if (number := port.get("hostPort"))
    )
    return any(count > 1 for count in held.values())


# --- errors of plugins ---


def _is_the_same_error_for_another_node(case: Case, difference: Difference) -> bool:
    """Whether a Filter failed for both, and the texts differ in nothing but names of nodes."""
    nodes = sorted(
        (one["metadata"]["name"] for one in case.world.objects if one["kind"] == "Node"),
        key=len,
        reverse=True,
    )
    texts = [str(difference.theirs), str(difference.ours)]
    for name in nodes:
        texts = [text.replace(name, "<node>") for text in texts]
    theirs, ours = texts
    return (
        difference.what == "message"
        and theirs == ours
        and theirs.startswith('running "')
        and '" filter plugin: ' in theirs
    )


# --- victims of equal importance ---


#: Up to so many elements Go's sort keeps the order of equal ones.
_SORTED_STABLY = 12

#: The start of a pod without one: after any time.
_NOT_YET = "~"


def _begins_with_equals(case: Case, difference: Difference) -> bool:
    """Whether the most important pods that only one of the two spares are equals by chance."""
    theirs, ours = difference.theirs, difference.ours
    if difference.what != "victims" or not (theirs and ours):
        return False
    pods = {key_of(pod): pod for pod in _pods(case)}
    only_theirs, only_ours = (
        min((_importance(pods[key]) for key in one - other), default=None)
        for one, other in itertools.permutations((_keys(theirs), _keys(ours)))
    )
    if only_theirs is None or only_theirs != only_ours:
        return False
    node, _, start = only_theirs
    evictable = [
        pod
        for pod in pods.values()
        if pod["spec"].get("nodeName") == node and _priority(pod) < _priority(case.incoming.pod)
    ]
    return start == _NOT_YET or len(evictable) > _SORTED_STABLY


def _keys(victims: object) -> frozenset[str]:
    return frozenset(victims) if isinstance(victims, tuple) else frozenset()


def _priority(pod: Manifest) -> int:
    value, _ = PRIORITIES[pod["spec"]["priorityClassName"]]
    return value


def _importance(pod: Manifest) -> tuple[str, int, str]:
    """The node, and what decides there who is spared, so that the most important comes first."""
    start = pod.get("status", {}).get("startTime", _NOT_YET)
    return pod["spec"]["nodeName"], -_priority(pod), start


# --- nodes that count for spreading ---


def _woke_by_a_node_label_where_it_is_spread(case: Case, difference: Difference) -> bool:
    """Whether only we were woken, by a node's label, and the pod is spread and chooses by label."""
    event, spec = case.incoming.event, case.incoming.pod["spec"]
    chooses = bool(spec.get("nodeSelector") or (spec.get("affinity") or {}).get("nodeAffinity"))
    return (
        difference.what == "woken"
        and not difference.theirs
        and event is not None
        and (event.verb, event.manifest["kind"]) == ("change", "Node")
        and chooses
        and any(
            constraint["whenUnsatisfiable"] == "DoNotSchedule"
            and constraint.get("nodeAffinityPolicy", "Honor") == "Honor"
            for constraint in spec.get("topologySpreadConstraints", ())
        )
    )


EXPLAINED: Sequence[Explanation] = (
    Explanation(
        "quantities beyond int64",
        "upstream's sums wrap around, so that a pod asking for more than there can be fits, or ends"
        " in an error; ours end at the largest int64",
        "docs/compatibility.md#what-campaigns-meet",
        _exceeds_int64,
    ),
    Explanation(
        "a host port that two pods of a node hold",
        "upstream keeps a set, so that a preemption which tries without one of the two takes the"
        " port for free; ours counts them",
        "docs/compatibility.md#what-campaigns-meet",
        _has_port_twice,
    ),
    Explanation(
        "which node's error a pod is told of",
        "when a plugin fails for several nodes upstream tells the error that came first, which is"
        " no rule; ours is that of the first node in order",
        "docs/compatibility.md#what-campaigns-meet",
        _is_the_same_error_for_another_node,
    ),
    Explanation(
        "victims between which nothing decides",
        "among pods of a priority that have not started upstream reads the clock in each"
        " comparison, and of more than twelve it sorts equal ones in no order; ours keeps it",
        "docs/compatibility.md#what-campaigns-meet",
        _begins_with_equals,
    ),
    Explanation(
        "a node that counts for spreading by another label",
        "upstream's hint looks at topology keys alone, so that a pod that the label makes fit waits"
        " for the flush; ours asks the pod's node affinity, too",
        "docs/compatibility.md#what-campaigns-meet",
        _woke_by_a_node_label_where_it_is_spread,
    ),
)
