"""What was promised of the figures, and what was found: the rows of the figure table.

Pure: outcomes in, findings out. The workloads are in `workloads/`, how a row is run in
`figure_table.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import Spread, paired_ratio
from benchmarks.places.contestants import OURS, RAW_WITH_EVENTS, THEIRS
from benchmarks.places.outcome import Comparison, Outcome

#: Ours over theirs, of every row beside kube-scheduler.
CPU_RATIO = 0.4
#: Scheduling algorithm against the embedded server.
ALGORITHM_P99_S = 0.002


class What(enum.StrEnum):
    """The figures there are, as columns are called."""

    RATE = "ratio"
    SHARE = "share of raw"
    CPU = "CPU ratio"
    MEMORY = "memory ratio"
    DURATION = "times shorter"
    FIRST_BIND = "s to first bind"
    PODS_PER_CPU = "pods per CPU s"
    ALGORITHM = "algorithm p99 s"
    GROWTH = "cost against 5,000 nodes"


#: Figures that are to be small; all others are to be large.
_SMALL = frozenset({What.CPU, What.MEMORY, What.FIRST_BIND, What.ALGORITHM, What.GROWTH})

#: Digits after the point; 2 unless said otherwise.
_DIGITS = {What.PODS_PER_CPU: 0, What.ALGORITHM: 4}


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of one row."""

    what: What
    found: Spread
    wanted: float | None = None

    @property
    def is_reached(self) -> bool:
        """Claims that the median is as wanted; what nobody wants is always reached."""
        if self.wanted is None:
            return True
        if self.what in _SMALL:
            return self.found.median <= self.wanted
        return self.found.median >= self.wanted

    def text(self) -> str:
        """Returns `median (low-high), wanted >= so much`, with a cross where it is missed."""
        digits = _DIGITS.get(self.what, 2)
        text = self.found.text(digits)
        if self.wanted is None:
            return text
        sign = "<=" if self.what in _SMALL else ">="
        mark = "" if self.is_reached else " ✗"
        return f"{text}, {sign} {self.wanted:g}{mark}"

    def as_json(self) -> dict[str, object]:
        return {
            "median": self.found.median,
            "low": self.found.low,
            "high": self.found.high,
            "wanted": self.wanted,
            "reached": self.is_reached,
        }


@dataclass(frozen=True, slots=True)
class RealRow:
    """A row beside kube-scheduler on the real control plane.

    Attributes:
        workload: "Case/Workload".
        pods: how many of its measured pods there are in a run, unless a time is asked for: fewer
            where kube-scheduler takes long.
        wanted: by figure.
        takes_victims: pods are preempted, so that what counts is the time from the start of the
            process to the last bind.
    """

    name: str
    title: str
    nodes: str
    workload: str
    pods: int
    wanted: Mapping[What, float]
    takes_victims: bool = False

    def findings(self, outcomes: Mapping[str, Sequence[Outcome]]) -> list[Finding]:
        """Returns the row's figures."""
        ours, theirs = outcomes[OURS], outcomes[THEIRS]
        ratios = Comparison.of(ours, theirs)
        found: dict[What, Spread] = {}
        if self.takes_victims:
            found[What.DURATION] = Comparison.of(theirs, ours).duration
        else:
            found[What.RATE] = ratios.rate
        if raw := outcomes.get(RAW_WITH_EVENTS):
            found[What.SHARE] = paired_ratio(
                [outcome.pace.recorded_pods_per_s for outcome in ours[: len(raw)]],
                [outcome.pace.recorded_pods_per_s for outcome in raw],
            )
        found[What.CPU] = ratios.cpu
        found[What.MEMORY] = ratios.memory
        found[What.FIRST_BIND] = Spread.of([outcome.first_bind_s for outcome in ours])
        wanted = {What.CPU: CPU_RATIO, **self.wanted}
        return [Finding(what, spread, wanted.get(what)) for what, spread in found.items()]


@dataclass(frozen=True, slots=True)
class EmbeddedRow:
    """A row against the embedded server.

    Attributes:
        pods_per_cpu_s: wanted of the scheduler's process; None for none.
        baseline: name of the row whose cost per pod this one's is compared to, with `growth`.
    """

    name: str
    title: str
    nodes: str
    workload: str
    pods_per_cpu_s: float | None
    baseline: str = ""
    growth: float | None = None

    def findings(
        self, outcomes: Mapping[str, Sequence[Outcome]], *, baseline: Sequence[Outcome] = ()
    ) -> list[Finding]:
        """Returns the row's figures; `baseline` are the outcomes of that row, if there are any."""
        ours = outcomes[OURS]
        per_cpu_s = Spread.of([outcome.pods_per_cpu_s for outcome in ours])
        found = [Finding(What.PODS_PER_CPU, per_cpu_s, self.pods_per_cpu_s)]
        p99s = [o.algorithm_p99_s for o in ours if o.algorithm_p99_s is not None]
        if p99s:
            wanted = None if self.growth else ALGORITHM_P99_S
            found.append(Finding(What.ALGORITHM, Spread.of(p99s), wanted))
        if baseline:
            base = Spread.of([outcome.cpu_us_per_pod for outcome in baseline]).median
            growth = Spread.of([outcome.cpu_us_per_pod / base for outcome in ours])
            found.append(Finding(What.GROWTH, growth, self.growth))
        return found


def _beside(ratio: float, share: float) -> dict[What, float]:
    return {What.RATE: ratio, What.SHARE: share}


#: Pods per run: 15 s of binding for this scheduler, or what kube-scheduler binds in half a minute.
REAL_ROWS = (
    RealRow(
        "basic-500",
        "basic",
        "500",
        "SchedulingBasic/500Nodes",
        10_000,
        {**_beside(1.3, 0.85), What.FIRST_BIND: 2.0},
    ),
    RealRow(
        "basic-5000",
        "basic",
        "5,000",
        "SchedulingBasic/5000Nodes",
        10_000,
        {**_beside(2.2, 0.85), What.MEMORY: 1.0},
    ),
    RealRow(
        "anti-affinity",
        "required anti-affinity by hostname",
        "5,000",
        "SchedulingPodAntiAffinity/5000Nodes",
        3000,
        _beside(5, 0.8),
    ),
    RealRow(
        "affinity",
        "required pod affinity by zone",
        "1,000 + 1,000",
        "SchedulingPodAffinity/1000Nodes",
        4000,
        _beside(5, 0.8),
    ),
    RealRow(
        "spread",
        "required spread by zone",
        "1,000 + 1,000",
        "TopologySpreading/1000Nodes",
        5000,
        _beside(4, 0.8),
    ),
    RealRow(
        "preferred-spread",
        "preferred spread by zone",
        "1,000 + 1,000",
        "PreferredTopologySpreading/1000Nodes",
        5000,
        _beside(4, 0.8),
    ),
    RealRow(
        "preferred-affinity",
        "preferred pod affinity by hostname",
        "1,000 + 1,000",
        "SchedulingPreferredPodAffinity/1000Nodes",
        5000,
        _beside(4, 0.8),
    ),
    RealRow(
        "node-affinity",
        "required node affinity",
        "1,000",
        "SchedulingNodeAffinity/1000Nodes",
        10_000,
        _beside(2.8, 0.85),
    ),
    RealRow(
        "unschedulable",
        "beside 200 unschedulable pods",
        "500",
        "Unschedulable/500Nodes/200Init",
        10_000,
        _beside(2, 0.85),
    ),
    RealRow(
        "preemption",
        "preemption, start to last bind",
        "300 full",
        "PreemptionBasic/300Nodes",
        300,
        {What.DURATION: 3},
        takes_victims=True,
    ),
)

EMBEDDED_ROWS = (
    EmbeddedRow(
        "embedded-basic", "basic", "5,000 + 1,000", "SchedulingBasic/5000Nodes_10000Pods", 3500
    ),
    EmbeddedRow(
        "embedded-spread",
        "required spread by zone",
        "5,000 + 5,000",
        "TopologySpreading/5000Nodes_5000Pods",
        2500,
    ),
    EmbeddedRow(
        "embedded-node-affinity",
        "required node affinity",
        "5,000 + 5,000",
        "SchedulingNodeAffinity/5000Nodes_10000Pods",
        2500,
    ),
    EmbeddedRow(
        "embedded-affinity",
        "required pod affinity by zone",
        "5,000 + 5,000",
        "SchedulingPodAffinity/5000Nodes_5000Pods",
        2000,
    ),
    EmbeddedRow(
        "embedded-anti-affinity",
        "required anti-affinity by hostname",
        "5,000",
        "SchedulingPodAntiAffinity/5000Nodes",
        2000,
    ),
    EmbeddedRow(
        "embedded-many-classes",
        "every pod its own template",
        "5,000",
        "SchedulingManyClasses/5000Nodes_10000Pods",
        1500,
    ),
    EmbeddedRow(
        "embedded-preemptors",
        "preemptors",
        "5,000 full",
        "PreemptionBasic/5000Nodes",
        800,
    ),
    EmbeddedRow(
        "embedded-beside-preemptors",
        "ordinary pods while preemptors arrive",
        "5,000 full",
        "PreemptionAsync/5000Nodes",
        3000,
    ),
    EmbeddedRow(
        "embedded-backlog",
        "beside 10,000 unschedulable pods",
        "5,000",
        "Unschedulable/5kNodes/10kInit/10kPods",
        3000,
    ),
    EmbeddedRow(
        "embedded-50000",
        "basic",
        "50,000",
        "SchedulingBasic/50000Nodes",
        None,
        baseline="embedded-basic",
        growth=3.0,
    ),
)
