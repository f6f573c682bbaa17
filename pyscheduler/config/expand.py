"""Plugin sets worked out: which plugins run at each extension point of a profile, in which order.

Two steps. `merged` lays a profile's own sets over the defaults, all of which live in
``multiPoint``. `expanded` then gives each point its list: explicit entries that override a
multiPoint plugin first, then the other multiPoint plugins that implement the point, then the other
explicit ones. Nothing is validated here; `pyscheduler.config.validation` has done that.

Source: kube-scheduler 1.37, apis/config/v1/default_plugins.go and framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pyscheduler.config.models import Plugins, PluginSet

#: Whether the plugin of that name implements the extension point of that name.
Implements = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class WeightedPlugin:
    """A plugin at one extension point; the weight counts for scoring and is at least 1."""

    name: str
    weight: int = 1


def merged(defaults: Sequence[WeightedPlugin], custom: PluginSet) -> tuple[WeightedPlugin, ...]:
    """Return the default plugins with the changes of a profile's multiPoint set applied.

    A custom entry with the name of a default takes its place and its weight; others follow in the
    order written.
    """
    disabled = {plugin.name for plugin in custom.disabled}
    enabled = {plugin.name: plugin for plugin in custom.enabled}
    kept = () if "*" in disabled else [p for p in defaults if p.name not in disabled]
    result = [
        WeightedPlugin(p.name, enabled.pop(p.name).weight) if p.name in enabled else p for p in kept
    ]
    result += [WeightedPlugin(plugin.name, plugin.weight) for plugin in enabled.values()]
    return tuple(WeightedPlugin(p.name, p.weight or 1) for p in result)


def expanded(
    point: str,
    *,
    plugins: Plugins,
    multi_point: Sequence[WeightedPlugin],
    implements: Implements,
) -> tuple[WeightedPlugin, ...]:
    """Return the plugins that run at one extension point, in order.

    Args:
        point: the extension point, spelt as in the file.
        plugins: the sets of the profile as written.
        multi_point: what `merged` made of its multiPoint set.
        implements: tells which plugins have the point.
    """
    own = plugins.at(point)
    disabled = {plugin.name for plugin in own.disabled}
    explicit = [WeightedPlugin(p.name, p.weight or 1) for p in own.enabled]
    general = _general(point, disabled=disabled, multi_point=multi_point, implements=implements)
    explicit_names = {plugin.name for plugin in explicit}
    general_names = {plugin.name for plugin in general}
    return (
        *(plugin for plugin in explicit if plugin.name in general_names),
        *(plugin for plugin in general if plugin.name not in explicit_names),
        *(plugin for plugin in explicit if plugin.name not in general_names),
    )


def _general(
    point: str,
    *,
    disabled: Collection[str],
    multi_point: Sequence[WeightedPlugin],
    implements: Implements,
) -> list[WeightedPlugin]:
    if "*" in disabled:
        return []
    return [p for p in multi_point if p.name not in disabled and implements(p.name, point)]
