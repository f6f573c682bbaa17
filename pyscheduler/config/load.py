"""A configuration file read, checked and resolved, or refused with everything that is wrong in it.

The flow: strict YAML, the models of the file, rules between fields, the plugin files of all
profiles, then each profile's plugins against the catalogue. A finding in one stage does not hide
those of the next: what the models refuse is taken out and the rest is checked all the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue, ValidationError

from pyscheduler.config.configuration import (
    Configuration,
    PluginCatalogue,
    ProfileConfiguration,
)
from pyscheduler.config.known_plugins import KnownPlugins
from pyscheduler.config.models import (
    API_VERSION,
    KIND,
    UNNAMED,
    KubeSchedulerConfiguration,
    Profile,
)
from pyscheduler.config.plugin_args import ignoring
from pyscheduler.config.problems import Problems
from pyscheduler.config.profiles import check_queue_sort_agreement, resolve_profile
from pyscheduler.config.validation import check_fields, note_warnings
from pyscheduler.config.yaml_tree import NotYaml, Path, read_yaml
from pyscheduler.errors import ConfigError, PySchedulerError

#: What stands in for a required field that is missing, so that the rest can be checked.
_STAND_INS: Final[dict[str, str]] = {"apiVersion": API_VERSION, "kind": KIND, "name": UNNAMED}
_HERE: Final = FilePath()
#: Each round takes out one level of what is wrong; the models are five levels deep.
_MAX_REPAIR_ROUNDS: Final = 8


def load_config(path: FilePath, registry: PluginCatalogue) -> Configuration:
    """Return the configuration in a file.

    Raises:
        ConfigError: it cannot be read or used; lists every problem with its field path.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            str(path), [f"cannot be read: {reason[:1].lower()}{reason[1:]}"]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), ["is not UTF-8 text"]) from error
    return parse_config(text, registry, source=str(path), folder=path.parent)


def parse_config(
    text: str, registry: PluginCatalogue, *, source: str, folder: FilePath = _HERE
) -> Configuration:
    """Return the configuration in a text.

    Args:
        text: the YAML.
        registry: the plugins there are; those of plugin files are added to it.
        source: the name of the text in messages.
        folder: what the paths of plugin files are relative to.

    Raises:
        ConfigError: it cannot be used; lists every problem with its field path.
    """
    try:
        tree = read_yaml(text)
    except NotYaml as error:
        raise ConfigError(source, [str(error)]) from error
    problems = Problems(tree.line)
    for fault in tree.faults:
        problems.add(fault.path, fault.text, line=fault.line)
    if not isinstance(tree.value, dict):
        raise ConfigError(source, [*problems.texts, f"expected a {KIND}, got no map of fields"])
    parsed = _read_models(_without_nulls(tree.value), problems)
    if parsed is not None:
        resolved = _resolve(parsed, registry, problems, folder=folder)
    if problems:
        raise ConfigError(source, problems.texts)
    assert parsed is not None
    return resolved


def default_config(
    registry: PluginCatalogue, *, scheduler_name: str | None = None
) -> Configuration:
    """Return the configuration used without a file: one profile with the default plugins.

    Raises:
        ConfigError: the defaults do not fit the plugins there are.
    """
    parsed = KubeSchedulerConfiguration.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "profiles": ({} if scheduler_name is None else {"schedulerName": scheduler_name},),
        }
    )
    problems = Problems()
    resolved = _resolve(parsed, registry, problems)
    if problems:
        raise ConfigError("default configuration", problems.texts)
    return resolved


def _resolve(
    config: KubeSchedulerConfiguration,
    registry: PluginCatalogue,
    problems: Problems,
    *,
    folder: FilePath = _HERE,
) -> Configuration:
    check_fields(config, problems)
    note_warnings(config, problems)
    # Of all profiles before any name is looked up: a file's plugins are there for every profile.
    files = [
        tuple(
            _add_plugin_files(
                profile, registry, at=("profiles", index), folder=folder, problems=problems
            )
        )
        for index, profile in enumerate(config.profiles)
    ]
    known = KnownPlugins(registry)
    profiles = tuple(
        resolve_profile(
            profile,
            known,
            at=("profiles", index),
            problems=problems,
            percentage_of_nodes_to_score=config.percentage_of_nodes_to_score,
            plugin_files=files[index],
        )
        for index, profile in enumerate(config.profiles)
    )
    if not problems:
        check_queue_sort_agreement(config.profiles, profiles, problems)
    return Configuration(
        profiles=_without_managed_resources(config, profiles, problems),
        leader_election=config.leader_election,
        client_connection=config.client_connection,
        pod_initial_backoff_s=float(config.pod_initial_backoff_seconds),
        pod_max_backoff_s=float(config.pod_max_backoff_seconds),
        source=config,
        extenders=config.extenders,
        warnings=tuple(problems.warnings),
    )


def _add_plugin_files(
    profile: Profile,
    registry: PluginCatalogue,
    *,
    at: Path,
    folder: FilePath,
    problems: Problems,
) -> Iterator[FilePath]:
    """Make the plugins of a profile's files known and yield where the files are."""
    for index, name in enumerate(profile.plugin_files):
        path = (folder / name).absolute()
        yield path
        try:
            registry.add_files(path)
        except PySchedulerError as error:
            for text in str(error).splitlines():
                problems.add((*at, "pluginFiles", index), text)


def _without_managed_resources(
    config: KubeSchedulerConfiguration,
    profiles: tuple[ProfileConfiguration, ...],
    problems: Problems,
) -> tuple[ProfileConfiguration, ...]:
    """Return the profiles, none of which counts what extenders want to count alone."""
    ignored = tuple(
        resource.name
        for extender in config.extenders
        for resource in extender.managed_resources
        if resource.ignored_by_scheduler
    )
    if not ignored:
        return profiles
    return tuple(
        dataclasses.replace(
            profile,
            args=MappingProxyType(
                ignoring(profile.args, ignored, at=("profiles", index), problems=problems)
            ),
        )
        for index, profile in enumerate(profiles)
    )


def _read_models(
    data: dict[str, JsonValue], problems: Problems
) -> KubeSchedulerConfiguration | None:
    """Return the models of a file, without what is wrong in it; None when nothing is left.

    The findings of the first round are what the user made; those of later rounds would only be
    echoes of what was taken out.
    """
    for round_number in range(_MAX_REPAIR_ROUNDS):
        try:
            # As JSON: there strict models take lists for tuples.
            return KubeSchedulerConfiguration.model_validate_json(json.dumps(data))
        except ValidationError as error:
            if round_number == 0:
                problems.add_all(error, KubeSchedulerConfiguration)
            for details in error.errors(include_url=False):
                _take_out(data, details["loc"], is_missing=details["type"] == "missing")
    return None


def _take_out(data: JsonValue, path: Path, *, is_missing: bool) -> None:
    """Remove the value at `path`, or put a stand-in where one is required.

    An element of a list is emptied, not removed: the paths of those behind it must stay true.
    """
    *parents, last = path
    for part in parents:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    if isinstance(data, list) and isinstance(last, int):
        data[last] = {}
    elif isinstance(data, dict) and isinstance(last, str):
        if is_missing:
            data[last] = _STAND_INS.get(last)
        else:
            data.pop(last, None)


def _without_nulls(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a copy without the fields that are null: those count as not given."""
    return {key: _cleaned(item) for key, item in value.items() if item is not None}


def _cleaned(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _without_nulls(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
