"""``pyscheduler plugins list``: every plugin, whence it comes, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.app import assembly
from pyscheduler.cli.main import run_cli
from pyscheduler.cli.plugins import aligned
from pyscheduler.runtime.registry import ENTRY_POINT_GROUP, Registry
from tests.imported_modules import forgetting


class Point(fwk.Args):
    at: int


class HeatArgs(fwk.Args):
    url: str
    max_celsius: int = Field(default=80, ge=-50)
    shape: tuple[Point, ...] = (Point(at=1),)
    mode: int | None = None


class Heat(fwk.ScorePlugin, fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[HeatArgs]):
    """Rejects nodes above ``maxCelsius``.

    And more.
    """

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 0

    def events_to_register(self) -> list[fwk.ClusterEventWithHint]:
        return []


class Bare(fwk.Plugin[fwk.NoArgs]): ...


FILE = """
from pyscheduler import framework as fwk
p = fwk.plugin("FromFile")
@p.score
def score(pod, node):
    return 1
"""


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """What the command lists: two in-tree plugins and a broken installed one."""
    broken = EntryPoint("Grumpy", "absent_mod:Grumpy", ENTRY_POINT_GROUP)
    return use(monkeypatch, broken)


def use(monkeypatch: pytest.MonkeyPatch, *installed: EntryPoint) -> Registry:
    known = Registry({"Bare": Bare, "Heat": Heat}, (), installed=installed)
    monkeypatch.setattr(assembly, "in_tree_registry", lambda: known)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return known


def listed(capsys: pytest.CaptureFixture[str], *options: str, status: int) -> str:
    assert run_cli(["plugins", "list", *options]) == status
    return capsys.readouterr().out


def test_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)

    assert listed(capsys, status=0).splitlines() == [
        "NAME   STATUS   POINTS         SOURCE    ARGS       DOCS",
        "Bare   ready    -              in-tree   -          -",
        "Heat   ready    filter,score   in-tree   HeatArgs   Rejects nodes above maxCelsius.",
    ]


def test_a_line_for_each_argument(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)

    lines = listed(capsys, "-o", "wide", status=0).splitlines()

    at = lines[0].index("ARGS")
    assert [line[at:] for line in lines] == [
        "ARGS",
        "-",
        "url: string, required",
        "maxCelsius: integer, default 80",
        'shape: list of object, default [{"at": 1}]',
        "mode: integer | null, default null",
    ]
    assert [line[:at].strip() for line in lines[3:6]] == ["", "", ""]


def test_a_broken_plugin_is_a_row_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["plugins", "list"]) == 1
    written = capsys.readouterr()

    reason = "ModuleNotFoundError: No module named 'absent_mod'"
    assert written.out.splitlines()[-1].split(maxsplit=2)[:2] == ["Grumpy", "broken"]
    assert reason in written.out
    origin = "absent_mod:Grumpy from an unnamed package"
    assert written.err == f"error: plugin Grumpy ({origin}): {reason}\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_everything_for_programs(capsys: pytest.CaptureFixture[str], form: str) -> None:
    out = listed(capsys, "-o", form, status=1)

    document: list[dict[str, Any]] = json.loads(out) if form == "json" else yaml.safe_load(out)
    bare, heat, grumpy = document
    assert heat == {
        "name": "Heat",
        "status": "ready",
        "points": ["filter", "score"],
        "source": {"kind": "in-tree", "where": None},
        "args": {
            "kind": "HeatArgs",
            "fields": [
                {"name": "url", "type": "string", "required": True, "default": None},
                {"name": "maxCelsius", "type": "integer", "required": False, "default": 80},
                {
                    "name": "shape",
                    "type": "list of object",
                    "required": False,
                    "default": [{"at": 1}],
                },
                {"name": "mode", "type": "integer | null", "required": False, "default": None},
            ],
        },
        "docs": "Rejects nodes above maxCelsius.",
    }
    assert (bare["status"], bare["points"], bare["args"]) == ("ready", [], None)
    assert grumpy["status"] == "broken"
    assert grumpy["reason"].startswith("ModuleNotFoundError")


def test_plugins_of_a_configuration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch)
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "good.py").write_text(FILE)
    (folder / "bad.py").write_text("1 / 0\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        "profiles:\n"
        "- pluginFiles: [plugins]\n"
        "  plugins: {filter: {enabled: [{name: absent_mod:Cold}, {name: Heat}]}}\n"
        "- nonsense\n"
        "- plugins: nonsense\n"
    )

    with forgetting(tmp_path):
        rows = json.loads(listed(capsys, "--config", str(config), "-o", "json", status=1))

    assert [(row["name"], row["status"], row["source"]["where"]) for row in rows] == [
        ("Bare", "ready", None),
        ("Heat", "ready", None),
        ("FromFile", "ready", f"{folder}/good.py"),
        ("bad.py", "broken", f"{folder}/bad.py:1"),
        ("absent_mod:Cold", "broken", "absent_mod:Cold"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "cannot be read: no such file or directory", id="absent"),
        pytest.param("a: [", "not valid YAML", id="no YAML"),
    ],
)
def test_a_configuration_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str | None, problem: str
) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_text(text)

    assert run_cli(["plugins", "list", "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {config}: ")
    assert problem in error


def test_a_narrow_terminal_cuts_the_widest_columns_first() -> None:
    table = [
        ("NAME", "STATUS", "POINTS", "DOCS"),
        ("x", "ready", "filter", "ten and ten words or so"),
    ]

    assert aligned(table, width=40) == [
        "NAME   STATUS   POINTS   DOCS",
        "x      ready    filter   ten and ten wo…",
    ]
    assert aligned(table, width=10)[1] == "x      ready    filter   ten and…"
    assert aligned(table)[1].endswith("words or so")


@pytest.mark.parametrize("arguments", [["plugins", "--help"], ["plugins", "list", "-h"]])
def test_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run_cli(arguments) == 0
    assert "Usage: pyscheduler plugins" in capsys.readouterr().out
