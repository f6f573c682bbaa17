"""What Maintenance decides, and what the scheduler relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyscheduler_maintenance import Maintenance, MaintenanceWindow
from pyscheduler_maintenance.plugin import UNDER_MAINTENANCE
from pyscheduler_maintenance.windows import WINDOWS, WindowSpec

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.testing import (
    FakeInformers,
    PluginHarness,
    fake_handle,
    make_node,
    make_pod,
    parametrize_with_checks,
)

POD = make_pod("p").obj()
RACK = "example.com/rack"
ROW = "example.com/row"


def _window(name: str, *, is_open: bool = True, **labels: str) -> MaintenanceWindow:
    selector = {f"example.com/{key}": value for key, value in labels.items()}
    return MaintenanceWindow(ObjectMeta(name=name), WindowSpec(selector, open=is_open))


def _node(name: str, rack: str, row: str = "a") -> Node:
    return make_node(name).label(RACK, rack).label(ROW, row).obj()


NODES = [_node("one", "7"), _node("two", "8"), _node("three", "7", "b"), make_node("bare").obj()]


def _informers(*windows: MaintenanceWindow) -> FakeInformers:
    informers = FakeInformers()
    for window in windows:
        informers.of(WINDOWS).put(window)
    return informers


@pytest.mark.parametrize(
    ("windows", "feasible"),
    [
        pytest.param([], ["one", "two", "three", "bare"], id="no windows"),
        pytest.param([_window("w", rack="7")], ["two", "bare"], id="one rack"),
        pytest.param([_window("w", rack="7", row="b")], ["one", "two", "bare"], id="both labels"),
        pytest.param([_window("w", rack="7"), _window("v", rack="8")], ["bare"], id="two windows"),
        pytest.param(
            [_window("w", is_open=False, rack="7")], ["one", "two", "three", "bare"], id="planned"
        ),
        pytest.param([_window("w")], ["one", "two", "three", "bare"], id="selects nothing"),
        pytest.param([_window("w", rack="9")], ["one", "two", "three", "bare"], id="no such rack"),
    ],
)
def test_nodes_of_open_windows_are_rejected(
    windows: list[MaintenanceWindow], feasible: list[str]
) -> None:
    harness = PluginHarness(Maintenance, nodes=NODES, informers=_informers(*windows))

    assert harness.feasible(POD) == feasible
    assert {status for status in harness.filter(POD).values() if status is not None} <= {
        fwk.unresolvable(UNDER_MAINTENANCE)
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(_window("w", rack="7"), None, "QUEUE", id="deleted"),
        pytest.param(
            _window("w", rack="7"), _window("w", is_open=False, rack="7"), "QUEUE", id="closed"
        ),
        pytest.param(_window("w", rack="7"), _window("w", rack="8"), "QUEUE", id="moved on"),
        pytest.param(_window("w", rack="7"), _window("w", rack="7"), "SKIP", id="unchanged"),
        pytest.param(
            _window("w", is_open=False, rack="7"), _window("w", rack="7"), "SKIP", id="opened"
        ),
        pytest.param(_window("w", is_open=False, rack="7"), None, "SKIP", id="planned, deleted"),
    ],
)
def test_a_window_that_lets_go_of_nodes_wakes_pods(
    old: MaintenanceWindow, new: MaintenanceWindow | None, expected: str
) -> None:
    plugin = Maintenance(fwk.NoArgs(), fake_handle())

    assert plugin.after_window_change(POD, old, new) is fwk.QueueingHint[expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, _node("n", "8"), "QUEUE", id="joins"),
        pytest.param(None, _node("n", "7"), "SKIP", id="joins under maintenance"),
        pytest.param(_node("n", "7"), _node("n", "8"), "QUEUE", id="moves to another rack"),
        pytest.param(_node("n", "8"), _node("n", "9"), "SKIP", id="could be used before"),
    ],
)
def test_a_node_that_can_be_used_now_wakes_pods(old: Node | None, new: Node, expected: str) -> None:
    handle = fake_handle(informers=_informers(_window("w", rack="7")))
    plugin = Maintenance(fwk.NoArgs(), handle)

    assert plugin.after_node_change(POD, old, new) is fwk.QueueingHint[expected]


PLUGIN = Maintenance(
    fwk.NoArgs(), fake_handle(informers=_informers(_window("w", rack="7"), _window("v", row="b")))
)


@parametrize_with_checks(
    [PLUGIN], pods=[POD], nodes=NODES, objects={WINDOWS: [_window("w", rack="7"), _window("v")]}
)
def test_contract(check: Callable[[], None]) -> None:
    check()
