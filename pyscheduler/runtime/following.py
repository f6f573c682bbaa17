"""How plugins follow pods that come and go, instead of preparing and judging all rows again.

One rule for both halves of a cycle: a plugin that looks across nodes is told of the rows whose pods
changed, and names the rows to be judged or scored again.

Called by: ``filtering`` (`pre_filter_again`), ``scoring`` (`pre_score_again`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.columns import ALL_ASPECTS, Aspect
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.runtime.profile import AgainFn

_ALL = int(ALL_ASPECTS)
_PODS = int(Aspect.PODS)


def follow(
    hooks: Mapping[str, AgainFn],
    state: CycleState,
    pod: Pod,
    nodes: NodeTable,
    changed: Mapping[int, int],
    *,
    left_out: Collection[str],
) -> dict[str, npt.NDArray[np.intp]]:
    """The rows to judge again, by plugin; without those that must prepare from the beginning.

    Args:
        hooks: whom to ask, see `Profile.following`.
        state: what they wrote.
        pod: one of the class.
        nodes: all of the epoch.
        changed: row -> what changed there.
        left_out: plugins that had nothing to judge.
    """
    if not hooks:
        return {}
    rows = changed_rows(changed, nodes.n, aspects=_PODS)
    followed = {}
    for name, again in hooks.items():
        affected = again(state, pod, nodes, rows)
        # who was left out stays so as long as there is nothing to judge
        if affected is not None and not (affected.size and name in left_out):
            followed[name] = affected
    return followed


def changed_rows(changed: Mapping[int, int], n: int, *, aspects: int = _ALL) -> list[int]:
    """Those of the first ``n`` rows that changed in one of ``aspects``."""
    return [row for row, mask in changed.items() if mask & aspects and row < n]
