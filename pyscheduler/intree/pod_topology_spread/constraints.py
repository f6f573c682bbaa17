"""What a pod asks for: its topology spread constraints, compiled.

A `Constraint` names its pods as a `PodMatcher`, so that the cache keeps their number per node. Pods
of one template share one `PodConstraints`; it is what the plugin signs.

What the API server admits and nobody here understands (a selector operator, an action or a policy
from the future) makes a `PodConstraints` with a `problem`: the pod is rejected with it.

Source: kube-scheduler 1.37, ``plugins/podtopologyspread/common.go``. Knowing differences: there, an
unknown selector operator is an error of the attempt; an unknown action leaves the constraint out,
and an unknown policy counts as Ignore.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import TopologySpreadConstraint
from pyscheduler.api.frozen_map import StringMap
from pyscheduler.api.selectors import InvalidSelector, Requirement, Selector, selector
from pyscheduler.framework.status import Int64Array

#: A hard constraint: nodes that would violate it are rejected.
DO_NOT_SCHEDULE: Final = "DoNotSchedule"
#: A soft constraint: nodes that keep it better score more.
SCHEDULE_ANYWAY: Final = "ScheduleAnyway"

_HONOR: Final = "Honor"
_IGNORE: Final = "Ignore"

#: Templates whose compiled constraints are remembered. A guess; the selectors behind them, too.
_REMEMBERED = 2048


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of one pod."""

    topology_key: str
    max_skew: int
    #: with fewer domains than these, the smallest is taken to have no pods
    min_domains: int
    #: the pods that are spread: of one namespace, and those that are being deleted left out
    pods: fwk.PodMatcher
    #: 1 if the pod in question is one of them, else 0
    self_match: int
    #: nodes that the pod's node selector and affinity rule out do not count
    honors_affinity: bool
    #: nodes with a taint that the pod does not tolerate do not count
    honors_taints: bool

    @property
    def selector(self) -> Selector:
        """Selects the pods by their labels."""
        (term,) = self.pods.terms
        return term.selector

    @property
    def counts_pods(self) -> bool:
        """False: no pod that runs already is counted, as upstream has it for an empty selector."""
        return bool(self.selector.requirements)

    def pods_on(self, nodes: fwk.NodeTable) -> Int64Array | None:
        """(N,) int64: how many of the pods each node has; None: no node has any."""
        return nodes.pod_counts(self.pods) if self.counts_pods else None


@dataclass(frozen=True, slots=True)
class PodConstraints:
    """The constraints of one pod, its own or by default."""

    hard: tuple[Constraint, ...] = ()
    soft: tuple[Constraint, ...] = ()
    #: nodes without the key of each soft constraint score nothing; False under System defaulting
    needs_all_keys: bool = True
    #: why the pod is rejected; empty if its constraints are understood
    problem: str = ""


#: Of a pod that is not to be spread.
UNCONSTRAINED: Final = PodConstraints()


class _UnknownValueError(ValueError):
    """A field with a value that nobody understands."""


@lru_cache(maxsize=_REMEMBERED)
def own_constraints(
    namespace: str,
    labels: StringMap,
    wanted: tuple[TopologySpreadConstraint, ...],
    *,
    with_match_label_keys: bool,
) -> PodConstraints:
    """The constraints in the spec of a pod of this namespace and these labels."""
    compiled = []
    for index, constraint in enumerate(wanted):
        try:
            chosen = selector(constraint.label_selector)
            if with_match_label_keys:
                chosen = _narrowed(chosen, constraint.match_label_keys, labels)
            compiled.append(_compiled(constraint, chosen, namespace=namespace, labels=labels))
        except InvalidSelector as error:
            return _problem(index, f"labelSelector: {error}")
        except _UnknownValueError as error:
            return _problem(index, str(error))
    return _sorted_out(wanted, compiled)


def default_constraints(
    namespace: str,
    labels: StringMap,
    wanted: tuple[TopologySpreadConstraint, ...],
    chosen: Selector,
    *,
    needs_all_keys: bool,
) -> PodConstraints:
    """The constraints ``wanted`` of a pod without any, over the pods that are ``chosen``."""
    compiled = [_compiled(w, chosen, namespace=namespace, labels=labels) for w in wanted]
    return _sorted_out(wanted, compiled, needs_all_keys=needs_all_keys)


def matching_labels(pairs: Iterable[tuple[str, str]]) -> tuple[Requirement, ...]:
    """The requirements that labels have these values, in one order."""
    return tuple(Requirement(key, "In", frozenset((text,))) for key, text in sorted(pairs))


def joined(*parts: tuple[Requirement, ...]) -> Selector:
    """All requirements, each once: equal selectors are counted once."""
    return Selector(tuple(dict.fromkeys(requirement for part in parts for requirement in part)))


def _sorted_out(
    wanted: Iterable[TopologySpreadConstraint],
    compiled: Iterable[Constraint],
    *,
    needs_all_keys: bool = True,
) -> PodConstraints:
    pairs = list(zip(wanted, compiled, strict=True))
    return PodConstraints(
        hard=tuple(c for w, c in pairs if w.when_unsatisfiable == DO_NOT_SCHEDULE),
        soft=tuple(c for w, c in pairs if w.when_unsatisfiable == SCHEDULE_ANYWAY),
        needs_all_keys=needs_all_keys,
    )


def _compiled(
    wanted: TopologySpreadConstraint, chosen: Selector, *, namespace: str, labels: StringMap
) -> Constraint:
    if wanted.when_unsatisfiable not in (DO_NOT_SCHEDULE, SCHEDULE_ANYWAY):
        raise _UnknownValueError(f"whenUnsatisfiable: unknown action {wanted.when_unsatisfiable!r}")
    return Constraint(
        topology_key=wanted.topology_key,
        max_skew=wanted.max_skew,
        min_domains=1 if wanted.min_domains is None else wanted.min_domains,
        pods=fwk.PodMatcher([fwk.PodTerm(frozenset((namespace,)), chosen)], terminating=False),
        self_match=int(chosen.matches(labels)),
        honors_affinity=_honors("nodeAffinityPolicy", wanted.node_affinity_policy or _HONOR),
        honors_taints=_honors("nodeTaintsPolicy", wanted.node_taints_policy or _IGNORE),
    )


def _narrowed(chosen: Selector, keys: tuple[str, ...], labels: Mapping[str, str]) -> Selector:
    """``chosen``, and the same value of each key that the pod itself has."""
    own = matching_labels((key, labels[key]) for key in keys if key in labels)
    return joined(own, chosen.requirements) if own and not chosen.is_nothing else chosen


def _honors(field: str, policy: str) -> bool:
    if policy not in (_HONOR, _IGNORE):
        raise _UnknownValueError(f"{field}: unknown policy {policy!r}")
    return policy == _HONOR


def _problem(index: int, what: str) -> PodConstraints:
    where = f"spec.topologySpreadConstraints[{index}]"
    return PodConstraints(problem=f"invalid topology spread constraint: {where}.{what}")
