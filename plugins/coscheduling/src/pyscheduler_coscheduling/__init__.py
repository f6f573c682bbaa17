"""Coscheduling: a pyscheduler plugin that binds a gang of pods together or not at all."""

from pyscheduler_coscheduling.plugin import Coscheduling, CoschedulingArgs
from pyscheduler_coscheduling.pod_groups import PodGroup

__all__ = ["Coscheduling", "CoschedulingArgs", "PodGroup"]
