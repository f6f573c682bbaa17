from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from benchmarks.places.contestants import (
    OURS,
    Contestant,
    Setup,
    kube_scheduler_configuration,
    transport_of,
)
from benchmarks.places.place import Access
from benchmarks.selection import named
from tests.controlplane.process import Process

ACCESS = Access("https://127.0.0.1:6443", Path("/tmp/kubeconfig"))


def test_transport_is_read_from_the_start_of_the_log() -> None:
    log = 'noise\n{"msg":"starting","writes":"lean"}\n{"msg":"in sync"}\n'
    assert transport_of(log) == "lean"


def test_a_log_without_it_names_no_transport() -> None:
    assert transport_of("I1122 some other scheduler\n") == ""


@pytest.mark.parametrize(
    ("gates", "arguments"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"A": True, "B": False}, ["--feature-gates=A=true,B=false"], id="two"),
    ],
)
def test_feature_gates_become_one_argument(gates: dict[str, bool], arguments: list[str]) -> None:
    assert Setup(feature_gates=gates).gate_arguments == arguments


def test_files_of_plugins_stay_where_they_are_wherever_the_configuration_goes() -> None:
    setup = Setup.of(named("UserPluginPerNode/20Nodes"), OURS)
    assert setup.config is not None
    (profile,) = cast(Sequence[Mapping[str, Sequence[str]]], setup.config["profiles"])
    (path,) = map(Path, profile["pluginFiles"])
    assert path.is_absolute()
    assert path.is_file()


@pytest.mark.parametrize(
    ("metrics_port", "health_port", "asked"),
    [
        pytest.param(1, 0, [(1, "http")], id="by its metrics' port"),
        pytest.param(0, 2, [(2, "https")], id="by a port of its own"),
        pytest.param(0, 0, [], id="does not tell"),
    ],
)
async def test_a_contestant_is_asked_whether_it_is_ready_where_it_tells(
    metrics_port: int,
    health_port: int,
    asked: list[tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, str]] = []

    async def until_ready(_process: Process, port: int, *, scheme: str = "http") -> None:
        seen.append((port, scheme))

    monkeypatch.setattr("benchmarks.places.contestants.until_ready", until_ready)
    process = Process.start("none", ["true"], log_path=tmp_path / "log")
    contestant = Contestant(OURS, process, 0.0, metrics_port=metrics_port, health_port=health_port)
    await contestant.until_ready()
    await contestant.stop()
    assert seen == asked


def test_kube_scheduler_without_a_configuration_runs_the_default_profile() -> None:
    found = kube_scheduler_configuration(ACCESS, Setup())
    assert found["profiles"] == [{"schedulerName": "default-scheduler"}]


def test_a_workloads_configuration_keeps_the_limits_of_every_run() -> None:
    config = {
        "profiles": [{"schedulerName": "own"}],
        "leaderElection": {"leaderElect": True},
        "parallelism": 4,
    }
    found = kube_scheduler_configuration(ACCESS, Setup(config))
    assert found["profiles"] == [{"schedulerName": "own"}]
    assert found["parallelism"] == 4
    assert found["leaderElection"] == {"leaderElect": False}
    assert found["clientConnection"] == {
        "kubeconfig": "/tmp/kubeconfig",
        "qps": 5000,
        "burst": 5000,
    }
