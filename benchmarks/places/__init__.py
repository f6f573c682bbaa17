"""Where a workload runs, who runs it, and what was seen of them from outside."""
