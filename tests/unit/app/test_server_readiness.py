"""What /readyz says while something is missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pyscheduler.app.options import RunOptions
from pyscheduler.app.server import _Process
from pyscheduler.config.load import default_config
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry


async def test_readiness_names_all_that_has_not_been_listed() -> None:
    registry = Registry(IN_TREE, DEFAULT_PLUGINS, installed=())
    process = _Process(RunOptions(), default_config(registry), registry)
    watchdog: Any = SimpleNamespace(held_for=lambda: 0.0)
    check = process._endpoints(watchdog)._ready["sched-handler-sync"]
    missing = ["pods", "gangs.v1.example.com (for Gangs): not served by the cluster"]
    assembly: Any = SimpleNamespace(missing=lambda: missing)

    assert check() == "handlers are not fully synchronized"
    process._assembly = assembly
    assert check() == f"handlers are not fully synchronized: {'; '.join(missing)}"
    missing.clear()
    assert check() is None
