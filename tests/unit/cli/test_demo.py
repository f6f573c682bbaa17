from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pyscheduler.cli.demo_cluster import PodTally, Progress
from pyscheduler.cli.demo_display import Column, Display, PlainDisplay
from pyscheduler.cli.demo_rich import RichDisplay
from pyscheduler.cli.demo_serving import kubectl_commands
from pyscheduler.cli.demo_workload import KINDS, MIN_NODES, MIN_PODS, demo_nodes, demo_pods
from pyscheduler.cli.main import run_cli
from pyscheduler.clock import FakeClock
from pyscheduler.queueing.observing import QueueCounts
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import ObjectStore


def progress(elapsed_s: float, *, bound: int = 1200) -> Progress:
    queue = QueueCounts(7, 1, 2, 3, 1, 0)
    return Progress(elapsed_s, 2000, 1900, bound, 800, 1534.4, queue)


def pod(name: str, *, node: str = "", phase: str = "Pending") -> JsonObject:
    spec = {"nodeName": node} if node else {}
    metadata = {"namespace": "default", "name": name}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


# Workload


def test_workload_has_the_sizes_asked_for_and_every_kind() -> None:
    pods = list(demo_pods(MIN_PODS))

    assert len(pods) == MIN_PODS
    assert len(list(demo_nodes(MIN_NODES))) == MIN_NODES
    assert {p["metadata"]["labels"]["app"] for p in pods} == {kind.app for kind in KINDS}


# Tally


def test_tally_follows_a_pods_life() -> None:
    clock, store = FakeClock(), ObjectStore()
    tally = PodTally(clock)
    store.collection("pods").listen(tally.observe)

    store.put("pods", "default/a", pod("a"))
    store.put("pods", "default/a", pod("a", node="n"))
    assert (tally.submitted, tally.bound, tally.running) == (1, 1, 0)
    store.put("pods", "default/a", pod("a", node="n", phase="Running"))
    assert (tally.submitted, tally.bound, tally.running) == (1, 1, 1)
    store.delete("pods", "default/a")
    assert (tally.submitted, tally.bound, tally.running) == (0, 0, 0)


def test_rate_is_that_of_the_last_second_and_average_that_of_all() -> None:
    clock, store = FakeClock(), ObjectStore()
    tally = PodTally(clock)
    store.collection("pods").listen(tally.observe)
    assert tally.rate() == 0

    for second in range(3):
        for number in range(10 * (second + 1)):
            key = f"default/{second}-{number}"
            store.put("pods", key, pod(key))
            store.put("pods", key, pod(key, node="n"))
        clock.advance(1.0)
        assert tally.rate() == pytest.approx(10 * (second + 1))
    assert tally.took_s == 2.0
    assert tally.average() == pytest.approx(30)


# Plain lines


def test_plain_progress_is_a_line_a_second_at_most_and_one_at_the_end() -> None:
    out = io.StringIO()
    display = PlainDisplay(out)
    for tick in range(25):
        display.progress(progress(tick * 0.1))
    display.end_progress()
    display.end_progress()

    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("   0.0 s  bound 1,200 of 2,000  1,534 pods/s  ")
    assert lines[0].endswith("queue: active 7, backoff 1, unschedulable 2, gated 3")


def test_plain_table_is_aligned() -> None:
    out = io.StringIO()
    PlainDisplay(out).table(
        (Column("app"), Column("pods", is_number=True)), [["web", "5"], ["database", "12,345"]]
    )

    assert out.getvalue() == "  app         pods\n  web            5\n  database  12,345\n"


def test_a_command_stands_alone_on_its_line() -> None:
    out, terminal = io.StringIO(), io.StringIO()
    command = "kubectl create -f /a/rather/long/path/" + "x" * 90
    displays: list[Display] = [
        PlainDisplay(out),
        RichDisplay(Console(file=terminal, force_terminal=True, width=60)),
    ]
    for display in displays:
        display.command(command, purpose="to try")

    assert f"  {command}\n" in out.getvalue()
    assert f"  {command}\n" in terminal.getvalue()


# The terminal


def test_terminal_draws_progress_and_leaves_the_cursor_shown() -> None:
    terminal = io.StringIO()
    display = RichDisplay(
        Console(file=terminal, force_terminal=True, width=80, legacy_windows=False)
    )
    for tick in range(5):
        display.progress(progress(tick * 0.1, bound=1200 + tick))
    display.end_progress()
    display.end_progress()
    display.heading("Where the pods went")
    display.table((Column("app"), Column("pods", is_number=True)), [["web", "5"]])
    display.reason("default/giant", "0/3 nodes are available: 3 Insufficient memory.")

    drawn = terminal.getvalue()
    assert "1,204 of 2,000" in drawn
    assert "unschedulable" in drawn
    assert "3 Insufficient memory." in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


# The command line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--port 8080", "--port is for --serve"),
        (f"--nodes {MIN_NODES - 1}", "--nodes"),
        (f"--pods {MIN_PODS - 1}", "--pods"),
        ("--serve --port 70000", "--port"),
    ],
    ids=["port alone", "too few nodes", "too few pods", "no such port"],
)
def test_wrong_usage_is_explained(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["demo", *arguments.split()]) == 2
    assert said in capsys.readouterr().err


def test_commands_quote_a_path_with_spaces() -> None:
    commands = [offered.command for offered in kubectl_commands(Path("/tmp/my demo"))]

    assert "kubectl create -f '/tmp/my demo/pod.yaml'" in commands
