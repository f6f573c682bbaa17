"""What the scheduler relies on, checked by the suite that comes with it."""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler_nodeheat import NodeHeat, NodeHeatArgs
from pyscheduler_nodeheat.plugin import ANNOTATION

from pyscheduler.testing import fake_handle, make_node, make_pod, parametrize_with_checks

NODES = [
    make_node("unknown").obj(),
    *(
        make_node(f"at-{celsius}").annotation(ANNOTATION, celsius).obj()
        for celsius in ("-20", "0", "35", "80", "81", "120", "hot")
    ),
]
PODS = [make_pod("p").obj(), make_pod("q").req({"cpu": "1"}).obj()]
PLUGINS = [NodeHeat(NodeHeatArgs(max_celsius=limit), fake_handle()) for limit in (80, 30)]


@parametrize_with_checks(PLUGINS, pods=PODS, nodes=NODES)
def test_contract(check: Callable[[], None]) -> None:
    check()
