"""PodTopologySpread: spreads pods that belong together over zones, nodes and other domains.

Read `plugin` first; then `constraints` (what a pod asks for) and `default_constraints` (what it is
given if it asks for nothing), `inclusion` (which nodes count), `hard` (Filter) and `soft` (Score).
"""

from pyscheduler.intree.pod_topology_spread.args import PodTopologySpreadArgs
from pyscheduler.intree.pod_topology_spread.plugin import PodTopologySpread

__all__ = ["PodTopologySpread", "PodTopologySpreadArgs"]
