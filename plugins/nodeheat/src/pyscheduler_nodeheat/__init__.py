"""NodeHeat: a pyscheduler plugin that keeps pods off hot nodes."""

from pyscheduler_nodeheat.plugin import NodeHeat, NodeHeatArgs

__all__ = ["NodeHeat", "NodeHeatArgs"]
