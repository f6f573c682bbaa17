"""Terms of pod affinity and anti-affinity, read once per template.

A term means pods (by namespace and labels) and a topology key. It is read in the two ways in which
it is used:

- `PodTerms`, as the pod says it. Terms of pods that run already are matched against the incoming
  pod like that (`ExistingTerm`), and what they are is tallied per node (`EXISTING`).
- `OwnTerms`, of the incoming pod: namespace selectors are replaced by the namespaces that they
  select now, and each term is a question to ``NodeTable.pod_counts``.

A kind of terms (required affinity, required anti-affinity, preferred affinity, preferred
anti-affinity) with one that cannot be read counts as empty, and the pod has a problem: it is turned
away when it is to be scheduled, and when it runs already it keeps its other kinds.

``matchLabelKeys`` and ``mismatchLabelKeys`` are not looked at: the API server has merged them into
the label selector when the pod was made.

Called by: the other modules of this package. Source: kube-scheduler 1.37, ``framework/types.go``
NewPodInfo, AffinityTerm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import msgspec

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import (
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    WeightedPodAffinityTerm,
)
from pyscheduler.api.selectors import EVERYTHING, InvalidSelector, Selector, selector

#: Templates remembered, least recently asked for forgotten first. A guess, as ``api.selectors``'.
_REMEMBERED = 2048

#: kinds of terms as messages name them
_AFFINITY = "requiredAffinityTerms"
_ANTI_AFFINITY = "requiredAntiAffinityTerms"
_PREFERRED_AFFINITY = "preferredAffinityTerms"
_PREFERRED_ANTI_AFFINITY = "preferredAntiAffinityTerms"

_NO_LABELS: Mapping[str, str] = {}


class Term(msgspec.Struct, frozen=True, cache_hash=True):
    """Pods of these namespaces, or of any whose labels are selected, with such labels."""

    namespaces: frozenset[str]
    #: ``NOTHING`` when the term has none
    namespace_selector: Selector
    selector: Selector
    topology_key: str

    def matches(self, pod: Pod, namespace_labels: Mapping[str, str] = _NO_LABELS) -> bool:
        """True when ``pod``, whose namespace has these labels, is meant."""
        in_namespace = pod.metadata.namespace in self.namespaces or self.namespace_selector.matches(
            namespace_labels
        )
        return in_namespace and self.selector.matches(pod.metadata.labels)


class PodTerms(msgspec.Struct, frozen=True, cache_hash=True):
    """All terms of a pod, as it says them."""

    affinity: tuple[Term, ...] = ()
    anti_affinity: tuple[Term, ...] = ()
    #: each with its weight; that of anti-affinity is negative
    preferred: tuple[tuple[int, Term], ...] = ()
    #: the kinds that cannot be read, each with what is wrong
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def can_read_affinity(self) -> bool:
        """True when `affinity` is what the pod requires."""
        return all(kind != _AFFINITY for kind, _ in self.problems)

    @property
    def can_read_anti_affinity(self) -> bool:
        """True when `anti_affinity` is what the pod requires."""
        return all(kind != _ANTI_AFFINITY for kind, _ in self.problems)


NO_TERMS = PodTerms()


def terms_of(pod: Pod) -> PodTerms:
    """The terms of ``pod``; `NO_TERMS` itself when it has none."""
    affinity = pod.spec.affinity
    if affinity is None or (affinity.pod_affinity is None and affinity.pod_anti_affinity is None):
        return NO_TERMS
    return _read(pod.metadata.namespace, affinity.pod_affinity, affinity.pod_anti_affinity)


@lru_cache(maxsize=_REMEMBERED)
def _read(namespace: str, near: PodAffinity | None, apart: PodAntiAffinity | None) -> PodTerms:
    near, apart = near or PodAffinity(), apart or PodAntiAffinity()
    problems: list[tuple[str, str]] = []

    def required(kind: str, terms: Iterable[PodAffinityTerm]) -> tuple[Term, ...]:
        try:
            return tuple(_term(namespace, term) for term in terms)
        except InvalidSelector as error:
            problems.append((kind, str(error)))
            return ()

    def preferred(
        kind: str, terms: tuple[WeightedPodAffinityTerm, ...], sign: int
    ) -> tuple[tuple[int, Term], ...]:
        read = required(kind, (weighted.pod_affinity_term for weighted in terms))
        # none when one of them cannot be read
        return tuple((sign * w.weight, term) for w, term in zip(terms, read, strict=False))

    terms = PodTerms(
        affinity=required(_AFFINITY, near.required),
        anti_affinity=required(_ANTI_AFFINITY, apart.required),
        preferred=(
            *preferred(_PREFERRED_AFFINITY, near.preferred, 1),
            *preferred(_PREFERRED_ANTI_AFFINITY, apart.preferred, -1),
        ),
        problems=tuple(problems),
    )
    return NO_TERMS if terms == NO_TERMS else terms


def _term(namespace: str, term: PodAffinityTerm) -> Term:
    is_own = not term.namespaces and term.namespace_selector is None
    return Term(
        frozenset((namespace,) if is_own else term.namespaces),
        selector(term.namespace_selector),
        selector(term.label_selector),
        term.topology_key,
    )


# --- of pods that run already ---


class Kind(Enum):
    """What a term of an existing pod means to the incoming one."""

    #: the incoming pod may not come near
    ANTI_AFFINITY = "required anti-affinity"
    #: a node gains ``hardPodAffinityWeight``
    AFFINITY = "required affinity"
    #: a node gains the weight, which may be negative
    PREFERRED = "preferred"


class ExistingTerm(msgspec.Struct, frozen=True, cache_hash=True):
    """A term that some pod has which runs already."""

    kind: Kind
    term: Term
    #: of a preferred one; negative for anti-affinity
    weight: int = 0


def existing_terms(pod: Pod) -> tuple[ExistingTerm, ...]:
    """The terms of ``pod`` as those of one that runs."""
    terms = terms_of(pod)
    return () if terms is NO_TERMS else _as_existing(terms)


@lru_cache(maxsize=_REMEMBERED)
def _as_existing(terms: PodTerms) -> tuple[ExistingTerm, ...]:
    return (
        *(ExistingTerm(Kind.ANTI_AFFINITY, term) for term in terms.anti_affinity),
        *(ExistingTerm(Kind.AFFINITY, term) for term in terms.affinity),
        *(ExistingTerm(Kind.PREFERRED, term, weight) for weight, term in terms.preferred),
    )


#: the terms of the pods on each node
EXISTING = fwk.PodTally("InterPodAffinity.terms", existing_terms)


# --- of the incoming pod ---


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """What the incoming pod asks of others, in the namespaces that there are now."""

    #: who must be near: one pod that all required terms mean
    near: fwk.PodMatcher | None = None
    #: by which topology keys
    near_by: tuple[str, ...] = ()
    #: topology keys, and who must not be near by them
    apart: tuple[tuple[str, fwk.PodMatcher], ...] = ()
    #: weights, topology keys, and whom they are for; negative for anti-affinity
    preferred: tuple[tuple[int, str, fwk.PodMatcher], ...] = ()
    #: why the pod cannot be scheduled at all; empty if it can
    problem: str = ""

    @property
    def has_required(self) -> bool:
        """True when a node may be rejected because of them."""
        return self.near is not None or bool(self.apart)


NOTHING_ASKED = OwnTerms()


def own_terms(terms: PodTerms, *, selected: Callable[[Selector], frozenset[str]]) -> OwnTerms:
    """The terms of an incoming pod.

    Args:
        terms: as the pod says them.
        selected: the names of the namespaces that a selector selects.
    """

    def meant(term: Term) -> fwk.PodTerm:
        if term.namespace_selector == EVERYTHING:
            return fwk.PodTerm(None, term.selector)
        namespaces = term.namespaces
        if not term.namespace_selector.is_nothing:
            namespaces |= selected(term.namespace_selector)
        return fwk.PodTerm(namespaces, term.selector)

    near = [meant(term) for term in terms.affinity]
    return OwnTerms(
        near=fwk.PodMatcher(near) if near else None,
        near_by=tuple(dict.fromkeys(term.topology_key for term in terms.affinity)),
        apart=tuple((t.topology_key, fwk.PodMatcher([meant(t)])) for t in terms.anti_affinity),
        preferred=tuple(
            (weight, term.topology_key, fwk.PodMatcher([meant(term)]))
            for weight, term in terms.preferred
        ),
        problem=_problem(terms),
    )


def _problem(terms: PodTerms) -> str:
    problems = [f"{kind}: {what}" for kind, what in terms.problems]
    if len(problems) > 1:
        return f"parsing pod: [{', '.join(problems)}]"
    return f"parsing pod: {problems[0]}" if problems else ""
