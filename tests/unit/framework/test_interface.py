"""Plugin classes say at once what is wrong with them."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.interface import has_form
from pyscheduler.testing import PluginHarness, fake_handle, make_node, make_pod


class Args(fwk.Args):
    limit: int = 1


class Both(fwk.FilterPlugin, fwk.ScorePlugin, fwk.Plugin[Args]):
    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return self.args.limit


def test_name_arguments_and_points_come_from_the_class() -> None:
    assert Both.name == "Both"
    assert Both.args_model is Args
    assert Both.points() == {"Filter", "Score"}
    assert fwk.Plugin.points() == frozenset()


def test_a_subclass_keeps_the_arguments_and_takes_its_own_name() -> None:
    class Further(Both):
        pass

    class Renamed(Both):
        name = "Other"
        args_model = fwk.NoArgs

    assert (Further.name, Further.args_model) == ("Further", Args)
    assert (Renamed.name, Renamed.args_model) == ("Other", fwk.NoArgs)


def test_a_form_counts_when_the_plugin_defines_it() -> None:
    plugin = Both(Args(), fake_handle())

    assert has_form(plugin, fwk.FilterPlugin, "filter")
    assert not has_form(plugin, fwk.FilterPlugin, "filter_nodes")


def test_a_role_without_its_hook_is_refused() -> None:
    with pytest.raises(
        fwk.PluginDefinitionError,
        match=r"Lazy is a FilterPlugin and needs filter\(\) or filter_nodes\(\)",
    ):

        class Lazy(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
            pass


def test_a_misspelt_hook_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(fwk.PluginDefinitionError, match=r"'filters'.*did you mean 'filter'"):

        class Misspelt(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
            def filter(
                self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo
            ) -> fwk.Status | None:
                return None

            def filters(self) -> None:
                """Near enough to be a mistake."""


# --- plugins of plain functions ---

NODES = [make_node("spot").label("lifecycle", "spot").obj(), make_node("steady").obj()]


def _avoid_spot() -> fwk.FunctionPlugin:
    plugin = fwk.plugin("AvoidSpot")

    @plugin.filter(events=[fwk.NODE_ADDED, fwk.NODE_LABELS_CHANGED])
    def on_demand_only(pod: Pod, node: fwk.NodeInfo) -> str | None:
        """Keeps databases on steady nodes."""
        if pod.labels.get("tier") == "db" and node.labels.get("lifecycle") == "spot":
            return "node(s) were spot capacity"
        return None

    return plugin


def test_a_function_becomes_a_filter() -> None:
    harness = PluginHarness(_avoid_spot().build(), nodes=NODES)

    assert harness.plugin.name == "AvoidSpot"
    assert type(harness.plugin).__doc__ == "Keeps databases on steady nodes."
    assert harness.feasible(make_pod("web").obj()) == ["spot", "steady"]
    assert harness.filter(make_pod("db").label("tier", "db").obj()) == {
        "spot": fwk.unschedulable("node(s) were spot capacity"),
        "steady": None,
    }


def test_a_function_becomes_a_hint_for_all_its_events() -> None:
    plugin = _avoid_spot()

    @plugin.hint
    def never(pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        return fwk.QueueingHint.SKIP

    harness, pod = PluginHarness(plugin.build()), make_pod("p").obj()

    assert harness.hint(fwk.NODE_ADDED, pod, new=NODES[0]) is fwk.QueueingHint.SKIP
    assert PluginHarness(_avoid_spot().build()).hint(fwk.NODE_ADDED, pod) is fwk.QueueingHint.QUEUE


def test_a_function_becomes_a_score() -> None:
    plugin = fwk.plugin("Name")

    @plugin.score
    def length(pod: Pod, node: fwk.NodeInfo) -> int:
        return len(node.name)

    assert PluginHarness(plugin.build(), nodes=NODES).score(make_pod("p").obj()) == {
        "spot": 4,
        "steady": 6,
    }


def test_functions_are_given_once_and_at_least_one() -> None:
    plugin = _avoid_spot()

    with pytest.raises(fwk.PluginDefinitionError, match="two @filter"):
        plugin.filter(events=[])(lambda pod, node: None)
    with pytest.raises(fwk.PluginDefinitionError, match="neither @filter nor @score"):
        fwk.plugin("Empty").build()
