"""Maintenance: a pyscheduler plugin that keeps pods off nodes under maintenance."""

from pyscheduler_maintenance.plugin import Maintenance
from pyscheduler_maintenance.windows import MaintenanceWindow

__all__ = ["Maintenance", "MaintenanceWindow"]
