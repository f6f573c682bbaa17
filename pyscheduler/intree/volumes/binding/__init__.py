"""VolumeBinding: claims are bound where their pods go, and pods go where their volumes are."""

from pyscheduler.intree.volumes.binding.args import VolumeBindingArgs
from pyscheduler.intree.volumes.binding.plugin import VolumeBinding

__all__ = ["VolumeBinding", "VolumeBindingArgs"]
