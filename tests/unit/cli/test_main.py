from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from pyscheduler import __version__
from pyscheduler.app.options import RunOptions
from pyscheduler.cli.main import run_cli
from pyscheduler.config.feature_gates import DEFAULT_GATES
from pyscheduler.errors import ConfigError, PySchedulerError
from pyscheduler.telemetry import logs


class Server:
    """Stands in for the composition root: notes the options, then does as told."""

    def __init__(self) -> None:
        self.options: RunOptions | None = None
        self.logging: tuple[str, object] | None = None
        self.fault: Exception | None = None
        self.status = 0

    def run(self, options: RunOptions) -> int:
        self.options = options
        if self.fault is not None:
            raise self.fault
        return self.status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    fake = Server()
    module = types.ModuleType("pyscheduler.app.server")
    module.run = fake.run  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "pyscheduler.app.server", module)

    def configure(level: str, **options: object) -> None:
        fake.logging = (level, options["format"])

    monkeypatch.setattr(logs, "configure", configure)
    return fake


def test_run_without_options(server: Server) -> None:
    assert run_cli(["run"]) == 0
    assert server.options == RunOptions()
    assert server.logging == ("info", None)


def test_run_passes_its_options_on(server: Server) -> None:
    arguments = (
        "run --config c.yaml --kubeconfig k --no-leader-elect --bind-address 127.0.0.1 --port 0 "
        "--log-level debug --log-format console"
    )
    assert run_cli(arguments.split()) == 0
    assert server.options == RunOptions(
        config_file=Path("c.yaml"),
        kubeconfig=Path("k"),
        leader_elect=False,
        bind_address="127.0.0.1",
        port=0,
    )
    assert server.logging == ("debug", "console")


def test_run_takes_a_scheduler_name(server: Server) -> None:
    assert run_cli(["run", "--scheduler-name", "mine"]) == 0
    assert server.options == RunOptions(scheduler_name="mine")


def test_run_takes_feature_gates(server: Server) -> None:
    both = ["--feature-gates", "SchedulerAsyncPreemption=true"]
    assert run_cli(["run", *both, "--feature-gates", "SchedulerPreQueueingHints=true"]) == 0
    gates = {**DEFAULT_GATES, "SchedulerPreQueueingHints": True}
    assert server.options == RunOptions(feature_gates=gates)


def test_status_of_the_server_is_the_status(server: Server) -> None:
    server.status = 3

    assert run_cli(["run"]) == 3


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(PySchedulerError("no"), "error: no\n", id="one line"),
        pytest.param(
            ConfigError("c.yaml", ["a: bad", "b: bad"]),
            "error: c.yaml: a: bad\nerror: c.yaml: b: bad\n",
            id="a line per problem",
        ),
    ],
)
def test_what_the_user_can_act_on_is_said_without_a_traceback(
    server: Server, capsys: pytest.CaptureFixture[str], fault: Exception, expected: str
) -> None:
    server.fault = fault

    assert run_cli(["run"]) == 1
    assert capsys.readouterr().err == expected


def test_a_bug_keeps_its_traceback(server: Server) -> None:
    server.fault = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        run_cli(["run"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            "run --config c --scheduler-name n", "cannot be given together", id="name and config"
        ),
        pytest.param("run --scheduler-name=", "must not be empty", id="empty name"),
        pytest.param("run --port 70000", "70000", id="port out of range"),
        pytest.param("run --log-level loud", "loud", id="level"),
        pytest.param("run --feature-gates No=true", "feature gate: No;", id="unknown gate"),
        pytest.param("run extra", "extra", id="unexpected argument"),
        pytest.param("walk", "walk", id="unknown command"),
    ],
)
def test_wrong_usage_is_explained(
    server: Server, capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    assert run_cli(arguments.split()) == 2
    assert expected in capsys.readouterr().err
    assert server.options is None


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--version"]) == 0
    assert capsys.readouterr().out == f"pyscheduler {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["completion", "--help"]])
def test_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run_cli(arguments) == 0
    assert "Usage: pyscheduler" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert run_cli(["completion", shell]) == 0
    assert "_PYSCHEDULER_COMPLETE" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pyscheduler.cli.main import run_cli; run_cli(['run', '--help']); "
        "sys.exit(bool({'numpy', 'aiohttp', 'pydantic', 'structlog', 'kubernetes'}"
        " & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_run_imports_only_what_schedules() -> None:
    code = (
        "import sys; import pyscheduler.app.server; "
        "print(*{'kubernetes', 'kopf', 'cel_expr_python', 'pyscheduler.client.auth_plugins',"
        " 'pyscheduler.controllers', 'pyscheduler.sim', 'pyscheduler.testing', 'multiprocessing'}"
        " & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8"
    )

    assert done.stdout.split() == []
