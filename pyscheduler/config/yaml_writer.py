"""YAML written to the letter as Go's encoder writes it, so that outputs can be compared as text."""

from __future__ import annotations

from typing import Final

import yaml
from pydantic import JsonValue

from pyscheduler.config.yaml_tree import GO_FLOAT

_STR: Final = "tag:yaml.org,2002:str"
#: What is quoted for its first letter, as other text is; the rest of what is no text on its own
#: (numbers, ``true``, nothing at all) gets double quotes.
_SPECIAL: Final = "tag:yaml.org,2002:yaml"


class _Dumper(yaml.CSafeDumper):
    """Quotes text as Go's encoder does."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # not in the stubs
    is_text = tag in {_STR, _SPECIAL} and not GO_FLOAT.fullmatch(text)
    return dumper.represent_scalar(_STR, text, style=None if is_text else '"')


_Dumper.add_representer(str, _text)


def as_yaml(fields: dict[str, JsonValue]) -> str:
    """Return the fields, sorted by name, as the text of a file."""
    return yaml.dump(fields, Dumper=_Dumper, default_flow_style=False, allow_unicode=True)
