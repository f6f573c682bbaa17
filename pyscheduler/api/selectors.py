"""Label selectors, node selector terms, and required node affinity.

A `LabelSelector` is compiled once with `selector(...)` and then asked with `.matches(labels)`.
Node selectors are compiled with `node_selector(...)` or, for all that a pod requires of a node,
`required_node_affinity(pod)`. Compiling checks operators and the number of values and raises
`InvalidSelector`: whoever handles the object refuses it alone. Compiled forms are frozen, hashable
and remembered per struct, so pods of one template share them.

Source: `apimachinery/pkg/labels/selector.go`, `component-helpers/scheduling/corev1/nodeaffinity`,
1.37. Of what a pod requires, a term with a bad requirement matches nothing and the others count, as
upstream. Knowing difference: if there are no others, the pod is refused with what is wrong; and
any other node selector is refused for one bad term.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pyscheduler.api.core_v1 import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
)
from pyscheduler.api.frozen_map import StringMap
from pyscheduler.api.meta import LabelSelector
from pyscheduler.errors import PySchedulerError

#: Results remembered, least recently asked for forgotten first: of so many templates at a time. A
#: guess; more would keep the templates of yesterday alive in a cluster that never uses them again.
_REMEMBERED = 2048

#: The one field `matchFields` knows.
NAME_FIELD = "metadata.name"

_LABEL_OPERATORS = frozenset(("In", "NotIn", "Exists", "DoesNotExist"))
_NODE_OPERATORS = _LABEL_OPERATORS | {"Gt", "Lt"}
_FIELD_OPERATORS = frozenset(("In", "NotIn"))


class InvalidSelector(PySchedulerError, ValueError):  # noqa: N818  # says what is wrong with it
    """A selector with an unknown operator, an unknown field or a wrong number of values."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the value of one key."""

    key: str
    operator: str
    values: frozenset[str]
    #: The number of Gt and Lt; 0 otherwise.
    bound: int = 0

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy it; an absent key satisfies NotIn and DoesNotExist."""
        found = labels.get(self.key)
        match self.operator:
            case "In":
                return found is not None and found in self.values
            case "NotIn":
                return found is None or found not in self.values
            case "Exists":
                return found is not None
            case "DoesNotExist":
                return found is None
        number = None if found is None else parse_int64(found)
        if number is None:
            return False
        return number > self.bound if self.operator == "Gt" else number < self.bound


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; without any everything matches, unless `is_nothing`."""

    requirements: tuple[Requirement, ...] = ()
    is_nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy every requirement."""
        if self.is_nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def keys(self) -> frozenset[str]:
        """The label keys it reads."""
        return frozenset(requirement.key for requirement in self.requirements)


#: An absent selector: nothing matches.
NOTHING = Selector(is_nothing=True)
#: An empty selector: everything matches.
EVERYTHING = Selector()


@lru_cache(maxsize=_REMEMBERED)
def selector(wanted: LabelSelector | None) -> Selector:
    """Returns the compiled selector; None matches nothing, an empty one everything.

    Raises:
        InvalidSelector: an operator is unknown, or values are missing or too many.
    """
    if wanted is None:
        return NOTHING
    requirements = [
        Requirement(key, "In", frozenset((text,)))
        for key, text in sorted(wanted.match_labels.items())
    ]
    requirements += [
        _requirement(e.key, e.operator, e.values, _LABEL_OPERATORS)
        for e in wanted.match_expressions
    ]
    return Selector(tuple(requirements)) if requirements else EVERYTHING


@lru_cache(maxsize=_REMEMBERED)
def labels_selector(wanted: StringMap) -> Selector:
    """Returns a selector that matches where each of these labels has that value."""
    return selector(LabelSelector(match_labels=wanted))


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """A compiled node selector term: all of both, and never the empty term."""

    expressions: Selector
    fields: Selector

    def matches(self, labels: Mapping[str, str], name: str) -> bool:
        """Whether the node of these labels and this name satisfies the term."""
        if not self.expressions.requirements and not self.fields.requirements:
            return False
        return self.expressions.matches(labels) and self.fields.matches({NAME_FIELD: name})

    @property
    def names(self) -> frozenset[str] | None:
        """The only node names that can match by the `In` fields; None: any name."""
        found: frozenset[str] | None = None
        for requirement in self.fields.requirements:
            if requirement.operator == "In":
                found = requirement.values if found is None else found & requirement.values
        return found


@dataclass(frozen=True, slots=True)
class RequiredNodeAffinity:
    """What a pod requires of a node: its nodeSelector, and one of the terms if there are any."""

    labels: Selector = EVERYTHING
    #: None: no required affinity. Empty: one without terms, which matches nothing.
    terms: tuple[NodeTerm, ...] | None = None

    def matches(self, labels: Mapping[str, str], name: str) -> bool:
        """Whether the node of these labels and this name will do."""
        if not self.labels.matches(labels):
            return False
        return self.terms is None or any(term.matches(labels, name) for term in self.terms)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is required."""
        return self.terms is None and not self.labels.requirements

    @property
    def names(self) -> frozenset[str] | None:
        """The only node names that can match; None: not restricted by name. Empty: a conflict."""
        if not self.terms:
            return None
        found: frozenset[str] = frozenset()
        for term in self.terms:
            names = term.names
            if names is None:
                return None
            found |= names
        return found


@lru_cache(maxsize=_REMEMBERED)
def node_term(term: NodeSelectorTerm) -> NodeTerm:
    """Returns the compiled term.

    Raises:
        InvalidSelector: an operator or field is unknown, or the values do not fit the operator.
    """
    return NodeTerm(
        Selector(tuple(_node_requirement(e, _NODE_OPERATORS) for e in term.match_expressions)),
        Selector(tuple(_field_requirement(e) for e in term.match_fields)),
    )


def node_selector_term_matches(
    term: NodeSelectorTerm, labels: Mapping[str, str], name: str
) -> bool:
    """Whether the node of these labels and this name satisfies the term; an empty term never is.

    Raises:
        InvalidSelector: as `node_term`.
    """
    return node_term(term).matches(labels, name)


@lru_cache(maxsize=_REMEMBERED)
def node_selector(wanted: NodeSelector) -> tuple[NodeTerm, ...]:
    """Returns the compiled terms, of which one must match.

    Raises:
        InvalidSelector: as `node_term`.
    """
    return tuple(node_term(term) for term in wanted.node_selector_terms)


def required_node_affinity(pod: Pod) -> RequiredNodeAffinity:
    """Returns what the pod's nodeSelector and required node affinity ask of a node.

    Raises:
        InvalidSelector: there are terms, and none of them can be understood.
    """
    affinity = pod.spec.affinity
    node_affinity = affinity.node_affinity if affinity is not None else None
    required = node_affinity.required if node_affinity is not None else None
    return _required(pod.spec.node_selector, required)


@lru_cache(maxsize=_REMEMBERED)
def _required(labels: StringMap, required: NodeSelector | None) -> RequiredNodeAffinity:
    terms = None if required is None else _understood(required.node_selector_terms)
    return RequiredNodeAffinity(labels_selector(labels), terms)


def _understood(wanted: tuple[NodeSelectorTerm, ...]) -> tuple[NodeTerm, ...]:
    """The compiled terms, those that are bad as terms that match nothing.

    Raises:
        InvalidSelector: all of them are bad; what is wrong with the first.
    """
    terms: list[NodeTerm] = []
    complaints: list[InvalidSelector] = []
    for term in wanted:
        try:
            terms.append(node_term(term))
        except InvalidSelector as error:
            complaints.append(error)
            terms.append(_never(term))
    if complaints and len(complaints) == len(terms):
        raise complaints[0]
    return tuple(terms)


def _never(term: NodeSelectorTerm) -> NodeTerm:
    """Matches nothing; the names that the term pins count all the same."""
    names = tuple(
        Requirement(field.key, field.operator, frozenset(field.values))
        for field in term.match_fields
        if field.key == NAME_FIELD and field.operator == "In"
    )
    return NodeTerm(NOTHING, Selector(names))


def parse_int64(text: str) -> int | None:
    """Returns the number Go's `ParseInt(text, 10, 64)` would, or None where that fails."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    # 19 digits hold every int64; leading zeros are allowed and rare.
    if not digits.isascii() or not digits.isdigit() or len(digits) > 100:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _node_requirement(wanted: NodeSelectorRequirement, operators: frozenset[str]) -> Requirement:
    return _requirement(wanted.key, wanted.operator, wanted.values, operators)


def _field_requirement(wanted: NodeSelectorRequirement) -> Requirement:
    if wanted.key != NAME_FIELD:
        raise InvalidSelector(f"unknown field {wanted.key!r} in matchFields")
    if len(wanted.values) != 1 and wanted.operator in _FIELD_OPERATORS:
        raise InvalidSelector(
            f"field {wanted.key!r}: operator {wanted.operator} needs exactly one value"
            f"{_given(wanted.values)}"
        )
    return _node_requirement(wanted, _FIELD_OPERATORS)


def _requirement(
    key: str, operator: str, values: tuple[str, ...], operators: frozenset[str]
) -> Requirement:
    if operator not in operators:
        raise InvalidSelector(f"key {key!r}: unknown operator {operator!r}")
    if operator in ("In", "NotIn") and not values:
        raise InvalidSelector(f"key {key!r}: operator {operator} needs values")
    if operator in ("Exists", "DoesNotExist") and values:
        raise InvalidSelector(f"key {key!r}: operator {operator} takes no values{_given(values)}")
    if operator not in ("Gt", "Lt"):
        return Requirement(key, operator, frozenset(values))
    bound = parse_int64(values[0]) if len(values) == 1 else None
    if bound is None:
        raise InvalidSelector(f"key {key!r}: operator {operator} needs one integer{_given(values)}")
    return Requirement(key, operator, frozenset(), bound)


def _given(values: tuple[str, ...]) -> str:
    return f", got {', '.join(map(repr, values))}" if values else ""
