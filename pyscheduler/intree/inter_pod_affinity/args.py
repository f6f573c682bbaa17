"""The arguments of InterPodAffinity."""

from pydantic import Field

from pyscheduler import framework as fwk


class InterPodAffinityArgs(fwk.Args):
    """Arguments of InterPodAffinity."""

    #: what a node gains for each pod near it that requires the incoming one; 0 leaves them out
    hard_pod_affinity_weight: int = Field(default=1, ge=0, le=100)
    #: a pod that prefers nothing itself is not scored by what others prefer or require
    ignore_preferred_terms_of_existing_pods: bool = False
