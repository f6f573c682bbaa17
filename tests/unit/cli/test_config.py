from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml

from pyscheduler.cli.main import run_cli

HEADER: Final = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the folder that we are in, so that messages have its name alone."""
    monkeypatch.chdir(tmp_path)
    return Path("c.yaml")


def test_check_says_what_was_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        HEADER + "profiles:\n- schedulerName: a\n- schedulerName: b\n"
        "  plugins: {multiPoint: {disabled: [{name: '*'}], enabled: "
        "[{name: PrioritySort}, {name: DefaultBinder}]}}\n"
    )

    assert run_cli(["config", "check", "c.yaml"]) == 0

    out, err = capsys.readouterr()
    assert out.startswith("c.yaml: 2 profiles (a, b), ")
    assert out.endswith(" plugins, no warnings\n")
    assert err == ""


def test_check_warns_on_stderr(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        HEADER + "parallelism: 3\nextenders: [{urlPrefix: 'http://x', filterVerb: filter}]\n"
    )

    assert run_cli(["config", "check", "c.yaml"]) == 0

    out, err = capsys.readouterr()
    assert out.startswith("c.yaml: 1 profile (pyscheduler), ")
    assert out.endswith(" plugins, 1 extender, 1 warning\n")
    assert err == (
        "warning: c.yaml: parallelism: has no effect here: "
        "all nodes are judged at once on one core (line 3)\n"
    )


def test_check_has_one_line_for_each_problem(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(
        HEADER + "parallelism: many\nprofiles:\n- plugins: {bind: {enabled: [{name: NodeName}]}}\n"
        "  pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]\n"
    )

    assert run_cli(["config", "check", "c.yaml"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        'error: c.yaml: parallelism: expected an integer, got "many" (line 3)',
        (
            "error: c.yaml: profiles[0].plugins.bind.enabled[0].name: "
            'plugin "NodeName" does not implement bind (line 5)'
        ),
        (
            "error: c.yaml: profiles[0].pluginConfig[0].args.hardPodAffinityWeight: "
            "expected at most 100, got 101 (line 6)"
        ),
    ]


def test_check_of_a_broken_plugin_file_names_the_field(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(HEADER + "profiles: [{pluginFiles: [none.py]}]\n")

    assert run_cli(["config", "check", "c.yaml"]) == 1

    assert capsys.readouterr().err.startswith("error: c.yaml: profiles[0].pluginFiles[0]: ")


def test_print_without_a_file_has_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["config", "print"]) == 0

    out, err = capsys.readouterr()
    printed = yaml.safe_load(out)
    assert printed["profiles"][0]["schedulerName"] == "pyscheduler"
    assert printed["profiles"][0]["plugins"]["multiPoint"]["enabled"][0] == {
        "name": "SchedulingGates",
        "weight": 0,
    }
    assert err == ""


def test_what_is_printed_can_be_used_as_a_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(HEADER + "percentageOfNodesToScore: 7\nprofiles: [{schedulerName: a}]\n")
    assert run_cli(["config", "print", "c.yaml"]) == 0
    once = capsys.readouterr().out
    file.write_text(once)

    assert run_cli(["config", "print", "c.yaml"]) == 0

    assert capsys.readouterr().out == once
    assert yaml.safe_load(once)["percentageOfNodesToScore"] == 7


def test_print_of_a_wrong_file_prints_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(HEADER + "nonsense: 1\n")

    assert run_cli(["config", "print", "c.yaml"]) == 1

    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: c.yaml: nonsense: unknown field (line 3)\n")


@pytest.mark.parametrize("arguments", [["config", "check"], ["config", "print", "a", "b"]])
def test_wrong_usage_has_status_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(arguments) == 2

    assert "Usage: pyscheduler config" in capsys.readouterr().err
