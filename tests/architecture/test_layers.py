"""The layers of `.importlinter` hold, and no package is left out of them."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "pyscheduler"

#: The command as a module, so that it is the one of this interpreter's environment.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as main; main()"

#: Packages that may know the outside world: everything else is the core.
OUTSIDE = frozenset({"app", "cli", "client", "controllers", "sim", "telemetry", "testing"})


@pytest.mark.timeout(60)
def test_every_contract_is_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-logo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_core_package_is_kept_from_doing_io() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(REPOSITORY / ".importlinter")
    held = contracts["importlinter:contract:core-does-no-io"]["source_modules"].split()
    core = {
        f"pyscheduler.{folder.name}"
        for folder in PACKAGE.iterdir()
        if (folder / "__init__.py").exists() and folder.name not in OUTSIDE
    }

    assert set(held) >= core
