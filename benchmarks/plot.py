"""Pods bound over time, a curve for each contestant. Needs the extra `bench`."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.places.contestants import OURS, RAW, RAW_WITH_EVENTS, THEIRS
from benchmarks.places.outcome import Outcome, curve

#: What to say where there is no matplotlib.
MISSING = "no plot: it needs matplotlib, which the extra `bench` brings: pip install -e '.[bench]'"

#: Legible to those who do not tell red from green, and in print.
_COLOURS = {OURS: "#0072b2", THEIRS: "#d55e00", RAW: "#bbbbbb", RAW_WITH_EVENTS: "#555555"}


def can_plot() -> bool:
    """Claims that the plotting library is there."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(outcomes: Mapping[str, Sequence[Outcome]], path: Path, *, title: str) -> None:
    """The plot is in a file, whose suffix (.svg, .png) says its format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, runs in outcomes.items():
        for index, outcome in enumerate(runs):
            points = curve(outcome.bound_at_s)
            axes.plot(
                [at_s for at_s, _ in points],
                [bound for _, bound in points],
                color=_COLOURS.get(name, "black"),
                label=name if index == 0 else None,
                linewidth=1.6,
                alpha=0.85,
            )
    axes.set(title=title, xlabel="seconds from the first bind", ylabel="pods bound")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
