from __future__ import annotations

from typing import Final

import pytest

from pyscheduler.config.expand import WeightedPlugin, expanded, merged
from pyscheduler.config.models import DisabledPlugin, PluginRef, PluginSet

DEFAULTS: Final = (WeightedPlugin("A", 3), WeightedPlugin("B", 1), WeightedPlugin("C", 2))


def plugin_set(enabled: str = "", disabled: str = "") -> PluginSet:
    """Return a set from texts such as ``A:5 B``."""
    refs = []
    for entry in enabled.split():
        name, _, weight = entry.partition(":")
        refs.append(PluginRef(name=name, weight=int(weight or 0)))
    return PluginSet(
        enabled=tuple(refs), disabled=tuple(DisabledPlugin(name=n) for n in disabled.split())
    )


def text(plugins: tuple[WeightedPlugin, ...]) -> str:
    return " ".join(f"{plugin.name}:{plugin.weight}" for plugin in plugins)


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        pytest.param(plugin_set(), "A:3 B:1 C:2", id="nothing said"),
        pytest.param(plugin_set(disabled="B"), "A:3 C:2", id="one disabled"),
        pytest.param(plugin_set(disabled="*"), "", id="all disabled"),
        pytest.param(plugin_set("B:7"), "A:3 B:7 C:2", id="replaced in place"),
        pytest.param(plugin_set("A"), "A:0 B:1 C:2", id="weight not given"),
        pytest.param(plugin_set("X:5 Y"), "A:3 B:1 C:2 X:5 Y:0", id="appended"),
        pytest.param(plugin_set("A:4", "A"), "B:1 C:2 A:4", id="moved to the end"),
        pytest.param(plugin_set("C X", "*"), "C:0 X:0", id="only these"),
    ],
)
def test_merged_lays_the_custom_set_over_the_defaults(custom: PluginSet, expected: str) -> None:
    assert text(merged(DEFAULTS, custom)) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(plugin_set(), "A:3 B:1", id="those that implement it"),
        pytest.param(plugin_set(disabled="A"), "B:1", id="disabled here"),
        pytest.param(plugin_set(disabled="*"), "", id="all disabled here"),
        pytest.param(plugin_set("B:9"), "B:9 A:3", id="explicit ones first"),
        pytest.param(plugin_set("X B"), "B:1 A:3 X:1", id="others last"),
        pytest.param(plugin_set("B:9 X", "*"), "B:9 X:1", id="only explicit ones"),
        pytest.param(plugin_set("B:9", "B"), "A:3 B:9", id="enabled beats disabled"),
        pytest.param(plugin_set("C"), "A:3 B:1", id="not implemented here"),
        pytest.param(plugin_set("A"), "A:1 B:1", id="weight 0 is 1"),
    ],
)
def test_expanded_orders_the_plugins_of_a_point(own: PluginSet, expected: str) -> None:
    result = expanded(own, multi_point=DEFAULTS, implements=lambda name: name in {"A", "B", "X"})

    assert text(result) == expected
