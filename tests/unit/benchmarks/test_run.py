from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.places.contestants import OURS, THEIRS
from benchmarks.places.embedded import EMBEDDED
from benchmarks.places.real import REAL
from benchmarks.places.rounds import Rounds, order, pods_for, schedulers
from benchmarks.run import main
from benchmarks.selection import WORKLOADS, named, select


def test_schedulers_take_turns_in_coming_first() -> None:
    assert [order(index) for index in range(3)] == [(OURS, THEIRS), (THEIRS, OURS), (OURS, THEIRS)]


@pytest.mark.parametrize(
    ("workload", "place", "profile", "both"),
    [
        pytest.param("SchedulingBasic/5Nodes", REAL, None, True, id="side by side"),
        pytest.param("SchedulingBasic/5Nodes", EMBEDDED, None, False, id="embedded"),
        pytest.param("SchedulingBasic/5Nodes", REAL, Path("x.svg"), False, id="profiled"),
        pytest.param("UserPluginPerNode/20Nodes", REAL, None, False, id="of ours alone"),
    ],
)
def test_who_takes_part(workload: str, place: str, profile: Path | None, both: bool) -> None:
    rounds = Rounds(runs=1, progress=print, on_outcome=print, profile=profile)
    assert schedulers(named(workload), rounds, place, 1) == ((THEIRS, OURS) if both else (OURS,))


@pytest.mark.parametrize(
    ("seconds", "raw", "pods"),
    [
        pytest.param(10.0, 1000.0, 8500, id="as many as the promised share takes so long for"),
        pytest.param(60.0, 1000.0, 9000, id="no more than there are"),
        pytest.param(0.0, 1000.0, 1, id="at least one"),
    ],
)
def test_pods_for_a_time(seconds: float, raw: float, pods: int) -> None:
    assert pods_for(seconds, raw_pods_per_s=raw, most=9000) == pods


def test_workloads_are_selected_by_name_and_label() -> None:
    chosen = select([WORKLOADS], pattern="TopologySpreading", labels="figures").workloads
    assert [workload.name for workload in chosen] == [
        "TopologySpreading/1000Nodes",
        "PreferredTopologySpreading/1000Nodes",
    ]


def test_a_folder_stands_for_its_files_and_for_upstreams_below_it(tmp_path: Path) -> None:
    below = tmp_path / "misc" / "performance-config.yaml"
    below.parent.mkdir()
    for path, name in ((tmp_path / "own.yaml", "Own"), (below, "Upstream")):
        path.write_text(
            f"- name: {name}\n  workloadTemplate: [{{opcode: createNodes, count: 1}}]\n"
            "  workloads: [{name: One}]\n"
        )
    (below.parent / "template.yaml").write_text("no workload")
    chosen = select([tmp_path]).workloads
    assert sorted(workload.name for workload in chosen) == ["Own/One", "Upstream/One"]
    (alone,) = select([below.parent]).workloads
    assert alone.name == "Upstream/One"


def test_a_workload_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="No/Such"):
        named("No/Such")


def test_list_names_what_would_run_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--select", "SchedulingBasic/5Nodes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 workloads",
        "  SchedulingBasic/5Nodes  short",
        "0 left out",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--select", "("], id="no regular expression"),
        pytest.param(["--select", "NoSuchCase"], id="nothing selected"),
        pytest.param(["--file", "/no/such/file.yaml"], id="no file"),
        pytest.param(["--runs", "0"], id="no run"),
    ],
)
def test_what_cannot_be_understood_ends_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_without_the_plotting_library_a_plot_is_refused_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.run.can_plot", lambda: False)
    with pytest.raises(SystemExit):
        main(["--plot", str(Path("x.svg"))])
    assert "'.[bench]'" in capsys.readouterr().err
