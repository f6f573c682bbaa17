"""What is wrong with a configuration, in words: field paths, plain messages, nearest names.

Pydantic finds the problems; here its findings become the lines a user reads:
``profiles[0].plugins.score.enabled[2].weight: expected an integer, got "high"``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pyscheduler.config.yaml_tree import Path

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][\w-]*")
#: Longest excerpt of a wrong value that a message quotes.
_QUOTE_LENGTH: Final = 60


class Problems:
    """Gathers problems and warnings, each at a path, in the order found; true if any problem."""

    def __init__(self, line_of: Callable[[Path], int | None] | None = None) -> None:
        self.texts: list[str] = []
        #: What the user should know although nothing is wrong.
        self.warnings: list[str] = []
        self._line_of = line_of

    def add(self, path: Path, text: str, *, line: int | None = None) -> None:
        """Note what is wrong at `path`, whose line is looked up unless given."""
        self.texts.append(self._placed(path, text, line))

    def warn(self, path: Path, text: str) -> None:
        """Note what the user should know about `path`."""
        self.warnings.append(self._placed(path, text, None))

    def add_all(self, error: ValidationError, model: type[BaseModel], *, at: Path = ()) -> None:
        """Note every finding of one validation, whose root stands at `at`."""
        for details in error.errors(include_url=False):
            path = details["loc"]
            if details["type"] != "extra_forbidden":
                path = _as_written(path, model)
            self.add((*at, *path), _message(details, model))

    def __bool__(self) -> bool:
        return bool(self.texts)

    def _placed(self, path: Path, text: str, line: int | None) -> str:
        if line is None and self._line_of is not None:
            line = self._line_of(path)
        where = f"{format_path(path)}: " if path else ""
        return f"{where}{text}{'' if line is None else f' (line {line})'}"


def format_path(path: Path) -> str:
    """Return the path as a field path: ``profiles[0].plugins.score``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "..."?`` for the nearest known name, or nothing if none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f'; did you mean "{by_lower[near[0]]}"?' if near else ""


def _as_written(path: Path, model: type[BaseModel]) -> Path:
    """Return the path with fields named as in the file; pydantic names defaults as in Python."""
    written: list[str | int] = []
    current: type[BaseModel] | None = model
    for part in path:
        written.append(part)
        if isinstance(part, str):
            name, field = _field(current, part)
            written[-1] = name
            current = _model_within(field)
    return tuple(written)


def _message(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        siblings = _fields_at(model, details["loc"][:-1])
        return f"unknown field{suggestion(str(details['loc'][-1]), siblings)}"
    if kind == "missing":
        return "required"
    if kind in _EXPECTED:
        expected = _EXPECTED[kind].format_map(context).replace("'", '"')
        return f"expected {expected}, got {_quote(given)}"
    if kind == "value_error":
        return str(context["error"])
    text = details["msg"]
    return f"{text[:1].lower()}{text[1:]}, got {_quote(given)}"


_EXPECTED: Final[Mapping[str, str]] = {
    "bool_type": "true or false",
    "dict_type": "a map of fields",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "a map of fields",
    "string_too_short": "text of at least {min_length} character(s)",
    "string_type": "text",
    "tuple_type": "a list",
}


def _quote(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _QUOTE_LENGTH else text[: _QUOTE_LENGTH - 3] + "..."


def _fields_at(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Return the names of the fields that the model at `path` below `model` has, as written."""
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, str):
            current = _model_within(_field(current, part)[1])
    if current is None:
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _field(model: type[BaseModel] | None, part: str) -> tuple[str, Any]:
    """Return a field's name in the file and its annotation; the part itself if there is none."""
    for name, info in ({} if model is None else model.model_fields).items():
        if part in (info.alias, name):
            return info.alias or name, info.annotation
    return part, None


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """Return the first model that an annotation such as ``tuple[M, ...] | None`` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model_within(part)
        if found is not None:
            return found
    return None
