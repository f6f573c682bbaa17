"""The examples of docs/configuration.md load, and the wrong one is refused in the words given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from pyscheduler.config.load import load_config
from pyscheduler.errors import ConfigError
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry

PAGE: Final = Path(__file__).parents[3] / "docs" / "configuration.md"
HEADER: Final = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
"""
_BLOCK: Final = re.compile(r"^```(?P<kind>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED: Final = re.compile(r"# (?P<path>\S+\.py)\n")


def blocks(kind: str) -> list[str]:
    found = [m["text"] for m in _BLOCK.finditer(PAGE.read_text()) if m["kind"] == kind]
    assert found, f"no {kind} block in {PAGE.name}"
    return found


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file beside the Python files of the page."""
    for block in blocks("python"):
        named = _NAMED.match(block)
        assert named is not None, "a Python block begins with the name of its file"
        path = tmp_path / named["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block)
    monkeypatch.chdir(tmp_path)
    return Path("config.yaml")


def registry() -> Registry:
    return Registry(IN_TREE, DEFAULT_PLUGINS, installed=())


@pytest.mark.parametrize("number", range(len(blocks("yaml"))))
def test_an_example_loads_without_a_warning(number: int, file: Path) -> None:
    text = blocks("yaml")[number]
    file.write_text(text if text.startswith("apiVersion:") else HEADER + text)

    assert load_config(file, registry()).warnings == ()


def test_the_wrong_example_is_refused_as_shown(file: Path) -> None:
    (wrong,) = blocks("yaml wrong")
    (shown,) = blocks("console")
    file.write_text(wrong)

    with pytest.raises(ConfigError) as caught:
        load_config(file, registry())

    assert [f"error: {line}" for line in str(caught.value).splitlines()] == shown.splitlines()


def test_every_field_of_a_table_is_a_field() -> None:
    from pyscheduler.config.models import Extender, Profile

    text = PAGE.read_text()
    for title, model in (("Profiles", Profile), ("Extenders", Extender)):
        section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        aliases = {info.alias for info in model.model_fields.values()}
        named = set(re.findall(r"`(\w+)", "".join(re.findall(r"^\| (`.*?) \|", section, re.M))))
        assert named == aliases
