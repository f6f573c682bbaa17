"""`make parity`: thousands of random cases on the real control plane, with a table at the end.

    python -m tests.parity.campaign --seed 1 --cases 5000

Exit status 0 means: no unexplained difference. Every difference is written, as a case that the
shrinker takes, into the folder of results; the table and the figures are there as JSON, too.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parity import worlds
from tests.parity.compare import deciders
from tests.parity.explained import EXPLAINED, explanation_of, unexplained
from tests.parity.live import waits
from tests.parity.rig import Judged, Rig
from tests.parity.themes import themes_named
from tests.parity.themes.base import Theme, draw_world
from tests.parity.worlds import Case, World

RESULTS = Path("bench-results/parity")

#: The default plugins that can decide. NodeName cannot: who names its node is not scheduled at all.
DECIDING = frozenset(
    {
        "DynamicResources",
        "ImageLocality",
        "InterPodAffinity",
        "NodeAffinity",
        "NodeDeclaredFeatures",
        "NodePorts",
        "NodeResourcesBalancedAllocation",
        "NodeResourcesFit",
        "NodeUnschedulable",
        "NodeVolumeLimits",
        "PodTopologySpread",
        "SchedulingGates",
        "TaintToleration",
        "VolumeBinding",
        "VolumeRestrictions",
        "VolumeZone",
    }
)

#: Each of these has to decide in one case of so many for a campaign to mean something.
_ONE_IN = 50


@dataclass(slots=True)
class Tally:
    """What a campaign has come to so far."""

    seed: int
    cases: int = 0
    worlds: int = 0
    bound: int = 0
    refused: int = 0
    preemptions: int = 0
    events: int = 0
    woken: int = 0
    passing: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)

    def count(self, judged: Judged) -> bool:
        """Adds a case; returns whether it has a difference that no row explains."""
        if judged.refusal:
            self.refused += 1
            return False
        self.cases += 1
        self.bound += bool(judged.theirs.node)
        self.preemptions += bool(judged.theirs.victims)
        self.events += judged.case.incoming.event is not None and waits(judged.theirs)
        self.woken += bool(judged.theirs.woken)
        self.passing += bool(judged.passing)
        self.decided.update(deciders(judged.theirs) | deciders(judged.ours))
        left = unexplained(judged.case, judged.found)
        if left:
            self.different.append(judged.case.name)
        for difference in judged.found:
            row = explanation_of(judged.case, difference)
            if row is not None:
                self.explained[row.name] += 1
                break
        return bool(left)

    def to_data(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {
            "seed": self.seed,
            "cases": self.cases,
            "worlds": self.worlds,
            "bound": self.bound,
            "refused_by_the_api_server": self.refused,
            "preemptions_with_victims": self.preemptions,
            "events_while_waiting": self.events,
            "events_that_woke": self.woken,
            "differences_that_passed": self.passing,
            "explained": dict(self.explained),
            "unexplained": self.different,
            "decided": dict(sorted(self.decided.items())),
        }

    def _decisions(self, plugin: str) -> str:
        count = self.decided[plugin]
        return f"{count:>10}" + (" (too few)" if count * _ONE_IN < self.cases else "")

    def table(self) -> str:
        """The figures for a reader."""
        plugins = sorted({*DECIDING, *self.decided})
        width = max(map(len, plugins))
        lines = [
            f"seed {self.seed}: {self.cases} cases on {self.worlds} cluster states",
            f"bound: {self.bound}; preemptions with victims: {self.preemptions}",
            f"events while a pod waited: {self.events}; that woke it: {self.woken}",
            f"unexplained differences: {len(self.different)}",
            f"differences that did not come again: {self.passing}",
            *(f"explained, {row.name}: {self.explained[row.name]}" for row in EXPLAINED),
            "",
            f"{'plugin':{width}}  decided in",
            *(f"{plugin:{width}}  {self._decisions(plugin)}" for plugin in plugins),
            "NodeName: a pod that names its node is not scheduled by anyone",
        ]
        return "\n".join(lines) + "\n"


async def run(
    *,
    seed: int,
    cases: int,
    themes: list[Theme],
    results: Path,
    first_world: int = 0,
    rigs: int = 1,
) -> Tally:
    """Judges so many cases, on so many rigs beside each other; returns what they came to."""
    tally, started = Tally(seed), time.monotonic()
    indices = itertools.count(first_world)

    async def judge_worlds() -> None:
        async with Rig.start() as rig:
            while tally.cases < cases:
                await _judge(rig, draw_world(seed, next(indices), themes), tally, results)
                pace = tally.cases / (time.monotonic() - started)
                _say(
                    f"\r{tally.cases}/{cases} cases, {len(tally.different)} unexplained"
                    f" differences, {pace:.1f} cases/s "
                )

    async with asyncio.TaskGroup() as group:
        for _ in range(rigs):
            group.create_task(judge_worlds())
    _say("\n")
    return tally


async def _judge(rig: Rig, world: World, tally: Tally, results: Path) -> None:
    tally.worlds += 1
    async for judged in rig.judge_world(world):
        if tally.count(judged):
            report(judged, results)


def report(judged: Judged, results: Path) -> None:
    """The difference is printed, and its case written for the shrinker."""
    path = results / "differences" / f"{judged.case.name.replace('/', '-')}.json"
    worlds.save(path, case_data(judged.case) | verdict_data(judged))
    lines = [str(difference) for difference in unexplained(judged.case, judged.found)]
    shown = lines if len(lines) < 6 else [*lines[:5], f"and {len(lines) - 5} more"]
    _say(f"\n{judged.case.name} ({path}):\n  " + "\n  ".join(shown) + "\n")


def case_data(case: Case) -> dict[str, Any]:
    """The case as JSON has it."""
    return {"case": case.name, "world": worlds.to_data(case.world)}


def verdict_data(judged: Judged) -> dict[str, Any]:
    """What both said, as JSON has it."""
    return {"theirs": judged.theirs.to_data(), "ours": judged.ours.to_data()}


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="ours and the real kube-scheduler, case by case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--first-world", type=int, default=0, help="begin at this cluster state")
    parser.add_argument("--theme", action="append", default=[], help="only this theme; repeatable")
    parser.add_argument("--without", action="append", default=[], help="not this theme")
    parser.add_argument("--rigs", type=int, default=1, help="control planes beside each other")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    themes = themes_named(options.theme, options.without)
    tally = asyncio.run(
        run(
            seed=options.seed,
            cases=options.cases,
            themes=themes,
            results=options.results,
            first_world=options.first_world,
            rigs=options.rigs,
        )
    )
    worlds.save(options.results / f"seed-{options.seed}.json", tally.to_data())
    sys.stdout.write(tally.table())
    return 1 if tally.different else 0


if __name__ == "__main__":
    sys.exit(main())
