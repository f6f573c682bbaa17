"""Why no node can run a pod, read from the answers of its class.

Apart from `filtering`, which makes these answers and is the one caller: here nothing is judged. In
profile order the first plugin to reject a row owns its reason; what holds for one pod alone
(``overrides``) comes before all plugins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np

from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import Code, Diagnosis, ReasonTable, Status
from pyscheduler.runtime.class_cache import ClassEntry

#: More than there are status codes.
_CODES = 8


def statuses(entry: ClassEntry, nodes: NodeTable, reasons: ReasonTable) -> NodeStatuses:
    """Why each node of an entry without feasible ones was turned down, for PostFilter."""
    n = entry.n
    status = entry.pre_filter_status
    if status is not None:
        return NodeStatuses.alike(nodes, status)
    codes = np.zeros(n, dtype=np.int8)
    causes = np.zeros(n, dtype=np.int32)
    whys: list[Status] = []
    if entry.overrides:
        rows = np.fromiter(entry.overrides, dtype=np.intp)
        whys = [status for status, _ in _counted(entry.overrides.values())]
        numbers = {id(status): number for number, status in enumerate(whys)}
        causes[rows] = [numbers[id(status)] for status in entry.overrides.values()]
        codes[rows] = np.array([int(status.code) for status in whys])[causes[rows]]
    for answer in entry.filters:
        if answer.codes is None or answer.reasons is None:
            continue
        owned = (codes == 0) & (answer.codes[:n] != 0)
        codes[owned] = answer.codes[:n][owned]
        # one small number per pair of code and reasons: counted, which is quicker than sorted
        kinds = answer.reasons[:n][owned].astype(np.int64) * _CODES + answer.codes[:n][owned]
        distinct = np.bincount(kinds).nonzero()[0]
        causes[owned] = np.searchsorted(distinct, kinds) + len(whys)
        whys += [
            Status(Code(kind % _CODES), reasons[kind // _CODES], answer.plugin)
            for kind in distinct.tolist()
        ]
    return NodeStatuses(nodes, codes, causes, whys)


def diagnosis(entry: ClassEntry, reasons: ReasonTable) -> Diagnosis:
    """Why no node of ``entry`` fits; every rejected row counts for its first rejecter."""
    found = Diagnosis(entry.n, unschedulable_plugins=set(entry.rejecting_plugins))
    status = entry.pre_filter_status
    if status is not None:
        found.pre_filter_message = status.message
        plugins = (
            found.pending_plugins if status.code is Code.PENDING else found.unschedulable_plugins
        )
        if status.plugin:
            plugins.add(status.plugin)
        return found
    unowned = np.ones(entry.n, dtype=np.bool_)
    unowned[list(entry.overrides)] = False
    for override, count in _counted(entry.overrides.values()):
        found.count(override.reasons, count)
        is_pending = override.code is Code.PENDING
        (found.pending_plugins if is_pending else found.unschedulable_plugins).add(override.plugin)
    for answer in entry.filters:
        if answer.codes is None or answer.reasons is None:
            continue
        codes = answer.codes[: entry.n]
        owned = unowned & (codes != 0)
        if not owned.any():
            continue
        if answer.plugin:
            pending = bool((codes[owned] == Code.PENDING).any())
            (found.pending_plugins if pending else found.unschedulable_plugins).add(answer.plugin)
        for index, count in enumerate(np.bincount(answer.reasons[: entry.n][owned]).tolist()):
            if count:
                found.count(reasons[index], count)
        unowned &= ~owned
    return found


def _counted(statuses: Collection[Status]) -> list[tuple[Status, int]]:
    """Each status with how often it is there; told apart by identity, which suffices to count."""
    first = {id(status): status for status in statuses}
    return [(first[key], count) for key, count in Counter(map(id, statuses)).items()]
