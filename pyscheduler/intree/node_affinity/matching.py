"""Node selector terms judged for all nodes at once, by distinct label value.

Each requirement is judged once per value of its label, and the nodes look up the answer by the
code of their value.
"""

from __future__ import annotations

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.selectors import NodeTerm, RequiredNodeAffinity, Requirement
from pyscheduler.framework.status import BoolArray


def matching_required(nodes: fwk.NodeTable, required: RequiredNodeAffinity) -> BoolArray:
    """(N,) bool: the nodes that satisfy labels and terms."""
    matching = _all_of(nodes, required.labels.requirements)
    if required.terms is not None:
        matching &= _any_term(nodes, required.terms)
    return matching


def matching_term(nodes: fwk.NodeTable, term: NodeTerm) -> BoolArray:
    """(N,) bool: the nodes that satisfy one term; an empty term none."""
    if not term.expressions.requirements and not term.fields.requirements:
        return np.zeros(len(nodes), dtype=np.bool_)
    matching = _all_of(nodes, term.expressions.requirements)
    for requirement in term.fields.requirements:
        matching &= _names(nodes, requirement)
    return matching


def _any_term(nodes: fwk.NodeTable, terms: tuple[NodeTerm, ...]) -> BoolArray:
    matching = np.zeros(len(nodes), dtype=np.bool_)
    for term in terms:
        matching |= matching_term(nodes, term)
    return matching


def _all_of(nodes: fwk.NodeTable, requirements: tuple[Requirement, ...]) -> BoolArray:
    matching = np.ones(len(nodes), dtype=np.bool_)
    for requirement in requirements:
        matching &= _labels(nodes, requirement)
    return matching


def _labels(nodes: fwk.NodeTable, requirement: Requirement) -> BoolArray:
    codes, values = nodes.label_codes(requirement.key)
    match requirement.operator:
        case "Exists":
            return codes >= 0
        case "DoesNotExist":
            return codes < 0
        case "In" | "NotIn":
            named = requirement.values
            hits = [code for code, value in enumerate(values) if value in named]
        case _:
            key = requirement.key
            hits = [c for c, value in enumerate(values) if requirement.matches({key: value})]
    # the last entry answers for code -1, where the label is absent
    answers = np.zeros(len(values) + 1, dtype=np.bool_)
    answers[hits] = True
    return ~answers[codes] if requirement.operator == "NotIn" else answers[codes]


def _names(nodes: fwk.NodeTable, requirement: Requirement) -> BoolArray:
    named = np.zeros(len(nodes), dtype=np.bool_)
    for name in requirement.values:
        row = nodes.row_of(name)
        if row is not None:
            named[row] = True
    return named if requirement.operator == "In" else ~named
