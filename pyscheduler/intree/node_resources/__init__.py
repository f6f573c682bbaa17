"""NodeResourcesFit and NodeResourcesBalancedAllocation: what pods ask for and nodes have left."""

from pyscheduler.intree.node_resources.balanced_allocation import NodeResourcesBalancedAllocation
from pyscheduler.intree.node_resources.fit import NodeResourcesFit

__all__ = ["NodeResourcesBalancedAllocation", "NodeResourcesFit"]
