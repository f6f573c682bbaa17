"""``pyscheduler demo`` as a process of its own, from its first line to its exit status."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "pyscheduler", "demo", "--nodes", "8", "--pods", "40"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join([*lines, "not said: ", text]))


def test_demo_places_says_why_and_wakes(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--directory", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    text = done.stdout
    assert "37 pods bound in" in text
    assert "default/giant\n    Unschedulable: 0/8 nodes are available: " in text
    assert "SchedulingGated: Scheduling is blocked due to non-empty scheduling gates" in text
    # In the order of the changes, each wakes whom it helps.
    woken = re.findall(r"-> default/(\S+) is bound to (\S+)  \((\d+) ms later\)", text)
    assert [name for name, _, _ in woken] == ["giant", "release", "ingress-4"]
    assert woken[0][1] == "node-large"
    assert woken[2][1].startswith("edge-")

    log = tmp_path / "scheduler.log"
    assert text.rstrip().endswith(f"The scheduler's log: {log}")
    assert log.read_text().count('"msg":"pod assigned"') == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_demo_ends_at_once_without_a_traceback(
    number: signal.Signals, tmp_path: Path
) -> None:
    with start("--pods", "20000", "--directory", str(tmp_path)) as process:
        read_until(process, "bound")
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert errors.strip() == ""


def test_serving_demo_tells_what_happens_and_ends_well(tmp_path: Path) -> None:
    with start("--serve", "--directory", str(tmp_path)) as process:
        read_until(process, "What happens from now on")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 0
    assert errors == ""
    kubeconfig = tmp_path / "kubeconfig"
    assert kubeconfig.stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--serve", "--port", str(port), "--directory", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == f"error: cannot listen on 127.0.0.1:{port}: address already in use\n"


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / "below"
    done = subprocess.run(
        [*COMMAND, "--directory", str(directory)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr == f"error: cannot make the directory {directory}: Not a directory\n"
