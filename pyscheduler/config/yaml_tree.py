"""YAML read strictly: one document, no key twice, and the line of every value remembered.

The usual loaders keep the last of two equal keys without a word and turn ``2024-01-01`` into a
date; a configuration wants neither. Values come out as JSON knows them (dict with text keys, list,
text, number, bool, None).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import yaml
from pydantic import JsonValue

#: From the root to a value: keys and list positions.
Path = tuple[str | int, ...]

_NULL: Final = "tag:yaml.org,2002:null"
_MERGE: Final = "tag:yaml.org,2002:merge"
_NUMBERS_AND_BOOLS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float")
)
#: What Go's reader takes for a number besides: PyYAML wants a dot and a sign in ``1e3``.
GO_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TEXTS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp", "value"))


class NotYaml(Exception):  # noqa: N818  # says what it is about
    """The text is not one YAML document; the message says why, with the line."""


@dataclass(frozen=True, slots=True)
class YamlFault:
    """Something in a document that we refuse; the rest can be read all the same."""

    path: Path
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class YamlTree:
    """A document and where its parts stand."""

    value: JsonValue
    lines: dict[Path, int]
    #: What is left out of `value` or, of equal keys, what is not the first.
    faults: list[YamlFault]

    def line(self, path: Path) -> int | None:
        """Return the line of the value at `path`, or of the nearest part around it."""
        while path not in self.lines:
            if not path:
                return None
            path = path[:-1]
        return self.lines[path]


def read_yaml(text: str) -> YamlTree:
    """Return the one document in `text`.

    Raises:
        NotYaml: it is no YAML, or not exactly one document.
    """
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise NotYaml(_syntax_problem(error)) from error
    except yaml.YAMLError as error:
        raise NotYaml(f"not valid YAML: {' '.join(str(error).split())}") from error
    if root is None:
        raise NotYaml("the file is empty")
    reader = _Reader()
    value = reader.convert(root, ())
    return YamlTree(value, reader.lines, reader.faults)


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = "" if mark is None else f" (line {mark.line + 1})"
    return f"not valid YAML: {error.problem or error.context}{where}"


class _Reader:
    """Turns nodes into values, gathering lines and faults on the way."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.faults: list[YamlFault] = []
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: set[int] = set()

    def convert(self, node: yaml.Node, path: Path) -> JsonValue:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._refuse("an alias refers to what contains it", node, path)
            return {}
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            assert isinstance(node, yaml.SequenceNode)
            return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, JsonValue]:
        values: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in values:
                first = self.lines[(*path, key)]
                self._refuse(f"given twice, first in line {first}", key_node, (*path, key))
                continue
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self.convert(value_node, (*path, key))
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                self._merge(value_node, path, values)
        return values

    def _merge(self, node: yaml.Node, path: Path, values: dict[str, JsonValue]) -> None:
        """Add the keys of a map, or of each map in a list, that are not there yet."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self._refuse('"<<" takes a map or a list of maps', source, path)
                continue
            merged = self.convert(source, path)
            assert isinstance(merged, dict) or merged is None
            for key, value in (merged or {}).items():
                values.setdefault(key, value)

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag in _TEXTS:
            return str(node.value)
        self._refuse("keys must be text", node, path)
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> JsonValue:
        if node.tag == _NULL:
            return None
        if node.tag in _TEXTS:
            is_number = not node.style and GO_FLOAT.fullmatch(node.value)
            return float(node.value) if is_number else str(node.value)
        if node.tag in _NUMBERS_AND_BOOLS:
            try:
                value: JsonValue = self._scalars.construct_object(node)
            except (ValueError, yaml.YAMLError):
                self._refuse(f'"{node.value}" is not a {node.tag.rpartition(":")[2]}', node, path)
                return None
            return value
        self._refuse(f"values of type {node.tag} are not supported", node, path)
        return None

    def _refuse(self, text: str, node: yaml.Node, path: Path) -> None:
        self.faults.append(YamlFault(path, text, node.start_mark.line + 1))
