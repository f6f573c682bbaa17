from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.errors import PySchedulerError
from pyscheduler.runtime.registry import PluginLoadError, Registry
from pyscheduler.testing import fake_handle, snapshot_of


class Unready(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Cannot be made."""

    fault: Exception = KeyError("zones")

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        raise self.fault

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None


def test_a_plugin_that_cannot_be_made_is_named() -> None:
    registry = Registry({"Unready": Unready}, (), installed=())

    with pytest.raises(PluginLoadError, match="plugin Unready cannot be made: KeyError: 'zones'"):
        registry.make("Unready", fwk.NoArgs(), fake_handle(snapshot_of([])))


def test_what_a_plugin_says_about_its_configuration_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Unready, "fault", PySchedulerError("zones: none given"))
    registry = Registry({"Unready": Unready}, (), installed=())

    with pytest.raises(PySchedulerError, match=r"^zones: none given"):
        registry.make("Unready", fwk.NoArgs(), fake_handle(snapshot_of([])))
