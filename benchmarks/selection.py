"""Which workloads are meant: files, names and labels, and why some of them are left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.workloads import TestCase, Workload, load, selects, unsupported

#: Our own workload files.
WORKLOADS = Path(__file__).parent / "workloads"

#: What upstream calls each of its files of workloads.
_UPSTREAMS = "performance-config.yaml"


@dataclass(frozen=True, slots=True)
class Selection:
    """Workloads to run, and those that were asked for and cannot be.

    Attributes:
        skipped: names with the reason of each.
    """

    workloads: tuple[Workload, ...]
    skipped: tuple[tuple[str, str], ...]


def select(paths: Sequence[Path], *, pattern: str = "", labels: str = "") -> Selection:
    """Returns the workloads of these files whose names and labels are asked for.

    Args:
        paths: workload files; a folder stands for every `performance-config.yaml` in it or below
            it, as upstream calls its own, or where it holds none itself also for all that it holds.
        pattern: a regular expression that "Case/Workload" contains.
        labels: as `workloads.selects` has it.

    Raises:
        WorkloadError: a file cannot be used.
        re.error: the pattern is none.
    """
    wanted = re.compile(pattern)
    asked = [
        workload
        for path in _files(paths)
        for case in _loaded(path)
        for workload in case.workloads
        if wanted.search(workload.name) and selects(labels, workload.labels)
    ]
    reasons = [(workload, unsupported(workload)) for workload in asked]
    return Selection(
        tuple(workload for workload, reason in reasons if reason is None),
        tuple((workload.name, reason) for workload, reason in reasons if reason is not None),
    )


def named(name: str) -> Workload:
    """Returns one of our own workloads by its whole name.

    Raises:
        KeyError: there is none.
    """
    for path in _files([WORKLOADS]):
        for case in _loaded(path):
            for workload in case.workloads:
                if workload.name == name:
                    return workload
    raise KeyError(name)


@cache
def _loaded(path: Path) -> tuple[TestCase, ...]:
    return load(path)


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            # beside upstream's own lie configurations of schedulers
            held = () if (path / _UPSTREAMS).exists() else path.glob("*.yaml")
            found += sorted({*held, *path.rglob(_UPSTREAMS)})
        else:
            found.append(path)
    return found
