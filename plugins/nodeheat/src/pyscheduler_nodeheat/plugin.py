"""NodeHeat: rejects nodes above a temperature and prefers the coolest.

The temperature is the node's annotation ``example.com/celsius``. A column reads it once per node
and change, so that the whole-cluster forms are two numpy operations; the per-node forms answer the
same for a single node, which is what is asked after each binding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod

ANNOTATION = "example.com/celsius"

TOO_HOT = "node(s) were too hot"
UNREADABLE = f"node(s) had an unreadable {ANNOTATION}"


class NodeHeatArgs(fwk.Args):
    """Arguments of NodeHeat."""

    #: degrees Celsius, inclusive: a node this hot is still used
    max_celsius: int = Field(default=80, ge=-50, le=150)


def celsius_of(node: Node) -> int:
    """The node's temperature in degrees Celsius; 0 unless it says.

    Raises:
        ValueError: the annotation is no whole number.
    """
    return int(node.annotations.get(ANNOTATION, "0"))


#: A value that `celsius_of` cannot read marks that node, for this plugin only.
CELSIUS = fwk.NodeColumn(ANNOTATION, np.int64, extract=celsius_of)


class NodeHeat(
    fwk.FilterPlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[NodeHeatArgs],
):
    """Rejects nodes above ``maxCelsius``; scores the rest, coolest highest."""

    # the columns that the answers depend on, besides the arguments
    depends_on = (CELSIUS,)

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        """Nothing: all pods get the same answer. With ``depends_on`` it lets answers be kept."""
        return ()

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Compares the temperature; nobody's eviction would cool the node: unresolvable."""
        celsius = _readable_celsius(node.node)
        if celsius is None:
            return fwk.unresolvable(UNREADABLE)
        return fwk.unresolvable(TOO_HOT) if celsius > self.args.max_celsius else None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes."""
        unreadable = nodes.unreadable(CELSIUS)
        too_hot = (nodes.column(CELSIUS) > self.args.max_celsius) & ~unreadable
        verdict = nodes.verdict().reject(unreadable, UNREADABLE, unresolvable=True)
        return verdict.reject(too_hot, TOO_HOT, unresolvable=True)

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """100 at 0 degrees or below, 0 at 100 or above."""
        celsius = _readable_celsius(node.node) or 0
        return fwk.MAX_NODE_SCORE - min(max(celsius, 0), fwk.MAX_NODE_SCORE)

    def score_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> npt.NDArray[np.int64]:
        """The same for all nodes."""
        celsius: npt.NDArray[np.int64] = nodes.column(CELSIUS)
        return fwk.MAX_NODE_SCORE - np.clip(celsius, 0, fwk.MAX_NODE_SCORE)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A node that joins, or whose annotations change."""
        event = fwk.NODE_ADDED | fwk.NODE_ANNOTATIONS_CHANGED
        return [fwk.ClusterEventWithHint(event, self.after_node_change)]

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the node can be used now and could not before."""
        could = isinstance(old, Node) and self._is_cool_enough(old)
        can = isinstance(new, Node) and self._is_cool_enough(new)
        return fwk.QueueingHint.QUEUE if can and not could else fwk.QueueingHint.SKIP

    def _is_cool_enough(self, node: Node) -> bool:
        celsius = _readable_celsius(node)
        return celsius is not None and celsius <= self.args.max_celsius


def _readable_celsius(node: Node) -> int | None:
    try:
        return celsius_of(node)
    except ValueError:
        return None
