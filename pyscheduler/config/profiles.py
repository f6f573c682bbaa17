"""One profile resolved: its plugin sets checked and expanded, its arguments read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from pyscheduler.config.configuration import ProfileConfiguration
from pyscheduler.config.expand import WeightedPlugin, expanded, merged
from pyscheduler.config.known_plugins import KnownPlugins
from pyscheduler.config.models import (
    DEFAULT_SCHEDULER_NAME,
    EXTENSION_POINTS,
    UNNAMED,
    UNSUPPORTED_POINTS,
    PluginRef,
    PluginSet,
    Profile,
)
from pyscheduler.config.plugin_args import read_args
from pyscheduler.config.problems import Problems
from pyscheduler.config.yaml_tree import Path

_MAX_INT64: Final = 2**63 - 1
_MAX_NODE_SCORE: Final = 100


def resolve_profile(
    profile: Profile,
    known: KnownPlugins,
    *,
    at: Path,
    problems: Problems,
    percentage_of_nodes_to_score: int,
    plugin_files: tuple[FilePath, ...] = (),
) -> ProfileConfiguration:
    """Return the profile with every point's plugins and their arguments.

    What is wrong goes to `problems`; the result is then of no use.

    Args:
        profile: as written.
        known: the plugins there are, those of `plugin_files` among them.
        at: where the profile stands in the file.
        problems: takes what is wrong, and what the user should know.
        percentage_of_nodes_to_score: the global value, for a profile without its own.
        plugin_files: where the profile's `pluginFiles` are.
    """
    _check_sets(profile, known, at=at, problems=problems)
    own_sets = {point: _by_own_name(plugin_set, known) for point, plugin_set in _sets(profile)}
    multi_point = merged(known.defaults, own_sets["multiPoint"])
    plugins = {
        point: expanded(
            own_sets[point],
            multi_point=multi_point,
            implements=partial(known.implements, point=point),
        )
        for point in EXTENSION_POINTS
    }
    _check_result(plugins, at=at, problems=problems)
    enabled = dict.fromkeys(
        (*(plugin.name for plugin in multi_point), *_explicit_names(own_sets)),
    )
    args = read_args(profile, known, enabled=enabled, at=at, problems=problems)
    own_percentage = profile.percentage_of_nodes_to_score
    return ProfileConfiguration(
        scheduler_name=profile.scheduler_name or DEFAULT_SCHEDULER_NAME,
        percentage_of_nodes_to_score=(
            percentage_of_nodes_to_score if own_percentage is None else own_percentage
        ),
        plugins=MappingProxyType(plugins),
        args=MappingProxyType(args),
        multi_point=merged(known.defaults, profile.plugins.multi_point),
        plugin_files=plugin_files,
    )


def check_queue_sort_agreement(
    profiles: Sequence[Profile], resolved: Sequence[ProfileConfiguration], problems: Problems
) -> None:
    """Note profiles that sort the queue otherwise than the first: they share one queue.

    As upstream, sets that come to the same must also be written the same.
    """
    for index in range(1, len(resolved)):
        is_same_set = _written(profiles[index]) == _written(profiles[0])
        if not is_same_set or _queue_sort(resolved[index]) != _queue_sort(resolved[0]):
            problems.add(
                ("profiles", index, "plugins", "queueSort"),
                "all profiles share one queue and must have the same queueSort set, "
                "with the same arguments",
            )


def _written(profile: Profile) -> tuple[tuple[PluginRef, ...], tuple[str, ...]]:
    plugin_set = profile.plugins.queue_sort
    return plugin_set.enabled, tuple(plugin.name for plugin in plugin_set.disabled)


def _queue_sort(profile: ProfileConfiguration) -> list[tuple[str, BaseModel | None]]:
    return [(entry.name, profile.args.get(entry.name)) for entry in profile.at("queueSort")]


def _sets(profile: Profile) -> Iterator[tuple[str, PluginSet]]:
    for point in ("multiPoint", *EXTENSION_POINTS):
        yield point, profile.plugins.at(point)


def _by_own_name(plugin_set: PluginSet, known: KnownPlugins) -> PluginSet:
    """Return the set with what ``module:Class`` stands for in its place."""
    return plugin_set.model_copy(
        update={
            "enabled": tuple(
                plugin.model_copy(update={"name": known.name_of(plugin.name)})
                for plugin in plugin_set.enabled
            ),
            "disabled": tuple(
                plugin.model_copy(update={"name": known.name_of(plugin.name)})
                if ":" in plugin.name
                else plugin
                for plugin in plugin_set.disabled
            ),
        }
    )


def _explicit_names(sets: Mapping[str, PluginSet]) -> Iterator[str]:
    return (plugin.name for plugin_set in sets.values() for plugin in plugin_set.enabled)


def _check_sets(profile: Profile, known: KnownPlugins, *, at: Path, problems: Problems) -> None:
    """Note unknown, repeated and misplaced names in the sets as written."""
    for point in UNSUPPORTED_POINTS:
        if profile.plugins.at(point).enabled:
            problems.add(
                (*at, "plugins", point, "enabled"), f"{point} plugins are not supported yet"
            )
    for point, plugin_set in _sets(profile):
        path = (*at, "plugins", point)
        _check_enabled(point, plugin_set, known, at=(*path, "enabled"), problems=problems)
        for index, disabled in enumerate(plugin_set.disabled):
            if disabled.name not in {"*", UNNAMED} and not known.is_name(disabled.name):
                problems.warn(
                    (*path, "disabled", index, "name"),
                    f'has no effect: nobody provides a plugin "{disabled.name}"'
                    f"{known.nearest(disabled.name)}",
                )


def _check_enabled(
    point: str, plugin_set: PluginSet, known: KnownPlugins, *, at: Path, problems: Problems
) -> None:
    seen: set[str] = set()
    for index, enabled in enumerate(plugin_set.enabled):
        where = (*at, index, "name")
        fault = known.fault(enabled.name)
        name = known.name_of(enabled.name)
        if fault is not None:
            problems.add(where, fault)
        elif name in seen:
            problems.add(where, f'plugin "{name}" is enabled twice in this set')
        elif point == "multiPoint" or name == UNNAMED or known.implements(name, point):
            pass
        elif known.may_be_at(name, point):
            problems.warn(where, f'has no effect: "{name}" has nothing to do at {point} here')
        else:
            problems.add(where, f'plugin "{name}" does not implement {point}')
        is_scored = point in {"multiPoint", "score"} and known.implements(name, "score")
        if is_scored and enabled.weight < 0:
            problems.add((*at, index, "weight"), f"expected at least 0, got {enabled.weight}")
        if name != UNNAMED:
            seen.add(name)


def _check_result(
    plugins: Mapping[str, tuple[WeightedPlugin, ...]], *, at: Path, problems: Problems
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
