"""A user's plugin in the form for one node: racks that are to be drained take no pods."""

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod

plugin = fwk.plugin("RacksPerNode")


@plugin.filter(events=[fwk.NODE_ADDED, fwk.NODE_LABELS_CHANGED])
def not_drained(pod: Pod, node: fwk.NodeInfo) -> str | None:
    """Racks 15 and on are drained."""
    if int(node.labels.get("example.com/rack", "0")) >= 15:
        return "node(s) were in a drained rack"
    return None


@plugin.score
def low_racks_first(pod: Pod, node: fwk.NodeInfo) -> int:
    """Fills the racks in their order."""
    return 100 - int(node.labels.get("example.com/rack", "0"))
