"""Volumes: who may share them, how many fit, in which zone they are, and where they come from."""

from pyscheduler.intree.volumes.binding import VolumeBinding
from pyscheduler.intree.volumes.limits import NodeVolumeLimits
from pyscheduler.intree.volumes.restrictions import VolumeRestrictions
from pyscheduler.intree.volumes.zone import VolumeZone

__all__ = ["NodeVolumeLimits", "VolumeBinding", "VolumeRestrictions", "VolumeZone"]
