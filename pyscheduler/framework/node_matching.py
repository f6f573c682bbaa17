"""Rules about labels and taints judged for all nodes at once, by distinct value.

A cluster has few values of a label and few taint sets, however many nodes it has: each value is
judged once, and the nodes look up the answer by the code of theirs.

Axes: N node rows of the table.

Called by: plugins whose rules have to do with node affinity or taints. The rules themselves, for
one node, are in ``api.selectors`` and ``api.taints``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyscheduler.api.core_v1 import Taint
from pyscheduler.api.selectors import NodeTerm, RequiredNodeAffinity, Requirement
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import BoolArray, Int64Array


def matching_required(nodes: NodeTable, required: RequiredNodeAffinity) -> BoolArray:
    """(N,) bool: the nodes that satisfy labels and terms."""
    matching = _all_of(nodes, required.labels.requirements)
    if required.terms is not None:
        matching &= _any_term(nodes, required.terms)
    return matching


def matching_term(nodes: NodeTable, term: NodeTerm) -> BoolArray:
    """(N,) bool: the nodes that satisfy one term; an empty term and a bad one none."""
    is_empty = not term.expressions.requirements and not term.fields.requirements
    if is_empty or term.expressions.is_nothing:
        return np.zeros(len(nodes), dtype=np.bool_)
    matching = _all_of(nodes, term.expressions.requirements)
    for requirement in term.fields.requirements:
        matching &= _names(nodes, requirement)
    return matching


def by_taint_set(nodes: NodeTable, answer: Callable[[tuple[Taint, ...]], int]) -> Int64Array | None:
    """(N,) int64: ``answer`` of each node's taints, 0 where there are none; None: 0 everywhere."""
    taint_sets = nodes.taint_sets
    if len(taint_sets) <= len(nodes):
        answers = [answer(taints) if taints else 0 for taints in taint_sets]
        if not any(answers):
            return None
        return np.array(answers, dtype=np.int64)[nodes.taint_set]
    # fewer rows than sets, as when one changed row is judged again
    by_row = [
        answer(taints) if (taints := taint_sets[number]) else 0
        for number in nodes.taint_set.tolist()
    ]
    return np.array(by_row, dtype=np.int64) if any(by_row) else None


def _any_term(nodes: NodeTable, terms: tuple[NodeTerm, ...]) -> BoolArray:
    matching = np.zeros(len(nodes), dtype=np.bool_)
    for term in terms:
        matching |= matching_term(nodes, term)
    return matching


def _all_of(nodes: NodeTable, requirements: tuple[Requirement, ...]) -> BoolArray:
    matching = np.ones(len(nodes), dtype=np.bool_)
    for requirement in requirements:
        matching &= _labels(nodes, requirement)
    return matching


def _labels(nodes: NodeTable, requirement: Requirement) -> BoolArray:
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


def _names(nodes: NodeTable, requirement: Requirement) -> BoolArray:
    named = np.zeros(len(nodes), dtype=np.bool_)
    for name in requirement.values:
        row = nodes.row_of(name)
        if row is not None:
            named[row] = True
    return named if requirement.operator == "In" else ~named
