"""What there is to say about each plugin: the rows of ``pyscheduler plugins list``.

Every plugin is imported for it; one that cannot be is a row of its own with the reason. A
configuration is only looked through for the plugins it brings (``pluginFiles``) or names as
``module:Class``: whether it is right in all else is for ``pyscheduler config check`` to say.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from pyscheduler.config.yaml_tree import NotYaml, read_yaml
from pyscheduler.errors import ConfigError
from pyscheduler.framework.interface import EXTENSION_POINTS, Plugin, Role, SignPlugin
from pyscheduler.runtime.load_errors import LoadProblem, PluginLoadError
from pyscheduler.runtime.registry import Registry

_ROLES: tuple[type[Role], ...] = (*EXTENSION_POINTS, SignPlugin)
#: as a file spells them, in the order in which a pod meets them
_POINTS = [role.point[0].lower() + role.point[1:] for role in _ROLES]


class Status(StrEnum):
    """Whether a profile can use the plugin."""

    READY = "ready"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Argument:
    """One field of a plugin's arguments."""

    name: str
    type: str
    required: bool
    #: as it would be written in a file
    default: object = None

    def __str__(self) -> str:
        given = "required" if self.required else f"default {json.dumps(self.default)}"
        return f"{self.name}: {self.type}, {given}"


@dataclass(frozen=True, slots=True)
class Row:
    """One plugin."""

    name: str
    status: Status
    points: tuple[str, ...]
    #: in-tree, package, module or file; "" for what could not be loaded
    source_kind: str
    #: "" for in-tree plugins
    source: str
    #: the arguments' ``kind``; "" without any
    args_kind: str
    args: tuple[Argument, ...]
    #: first line of the documentation, or why the plugin is broken
    docs: str


def list_rows(
    registry: Registry, problems: Iterable[LoadProblem]
) -> tuple[list[Row], list[LoadProblem]]:
    """A row for every plugin of the registry, in-tree ones first, and for every broken one.

    Args:
        registry: which plugins there are.
        problems: met so far.

    Returns:
        The rows, and all problems.
    """
    rows: list[Row] = []
    broken = [*registry.shadowed, *problems]
    for name in registry.names():
        try:
            rows.append(_row(registry, name))
        except PluginLoadError as error:
            broken += error.problems
    rows.sort(key=lambda row: (row.source_kind != "in-tree", row.name))
    return [*rows, *map(_broken_row, broken)], broken


def add_configured(registry: Registry, config_file: Path) -> list[LoadProblem]:
    """Makes what the configuration brings known; returns what cannot be loaded.

    Raises:
        ConfigError: the file cannot be read.
    """
    problems: list[LoadProblem] = []
    files, references = _plugins_in(_profiles(config_file))
    for file in files:
        try:
            registry.add_files(config_file.parent / file)
        except PluginLoadError as error:
            problems += error.problems
    for reference in references:
        try:
            registry.name_of(reference)
        except PluginLoadError as error:
            problems += error.problems
    return problems


def _row(registry: Registry, name: str) -> Row:
    plugin = registry.get(name)
    points = registry.points(name) or ()
    source = registry.source(name)
    model = registry.args_model(name)
    return Row(
        name=name,
        status=Status.READY,
        points=tuple(point for point in _POINTS if point in points),
        source_kind=source.kind,
        source=source.where,
        args_kind="" if model is None else f"{name}Args",
        args=() if model is None else tuple(_arguments(model)),
        docs=_first_line(plugin),
    )


def _broken_row(problem: LoadProblem) -> Row:
    where = problem.place if problem.place is not None else problem.source
    return Row(
        name=problem.plugin or Path(problem.source).name,
        status=Status.BROKEN,
        points=(),
        source_kind="",
        source=str(where),
        args_kind="",
        args=(),
        docs=problem.reason,
    )


def _first_line(plugin: type[Plugin[Any]]) -> str:
    # not inspect.getdoc: what a base says is not about this plugin
    return inspect.cleandoc(plugin.__doc__ or "").partition("\n")[0].replace("``", "")


def _arguments(model: type[BaseModel]) -> Iterator[Argument]:
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        default = None
        if not field.is_required():
            default = to_jsonable_python(field.get_default(call_default_factory=True))
        yield Argument(
            name=name,
            type=_type_text(schema["properties"][name], definitions),
            required=field.is_required(),
            default=default,
        )


def _type_text(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in a few words: ``integer``, ``list of string``, ``A | B``."""
    if "$ref" in schema:
        return _type_text(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            texts = [_type_text(option, definitions) for option in schema[union]]
            return " | ".join(dict.fromkeys(texts))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_text(schema.get('items', {}), definitions)}"
    return str(schema.get("type", "any"))


def _profiles(config_file: Path) -> list[dict[str, Any]]:
    try:
        tree = read_yaml(config_file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(str(config_file), [f"cannot be read: {reason}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(config_file), ["is not UTF-8 text"]) from error
    except NotYaml as error:
        raise ConfigError(str(config_file), [str(error)]) from error
    return [profile for profile in _items(_field(tree.value, "profiles")) if profile]


def _plugins_in(profiles: Iterable[object]) -> tuple[list[str], list[str]]:
    """The files and the ``module:Class`` references of profiles, each once."""
    files: dict[str, None] = {}
    references: dict[str, None] = {}
    for profile in profiles:
        files.update(dict.fromkeys(_texts(_field(profile, "pluginFiles"))))
        sets = _field(profile, "plugins")
        for plugin_set in sets.values() if isinstance(sets, dict) else ():
            names = [_field(entry, "name") for entry in _items(_field(plugin_set, "enabled"))]
            references.update(dict.fromkeys(name for name in _texts(names) if ":" in name))
    return list(files), list(references)


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [item for item in _items(value) if isinstance(item, str)]
