"""NodeAffinity: ``nodeSelector``, required and preferred node affinity."""

from pyscheduler.intree.node_affinity.args import NodeAffinityArgs
from pyscheduler.intree.node_affinity.plugin import NodeAffinity

__all__ = ["NodeAffinity", "NodeAffinityArgs"]
