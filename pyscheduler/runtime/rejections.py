"""Who rejected which node, and so why no node can run a pod, read from the answers of its class.

Apart from `filtering`, which makes these answers: here nothing is judged. In profile order the
first plugin to reject a row owns its reason; what holds for one pod alone (``overrides``) comes
before all plugins.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import SUCCESS, Code, Diagnosis, ReasonTable, Status
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.row_statuses import RowStatuses

#: More than there are status codes.
_CODES = 8


def statuses(entry: ClassEntry, nodes: NodeTable, reasons: ReasonTable) -> NodeStatuses:
    """Why each node of an entry without feasible ones was turned down, for PostFilter."""
    status = entry.pre_filter_status
    if status is not None:
        return NodeStatuses.alike(nodes, status)
    causes, whys = _overrides(entry)
    n = entry.n
    for answer in entry.filters:
        if answer.codes is None or answer.reasons is None:
            continue
        codes = answer.codes[:n]
        # one small number per pair of code and reasons: counted, which is quicker than sorted
        kinds = answer.reasons[:n] * np.int32(_CODES) + codes
        kinds *= (causes == 0) & (codes != 0)
        counts = np.bincount(kinds)
        distinct = counts[1:].nonzero()[0] + 1
        numbers = np.zeros(len(counts), dtype=np.int32)
        numbers[distinct] = np.arange(len(whys), len(whys) + len(distinct))
        causes += numbers.take(kinds)
        whys += [
            Status(Code(kind % _CODES), reasons[kind // _CODES], answer.plugin)
            for kind in distinct.tolist()
        ]
    codes_of = np.array([int(why.code) for why in whys], dtype=np.int8)
    return NodeStatuses(nodes, codes_of.take(causes), causes, whys)


def passed_filters(entry: ClassEntry) -> frozenset[str]:
    """The plugins that rejected no node."""
    return frozenset([answer.plugin for answer in entry.filters if answer.codes is None])


def _overrides(entry: ClassEntry) -> tuple[npt.NDArray[np.int32], list[Status]]:
    """What holds for one pod alone, by row: (N,) numbers of statuses; 0 where nothing does."""
    overrides = entry.overrides
    if not isinstance(overrides, RowStatuses):
        overrides = RowStatuses(entry.capacity, overrides)
    return overrides.numbers[: entry.n].copy(), [SUCCESS, *overrides.distinct]


def diagnosis(entry: ClassEntry, found: NodeStatuses) -> Diagnosis:
    """Why no node of ``entry`` fits; every rejected row counts for its first rejecter.

    Args:
        entry: without feasible rows.
        found: its `statuses`.
    """
    told = Diagnosis(entry.n, unschedulable_plugins=set(entry.rejecting_plugins))
    status = entry.pre_filter_status
    if status is not None:
        told.pre_filter_message = status.message
        _blame(told, status)
        return told
    for status, count in found.counted():
        told.count(status.reasons, count)
        _blame(told, status)
    return told


def _blame(told: Diagnosis, status: Status) -> None:
    is_pending = status.code is Code.PENDING
    if status.plugin:
        (told.pending_plugins if is_pending else told.unschedulable_plugins).add(status.plugin)
