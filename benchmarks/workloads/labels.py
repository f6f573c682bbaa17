"""Which workloads are meant: filters over labels, written as upstream's command line has them."""

from __future__ import annotations

from collections.abc import Set


def selects(filters: str, labels: Set[str]) -> bool:
    """Claims that a workload with these labels is meant.

    Args:
        filters: comma-separated; ``name`` or ``+name`` asks for a label, ``-name`` forbids it;
            the empty string means all.
        labels: of the workload.
    """
    for one in filter(None, (part.strip() for part in filters.split(","))):
        wanted = not one.startswith("-")
        if (one.lstrip("+-") in labels) != wanted:
            return False
    return True
