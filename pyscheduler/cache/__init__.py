"""What the cluster looks like, and what we assumed of it.

`cache` is the one mutator; `column_store` holds the arrays, `vocabulary` turns labels and taints
into codes, `change_log` tells which rows changed, and `snapshot` is the one epoch a cycle sees.
"""

from pyscheduler.cache.cache import CacheError, SchedulerCache
from pyscheduler.cache.snapshot import Snapshot

__all__ = ["CacheError", "SchedulerCache", "Snapshot"]
