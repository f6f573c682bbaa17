"""Why this node: what every plugin made of every node, as one log line at level ``debug``.

    {"event": "nodes judged", "pod": "ns/p", "scores": {"n1": {"NodeAffinity": 200, ...}},
     "totals": {"n1": 431}, "rejected": {"n2": ["TaintToleration", "node(s) had ..."]}}

Scores are weighted, as kube-scheduler logs them at ``-v=10``. Nothing is scored when fewer than two
nodes are left. Of a large cluster only the first nodes are told.

Called by: ``scheduling``, while that level is on.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.scoring import Scoring

_log = structlog.get_logger(__name__)

#: Nodes told of either kind, at most; a line should stay readable.
_MOST_NODES = 100


def is_wanted() -> bool:
    """Whether anybody reads the line."""
    return bool(_log.is_enabled_for(logging.DEBUG))


def log_explanation(
    pod: Pod, entry: ClassEntry, *, nodes: NodeTable, filtering: Filtering, scoring: Scoring
) -> None:
    """The line is written; ``entry`` is as the cycle left it."""
    fields: dict[str, Any] = {"feasible_nodes": entry.feasible_count}
    if entry.feasible_count > 1:
        rows = entry.feasible_rows()[:_MOST_NODES].tolist()
        scored = {nodes.node(row).name: row for row in rows}
        fields["scores"] = {name: scoring.weighted(entry, row) for name, row in scored.items()}
        fields["totals"] = {name: int(entry.totals[row]) for name, row in scored.items()}
    statuses = filtering.statuses(entry)
    rows = np.flatnonzero(statuses.codes)[:_MOST_NODES].tolist()
    fields["rejected"] = {
        name: [statuses[name].plugin, *statuses[name].reasons]
        for name in (nodes.node(row).name for row in rows)
    }
    _log.debug("nodes judged", pod=pod.key, **fields)
