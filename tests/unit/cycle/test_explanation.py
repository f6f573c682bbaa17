"""The line that says why this node, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from tests.unit.cycle.rig import Rig, node, pod


@pytest.fixture
def log() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)


async def test_every_node_is_explained_by_scores_or_by_its_rejection(log: LogCapture) -> None:
    rig = Rig()
    for name, cpu in (("small", "1"), ("large", "8"), ("larger", "16")):
        rig.add_node(node(name, cpu=cpu))

    rig.add_pod(pod("a", cpu="2"))
    await rig.settle()

    (line,) = [entry for entry in log.entries if entry["event"] == "nodes judged"]
    assert line["pod"] == "default/a"
    assert line["rejected"] == {"small": ["NodeResourcesFit", "Insufficient cpu"]}
    assert line["scores"].keys() == line["totals"].keys() == {"large", "larger"}
    assert {name: sum(by_plugin.values()) for name, by_plugin in line["scores"].items()} == line[
        "totals"
    ]
    assert line["scores"]["large"]["TaintToleration"] == 300  # weighted


async def test_a_choice_without_alternatives_has_no_scores(log: LogCapture) -> None:
    rig = Rig()
    rig.add_node(node("only"))

    rig.add_pod(pod("a"))
    await rig.settle()

    (line,) = [entry for entry in log.entries if entry["event"] == "nodes judged"]
    assert line["feasible_nodes"] == 1
    assert "scores" not in line
    assert line["rejected"] == {}


async def test_nothing_is_explained_unless_somebody_reads_it(
    log: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyscheduler.cycle.explanation.is_wanted", lambda: False)
    rig = Rig()
    rig.add_node(node("n"))

    rig.add_pod(pod("a"))
    await rig.settle()

    assert [entry for entry in log.entries if entry["event"] == "nodes judged"] == []
