from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.figures import Spread
from benchmarks.places.contestants import OURS, RAW_WITH_EVENTS, THEIRS
from benchmarks.places.rounds import VICTIMS
from benchmarks.promises import EMBEDDED_ROWS, REAL_ROWS, EmbeddedRow, Finding, RealRow, What
from benchmarks.selection import named
from benchmarks.workloads import unsupported
from tests.unit.benchmarks.outcomes import outcome

REAL = RealRow("basic", "basic", "500", "A/B", 100, {What.RATE: 2.0, What.SHARE: 0.8})


def found(findings: list[Finding]) -> Mapping[What, Finding]:
    return {finding.what: finding for finding in findings}


@pytest.mark.parametrize(
    ("what", "median", "reached"),
    [
        pytest.param(What.RATE, 1.3, True, id="a large figure that is large enough"),
        pytest.param(What.RATE, 1.29, False, id="a large figure that is too small"),
        pytest.param(What.CPU, 1.3, True, id="a small figure that is small enough"),
        pytest.param(What.CPU, 1.31, False, id="a small figure that is too large"),
    ],
)
def test_a_finding_is_judged_by_its_median(what: What, median: float, reached: bool) -> None:
    assert Finding(what, Spread(median, 0.0, 9.0), 1.3).is_reached is reached


def test_what_nobody_wants_is_reached() -> None:
    assert Finding(What.MEMORY, Spread(9.0, 9.0, 9.0)).is_reached


def test_a_finding_tells_what_was_wanted_and_marks_what_is_missed() -> None:
    assert Finding(What.CPU, Spread(0.5, 0.4, 0.6), 0.4).text() == "0.50 (0.40-0.60), <= 0.4 ✗"
    assert Finding(What.PODS_PER_CPU, Spread(3600.2, 3600.2, 3600.2), 3500).text() == (
        "3600, >= 3500"
    )


def test_a_row_beside_kube_scheduler_compares_rates_cpu_and_the_share_of_raw() -> None:
    findings = found(
        REAL.findings(
            {
                OURS: [outcome(seconds=1.0), outcome(seconds=1.0)],
                THEIRS: [outcome(THEIRS, seconds=3.0, cpu_s=2.0), outcome(THEIRS, seconds=3.0)],
                RAW_WITH_EVENTS: [outcome(RAW_WITH_EVENTS, seconds=0.5)],
            }
        )
    )
    assert findings[What.RATE].found.median == pytest.approx(3.0)
    assert findings[What.RATE].is_reached
    assert findings[What.SHARE].found.median == pytest.approx(0.5)
    assert not findings[What.SHARE].is_reached
    assert findings[What.CPU].wanted == 0.4
    assert findings[What.CPU].found == Spread(0.75, 0.5, 1.0)


def test_preemption_is_compared_by_the_time_from_the_start_to_the_last_bind() -> None:
    row = RealRow("p", "p", "3", "A/B", 3, {What.DURATION: 3.0}, takes_victims=True)
    findings = found(
        row.findings({OURS: [outcome(last_bind_s=2.0)], THEIRS: [outcome(THEIRS, last_bind_s=8.0)]})
    )
    assert findings[What.DURATION].found.median == 4.0
    assert What.RATE not in findings


def test_a_row_against_the_embedded_server_is_about_cpu_and_the_algorithm() -> None:
    row = EmbeddedRow("e", "e", "5", "A/B", 90.0)
    findings = found(row.findings({OURS: [outcome(pods=100, cpu_s=1.0, algorithm_p99_s=0.004)]}))
    assert findings[What.PODS_PER_CPU].is_reached
    assert not findings[What.ALGORITHM].is_reached


def test_growth_is_the_cost_of_a_pod_against_the_baseline() -> None:
    row = EmbeddedRow("e", "e", "50", "A/B", None, baseline="b", growth=3.0)
    findings = found(row.findings({OURS: [outcome(cpu_s=4.0)]}, baseline=[outcome(cpu_s=1.0)]))
    assert findings[What.GROWTH].found.median == 4.0
    assert not findings[What.GROWTH].is_reached


def test_names_of_rows_differ() -> None:
    names = [row.name for row in (*REAL_ROWS, *EMBEDDED_ROWS)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", [*REAL_ROWS, *EMBEDDED_ROWS], ids=lambda row: row.name)
def test_every_row_has_a_workload_that_can_run(row: RealRow | EmbeddedRow) -> None:
    assert unsupported(named(row.workload)) is None


@pytest.mark.parametrize("row", REAL_ROWS, ids=lambda row: row.name)
def test_rows_beside_kube_scheduler_measure_enough_pods(row: RealRow) -> None:
    workload = named(row.workload)
    assert (VICTIMS in workload.labels) is row.takes_victims
    assert workload.operations[-1].collects_metrics
    assert workload.parameters["measurePods"] >= row.pods  # type: ignore[operator]  # a number
