"""Plugins of a file, a module and a package at work; a broken one stops the start with its line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyscheduler.app import server
from pyscheduler.cli.main import run_cli
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.cluster import embedded_cluster
from tests.imported_modules import forgetting

PLUGIN = """\
from pyscheduler import framework as fwk

class GrumpyArgs(fwk.Args):
    mood: str = "bad"

class Grumpy(fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[GrumpyArgs]):
    def filter(self, state, pod, node):
        if pod.labels.get("raise"):
            raise RuntimeError(self.args.mood)
        return fwk.unschedulable(f"node(s) were in a {self.args.mood} mood")

    def events_to_register(self):
        return []
"""
CONFIG = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {{leaderElect: false}}
profiles:
- schedulerName: pyscheduler
  pluginFiles: {files}
  plugins: {{multiPoint: {{enabled: [{{name: {name}}}]}}}}
  pluginConfig: [{{name: {configured}, args: {{mood: foul}}}}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that can be imported from, and no module of which outlives the test."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with forgetting(tmp_path):
        yield tmp_path


@pytest.mark.parametrize(
    ("is_file", "name", "configured"),
    [
        pytest.param(True, "Grumpy", "Grumpy", id="file"),
        pytest.param(False, "grumpy:Grumpy", "grumpy:Grumpy", id="module"),
        pytest.param(False, "grumpy:Grumpy", "Grumpy", id="module, configured by its own name"),
    ],
)
async def test_wherever_it_is_from_it_has_its_own_name(
    folder: Path, is_file: bool, name: str, configured: str
) -> None:
    file = folder / "grumpy.py"
    file.write_text(PLUGIN)
    files = f"[{file}]" if is_file else "[]"
    config = CONFIG.format(files=files, name=name, configured=configured)

    async with embedded_cluster(nodes=[make_node("n").obj()], config=config) as cluster:
        cluster.create(make_pod("p").obj(), make_pod("q").label("raise", "yes").obj())

        assert "1 node(s) were in a foul mood" in await cluster.until_rejected("p")
        said = await cluster.until_rejected("q")
        assert "Grumpy" in said
        assert "grumpy:" not in said


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        pytest.param(
            "[broken.py]",
            "Grumpy",
            "profiles[0].pluginFiles[0]: {folder}/broken.py:2: NameError: name 'fkw' is not",
            id="file",
        ),
        pytest.param(
            "[]",
            "broken:Grumpy",
            "enabled[0].name: plugin broken:Grumpy: NameError: name 'fkw' is not defined,"
            " at {folder}/broken.py:2",
            id="module",
        ),
        pytest.param(
            "[absent]",
            "Grumpy",
            "profiles[0].pluginFiles[0]: {folder}/absent: there is no such file or folder",
            id="no file",
        ),
    ],
)
def test_a_broken_one_stops_the_start(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    files: str,
    name: str,
    expected: str,
) -> None:
    (folder / "broken.py").write_text("x = 1\nclass Grumpy(fkw.Plugin): ...\n")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(files=files, name=name, configured=name))

    def not_reached(*_: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(server, "_Process", not_reached)

    assert run_cli(["run", "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {config}: ")
    assert expected.format(folder=folder) in error
