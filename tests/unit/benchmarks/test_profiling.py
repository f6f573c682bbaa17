"""Which workload is profiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.profiling import UnknownWorkloadError, choose
from benchmarks.selection import select

_FILE = """
- name: Basic
  workloadTemplate:
  - opcode: createNodes
    countParam: $nodes
  workloads:
  - name: small
    params: {nodes: 1}
  - name: large
    params: {nodes: 2}
"""


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("Basic/large", "Basic/large"), ("Basic", "Basic/small")],
    ids=["by its whole name", "by its case"],
)
def test_a_workload_is_chosen(tmp_path: Path, name: str, chosen: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(_FILE)
    assert choose(name, select([path])).name == chosen


def test_for_an_unknown_name_all_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(_FILE)
    with pytest.raises(UnknownWorkloadError) as error:
        choose("basic", select([path]))
    assert str(error.value).splitlines() == [
        "no workload is named 'basic'; there are",
        "  Basic/small",
        "  Basic/large",
    ]
