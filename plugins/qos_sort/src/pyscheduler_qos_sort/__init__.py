"""QOSSort: a pyscheduler plugin that tries pods with guaranteed resources first."""

from pyscheduler_qos_sort.plugin import QOSSort

__all__ = ["QOSSort"]
