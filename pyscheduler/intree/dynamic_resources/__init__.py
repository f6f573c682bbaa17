"""The DynamicResources plugin: devices that pods claim, allocated with the choice of a node."""

from pyscheduler.intree.dynamic_resources.args import DynamicResourcesArgs
from pyscheduler.intree.dynamic_resources.plugin import DynamicResources

__all__ = ["DynamicResources", "DynamicResourcesArgs"]
