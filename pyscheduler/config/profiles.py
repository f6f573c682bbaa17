"""One profile resolved: its plugin sets checked and expanded, its arguments read.

The catalogue of plugins comes in as a protocol, so that this package needs to know no plugin and
imports none: plugins of others are loaded when a profile names them, by the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ValidationError

from pyscheduler.config.configuration import PluginCatalogue, ProfileConfiguration
from pyscheduler.config.expand import WeightedPlugin, expanded, merged
from pyscheduler.config.models import (
    API_VERSION,
    DEFAULT_SCHEDULER_NAME,
    EXTENSION_POINTS,
    UNNAMED,
    UNSUPPORTED_POINTS,
    PluginConfig,
    PluginSet,
    Profile,
)
from pyscheduler.config.problems import Problems, suggestion
from pyscheduler.config.yaml_tree import Path
from pyscheduler.errors import PySchedulerError

#: In-tree names of kube-scheduler 1.37. Those that nobody provides here are "not available yet"
#: rather than unknown, and disabling them is no mistake.
_UPSTREAM_NAMES: Final = frozenset(
    {
        *("DefaultBinder", "DefaultPreemption", "DynamicResources", "GangScheduling"),
        *("ImageLocality", "InterPodAffinity", "NodeAffinity", "NodeDeclaredFeatures", "NodeName"),
        *("NodePorts", "NodeResourcesBalancedAllocation", "NodeResourcesFit", "NodeUnschedulable"),
        *("NodeVolumeLimits", "PodGroupPodsCount", "PodTopologySpread", "PrioritySort"),
        *("SchedulingGates", "TaintToleration", "TopologyPlacementGenerator", "VolumeBinding"),
        *("VolumeRestrictions", "VolumeZone"),
    }
)
_MAX_INT64: Final = 2**63 - 1
_MAX_NODE_SCORE: Final = 100


class KnownPlugins:
    """A catalogue asked once per plugin, its failures kept as text."""

    def __init__(self, catalogue: PluginCatalogue) -> None:
        self._catalogue = catalogue
        self._names = tuple(catalogue.names())
        self._points: dict[str, Collection[str]] = {}
        self._faults: dict[str, str] = {}
        self.defaults: Sequence[WeightedPlugin] = tuple(
            WeightedPlugin(name, weight or 1) for name, weight in catalogue.default_plugins()
        )

    def fault(self, name: str) -> str | None:
        """Return why the plugin cannot be used, None when it can."""
        if name in self._points or name == UNNAMED:
            return None
        if name not in self._faults:
            try:
                points = self._lookup(name)
            except PySchedulerError as error:
                self._faults[name] = str(error)
            else:
                self._points[name] = points
                return None
        return self._faults[name]

    def implements(self, name: str, point: str) -> bool:
        """Return whether the plugin is there and has the extension point."""
        return self.fault(name) is None and point in self._points.get(name, ())

    def is_name(self, name: str) -> bool:
        """Return whether somebody provides a plugin of that name, here or upstream."""
        return name in self._names or name in _UPSTREAM_NAMES or ":" in name

    def nearest(self, name: str) -> str:
        """Return the text that suggests the nearest name, "" when none is near."""
        return suggestion(name, self._names)

    def args_model(self, name: str) -> type[BaseModel] | None:
        """Return the model of the plugin's arguments, None when it takes none or is not there."""
        if name == UNNAMED or self.fault(name) is not None:
            return None
        return self._catalogue.args_model(name)

    def _lookup(self, name: str) -> Collection[str]:
        points = None
        if name in self._names or ":" in name:
            points = self._catalogue.points(name)
        if points is not None:
            return points
        if name in _UPSTREAM_NAMES:
            raise PySchedulerError(f'plugin "{name}" is not available yet')
        raise PySchedulerError(f'nobody provides a plugin "{name}"{self.nearest(name)}')


def resolve_profile(
    profile: Profile,
    known: KnownPlugins,
    *,
    at: Path,
    problems: Problems,
    percentage_of_nodes_to_score: int,
) -> ProfileConfiguration:
    """Return the profile with every point's plugins and their arguments.

    What is wrong goes to `problems`; the result is then of no use.

    Args:
        profile: as written.
        known: the plugins there are.
        at: where the profile stands in the file.
        problems: takes what is wrong.
        percentage_of_nodes_to_score: the global value, for a profile without its own.
    """
    _check_sets(profile, known, at=at, problems=problems)
    multi_point = merged(known.defaults, profile.plugins.multi_point)
    plugins = {
        point: expanded(
            point, plugins=profile.plugins, multi_point=multi_point, implements=known.implements
        )
        for point in EXTENSION_POINTS
    }
    _check_result(plugins, at=at, problems=problems)
    own_percentage = profile.percentage_of_nodes_to_score
    running = dict.fromkeys(entry.name for entries in plugins.values() for entry in entries)
    args = _read_args(profile, known, running=running, at=at, problems=problems)
    return ProfileConfiguration(
        scheduler_name=profile.scheduler_name or DEFAULT_SCHEDULER_NAME,
        percentage_of_nodes_to_score=(
            percentage_of_nodes_to_score if own_percentage is None else own_percentage
        ),
        plugins=MappingProxyType(plugins),
        args=MappingProxyType(args),
    )


def check_queue_sort_agreement(
    profiles: Sequence[ProfileConfiguration], problems: Problems
) -> None:
    """Note profiles that sort the queue otherwise than the first: they share one queue."""
    for index, profile in enumerate(profiles[1:], start=1):
        if _queue_sort(profile) != _queue_sort(profiles[0]):
            problems.add(
                ("profiles", index, "plugins", "queueSort"),
                "all profiles share one queue and must use the same queueSort plugin "
                "with the same arguments",
            )


def _queue_sort(profile: ProfileConfiguration) -> list[tuple[str, BaseModel | None]]:
    return [(entry.name, profile.args.get(entry.name)) for entry in profile.at("queueSort")]


def _sets(profile: Profile) -> Iterator[tuple[str, PluginSet]]:
    for point in ("multiPoint", *EXTENSION_POINTS):
        yield point, profile.plugins.at(point)


def _check_sets(profile: Profile, known: KnownPlugins, *, at: Path, problems: Problems) -> None:
    """Note unknown, repeated and misplaced names in the sets as written."""
    for point in UNSUPPORTED_POINTS:
        if profile.plugins.at(point).enabled:
            problems.add(
                (*at, "plugins", point, "enabled"), f"{point} plugins are not supported yet"
            )
    for point, plugin_set in _sets(profile):
        path = (*at, "plugins", point)
        seen: set[str] = set()
        for index, enabled in enumerate(plugin_set.enabled):
            where = (*path, "enabled", index, "name")
            fault = known.fault(enabled.name)
            if fault is not None:
                problems.add(where, fault)
            elif enabled.name in seen:
                problems.add(where, f'plugin "{enabled.name}" is enabled twice in this set')
            elif (
                point != "multiPoint"
                and enabled.name != UNNAMED
                and not known.implements(enabled.name, point)
            ):
                problems.add(where, f'plugin "{enabled.name}" does not implement {point}')
            if enabled.name != UNNAMED:
                seen.add(enabled.name)
        for index, disabled in enumerate(plugin_set.disabled):
            if disabled.name not in {"*", UNNAMED} and not known.is_name(disabled.name):
                problems.add(
                    (*path, "disabled", index, "name"),
                    f'nobody provides a plugin "{disabled.name}"{known.nearest(disabled.name)}',
                )


def _check_result(
    plugins: dict[str, tuple[WeightedPlugin, ...]], *, at: Path, problems: Problems
) -> None:
    """Note what the expanded sets lack or have too much of."""
    path = (*at, "plugins")
    sorters = [entry.name for entry in plugins["queueSort"]]
    if len(sorters) != 1:
        got = ", ".join(sorters) or "none"
        problems.add((*path, "queueSort"), f"exactly one plugin must sort the queue, got {got}")
    if not plugins["bind"]:
        problems.add((*path, "bind"), "at least one plugin must bind")
    if sum(entry.weight for entry in plugins["score"]) * _MAX_NODE_SCORE > _MAX_INT64:
        problems.add((*path, "score"), "the sum of all weights is too large")


def _read_args(
    profile: Profile,
    known: KnownPlugins,
    *,
    running: Iterable[str],
    at: Path,
    problems: Problems,
) -> dict[str, BaseModel]:
    """Return the arguments of the plugins that take some, configured or default."""
    args: dict[str, BaseModel] = {}
    seen: set[str] = set()
    for index, entry in enumerate(profile.plugin_config):
        path = (*at, "pluginConfig", index)
        if entry.name == UNNAMED:
            continue
        fault = known.fault(entry.name)
        if fault is not None:
            problems.add((*path, "name"), fault)
        elif entry.name in seen:
            problems.add((*path, "name"), f'plugin "{entry.name}" is configured twice')
        else:
            found = _read_entry(entry, known.args_model(entry.name), at=path, problems=problems)
            if found is not None:
                args[entry.name] = found
        seen.add(entry.name)
    for name in running:
        model = known.args_model(name)
        if model is None or name in seen:
            continue
        try:
            args[name] = model()
        except ValidationError as error:
            needed = ", ".join(str(part["loc"][0]) for part in error.errors() if part["loc"])
            problems.add((*at, "pluginConfig"), f'plugin "{name}" needs arguments: {needed}')
    return args


def _read_entry(
    entry: PluginConfig, model: type[BaseModel] | None, *, at: Path, problems: Problems
) -> BaseModel | None:
    """Return one plugin's arguments, None when there are none or they are wrong."""
    given = dict(entry.args or {})
    for field, expected in (("apiVersion", API_VERSION), ("kind", f"{entry.name}Args")):
        stated = given.pop(field, expected)
        if stated != expected:
            problems.add((*at, "args", field), f'expected "{expected}", got {json.dumps(stated)}')
    if model is None:
        if given:
            problems.add((*at, "args"), f'plugin "{entry.name}" takes no arguments')
        return None
    try:
        # As JSON: there a strict model takes lists for tuples and text for enumerations.
        return model.model_validate_json(json.dumps(given), by_alias=True, by_name=False)
    except ValidationError as error:
        problems.add_all(error, model, at=(*at, "args"))
        return None
