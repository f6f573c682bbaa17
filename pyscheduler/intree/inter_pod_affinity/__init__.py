"""InterPodAffinity: pods near others, or away from them."""

from pyscheduler.intree.inter_pod_affinity.args import InterPodAffinityArgs
from pyscheduler.intree.inter_pod_affinity.plugin import InterPodAffinity

__all__ = ["InterPodAffinity", "InterPodAffinityArgs"]
