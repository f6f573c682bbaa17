"""Amounts stay with their domains, whatever codes the values of a label are given."""

from __future__ import annotations

import numpy as np

from pyscheduler.framework import NodeTable
from pyscheduler.framework.pod_matching import sum_by_code
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.inter_pod_affinity.domains import Domains
from pyscheduler.testing import make_node
from pyscheduler.testing.tables import snapshot_of
from tests.unit.intree.inter_pod_affinity.cluster import NODES

PER_NODE = np.array([1, 2, 0, 5, 9], dtype=np.int64)


def _of_zones(nodes: NodeTable, per_node: Int64Array) -> Domains:
    codes, values = nodes.label_codes("zone")
    return Domains.of("zone", nodes, sum_by_code(per_node, codes, len(values)))


def _at_nodes(domains: Domains, nodes: NodeTable) -> list[int]:
    found = domains.at_nodes(nodes)
    assert found is not None
    amounts: list[int] = found.tolist()
    return amounts


def test_amounts_are_summed_by_domain_and_over_all() -> None:
    nodes = snapshot_of(NODES).nodes
    domains = _of_zones(nodes, PER_NODE)

    assert _at_nodes(domains, nodes) == [3, 3, 5, 5, 0]
    assert domains.total == 8


def test_values_that_were_given_other_codes_keep_their_amounts() -> None:
    nodes = snapshot_of(NODES).nodes
    domains = _of_zones(nodes, PER_NODE)
    turned = snapshot_of([make_node("new").label("zone", "c").obj(), *reversed(NODES)]).nodes

    assert _at_nodes(domains, turned) == [0, 0, 5, 5, 3, 3]


def test_sums_are_exact_far_beyond_the_largest_cluster() -> None:
    nodes = snapshot_of(NODES).nodes
    huge = np.array([2**52, 1, 0, -(2**52), 0], dtype=np.int64)

    assert _at_nodes(_of_zones(nodes, huge), nodes)[::2] == [2**52 + 1, -(2**52), 0]


def test_what_is_added_later_is_a_clones_own() -> None:
    nodes = snapshot_of(NODES).nodes
    domains = _of_zones(nodes, PER_NODE)
    clone = domains.clone()

    clone.add({"zone": "b"}, -5)
    clone.add({"zone": "c"}, 4)
    clone.add({}, 7)

    assert _at_nodes(clone, nodes) == [3, 3, 0, 0, 0]
    assert clone.at_node({"zone": "c"}) == 4
    assert (clone.total, domains.total) == (7, 8)
    assert _at_nodes(domains, nodes) == [3, 3, 5, 5, 0]
