"""Plugin sets worked out: which plugins run at each extension point of a profile, in which order.

Two steps. `merged` lays a profile's own sets over the defaults, all of which live in
``multiPoint``. `expanded` then gives each point its list: explicit entries that override a
multiPoint plugin first, then the other multiPoint plugins that implement the point, then the other
explicit ones. Nothing is validated here; `pyscheduler.config.profiles` has done that.

Source: kube-scheduler 1.37, apis/config/v1/default_plugins.go and framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyscheduler.config.models import PluginSet


@dataclass(frozen=True, slots=True)
class WeightedPlugin:
    """A plugin at one extension point; the weight counts for scoring."""

    name: str
    weight: int = 1


def merged(defaults: Sequence[WeightedPlugin], custom: PluginSet) -> tuple[WeightedPlugin, ...]:
    """Return the default plugins with the changes of a profile's multiPoint set applied.

    A custom entry with the name of a default takes its place and its weight; others follow in the
    order written. A weight that nobody gave is 0.
    """
    disabled = {plugin.name for plugin in custom.disabled}
    enabled = {plugin.name: plugin for plugin in custom.enabled}
    kept = () if "*" in disabled else [p for p in defaults if p.name not in disabled]
    result = [
        WeightedPlugin(p.name, enabled.pop(p.name).weight) if p.name in enabled else p for p in kept
    ]
    result += [WeightedPlugin(plugin.name, plugin.weight) for plugin in enabled.values()]
    return tuple(result)


def expanded(
    own: PluginSet,
    *,
    multi_point: Sequence[WeightedPlugin],
    implements: Callable[[str], bool],
) -> tuple[WeightedPlugin, ...]:
    """Return the plugins that run at one extension point, in order, with weights of at least 1.

    Args:
        own: the set of the point.
        multi_point: what `merged` made of the multiPoint set.
        implements: tells which plugins have the point.
    """
    disabled = {plugin.name for plugin in own.disabled}
    candidates = () if "*" in disabled else multi_point
    general = [p for p in candidates if p.name not in disabled and implements(p.name)]
    explicit = [WeightedPlugin(p.name, p.weight) for p in own.enabled if implements(p.name)]
    explicit_names = {plugin.name for plugin in explicit}
    general_names = {plugin.name for plugin in general}
    result = (
        *(plugin for plugin in explicit if plugin.name in general_names),
        *(plugin for plugin in general if plugin.name not in explicit_names),
        *(plugin for plugin in explicit if plugin.name not in general_names),
    )
    return tuple(WeightedPlugin(plugin.name, plugin.weight or 1) for plugin in result)
