"""A configuration written out with every default filled in, as YAML that reads as the same again.

The layout is that of kube-scheduler's ``--write-config-to``: fields by name, ``multiPoint`` with
the default plugins in it, the sets of the other points as written, the arguments of every enabled
plugin. Used by ``pyscheduler config print``.

Source: kube-scheduler 1.37.1; `tests/parity/config` compares the two on many files.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, JsonValue

from pyscheduler.config.configuration import Configuration, ProfileConfiguration
from pyscheduler.config.models import (
    API_VERSION,
    EXTENSION_POINTS,
    KIND,
    UNSUPPORTED_POINTS,
    DisabledPlugin,
    Extender,
    Profile,
)
from pyscheduler.config.upstream_plugins import UPSTREAM_POINTS
from pyscheduler.config.yaml_writer import as_yaml

#: Lists that are written although they are empty, which says something else than nothing.
_WRITTEN_EMPTY = frozenset({"nodeSelectorTerms"})


def completed_yaml(configuration: Configuration) -> str:
    """Return the completed configuration as the text of a file."""
    return as_yaml(completed(configuration))


def completed(configuration: Configuration) -> dict[str, JsonValue]:
    """Return the completed configuration as the fields of a file."""
    source = configuration.source
    contention = source.enable_contention_profiling
    client = _fields(source.client_connection)
    # As Go's encoder has it: a number without a fraction is written without one.
    qps = source.client_connection.qps or 0
    client |= {"qps": int(qps) if qps == int(qps) else qps}
    client |= {"burst": source.client_connection.burst or 0}
    fields: dict[str, JsonValue] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "clientConnection": client,
        "enableContentionProfiling": (
            source.enable_profiling if contention is None else contention
        ),
        "enableProfiling": source.enable_profiling,
        "leaderElection": _fields(configuration.leader_election),
        "parallelism": source.parallelism,
        "percentageOfNodesToScore": source.percentage_of_nodes_to_score,
        "podInitialBackoffSeconds": source.pod_initial_backoff_seconds,
        "podMaxBackoffSeconds": source.pod_max_backoff_seconds,
        "profiles": [
            _profile(resolved, written)
            for resolved, written in zip(configuration.profiles, source.profiles, strict=True)
        ],
    }
    if configuration.extenders:
        fields["extenders"] = [_extender(extender) for extender in configuration.extenders]
    if source.delay_cache_until_active:
        fields["delayCacheUntilActive"] = True
    return fields


def _profile(resolved: ProfileConfiguration, written: Profile) -> dict[str, JsonValue]:
    plugins = {
        point: _set(
            ((plugin.name, plugin.weight) for plugin in written.plugins.at(point).enabled),
            written.plugins.at(point).disabled,
        )
        for point in (*EXTENSION_POINTS, *UNSUPPORTED_POINTS)
    }
    plugins["multiPoint"] = _set(
        ((plugin.name, plugin.weight) for plugin in resolved.multi_point),
        written.plugins.multi_point.disabled,
    )
    fields: dict[str, JsonValue] = {
        "schedulerName": resolved.scheduler_name,
        "plugins": {**plugins},
    }
    if resolved.args:
        fields["pluginConfig"] = [
            {"name": name, "args": _args(name, args)}
            for name, args in sorted(resolved.args.items())
        ]
    if written.percentage_of_nodes_to_score is not None:
        fields["percentageOfNodesToScore"] = written.percentage_of_nodes_to_score
    if resolved.plugin_files:
        fields["pluginFiles"] = [str(path) for path in resolved.plugin_files]
    return fields


def _set(
    enabled: Iterable[tuple[str, int]], disabled: Iterable[DisabledPlugin]
) -> dict[str, JsonValue]:
    lists: dict[str, list[JsonValue]] = {
        "enabled": [{"name": name, "weight": weight} for name, weight in enabled],
        "disabled": [{"name": plugin.name, "weight": 0} for plugin in disabled],
    }
    return {name: plugins for name, plugins in lists.items() if plugins}


def _args(name: str, args: BaseModel) -> dict[str, JsonValue]:
    fields = _fields(args)
    if name in UPSTREAM_POINTS:
        fields |= {"apiVersion": API_VERSION, "kind": f"{name}Args"}
    return fields


def _extender(extender: Extender) -> dict[str, JsonValue]:
    """Return the fields that are not at their zero, and the one that always stands there."""
    return {"urlPrefix": extender.url_prefix, **_without_zeroes(_fields(extender))}


def _without_zeroes(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    kept: dict[str, JsonValue] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            kept[name] = _without_zeroes(value)
        elif isinstance(value, list):
            kept[name] = [
                _without_zeroes(item) if isinstance(item, dict) else item for item in value
            ]
        elif value:
            kept[name] = value
    return kept


def _fields(model: BaseModel) -> dict[str, JsonValue]:
    dumped = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _without_empty_lists(dumped)


def _without_empty_lists(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        name: _cleaned(value)
        for name, value in fields.items()
        if value != [] or name in _WRITTEN_EMPTY
    }


def _cleaned(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _without_empty_lists(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
