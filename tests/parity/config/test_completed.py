"""Configurations as we complete or refuse them, against what kube-scheduler made of the same files.

The answers are recorded (`oracle`); what may differ is in one table (`differences`).
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyscheduler.config.completed import completed, completed_yaml
from pyscheduler.config.configuration import Configuration
from pyscheduler.config.load import load_config, parse_config
from pyscheduler.config.upstream_plugins import UPSTREAM_POINTS
from pyscheduler.errors import ConfigError
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from tests.parity.config import oracle
from tests.parity.config.differences import DIFFERENCES, Fields

INPUTS = oracle.input_names()
REFUSED = sorted(oracle.recorded_reasons())
REFUSED_HERE = frozenset[str]().union(*(row.refused_here for row in DIFFERENCES))
REFUSED_THERE = frozenset[str]().union(*(row.refused_there for row in DIFFERENCES))
ACCEPTED_BY_BOTH = [n for n in INPUTS if n not in REFUSED and n not in REFUSED_HERE]
#: In an input: how our complaint begins, with the field's path where it has one.
_REFUSED_AT = re.compile(r"^# refused at (.*)$", re.MULTILINE)

COMPATIBILITY = Path(__file__).parents[3] / "docs" / "compatibility.md"


def registry() -> Registry:
    return Registry(IN_TREE, DEFAULT_PLUGINS, installed=())


def load(name: str) -> Configuration:
    return load_config(oracle.INPUTS / f"{name}.yaml", registry())


def read(path: Path) -> Fields:
    fields: Fields = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return fields


def given(name: str) -> Fields:
    return read(oracle.INPUTS / f"{name}.yaml")


def theirs(name: str) -> Fields:
    return read(oracle.COMPLETED / f"{name}.yaml")


def expected(name: str) -> Fields:
    fields = theirs(name)
    for row in DIFFERENCES:
        if row.change is not None:
            row.change(given(name), fields)
    return fields


@pytest.mark.parametrize("name", ACCEPTED_BY_BOTH)
def test_completed_as_kube_scheduler_completes_it(name: str) -> None:
    assert completed(load(name)) == expected(name)


@pytest.mark.parametrize("name", sorted({*REFUSED, *REFUSED_HERE} - REFUSED_THERE))
def test_refused_where_kube_scheduler_refuses_with_the_field(name: str) -> None:
    path = oracle.INPUTS / f"{name}.yaml"
    begins = _REFUSED_AT.search(path.read_text())
    assert begins is not None, "a refused input says where: # refused at <field path>"

    with pytest.raises(ConfigError) as caught:
        load(name)

    assert caught.value.problems[0].startswith(f"{begins[1]}:")


@pytest.mark.parametrize("name", sorted(REFUSED_THERE))
def test_refused_by_kube_scheduler_alone(name: str) -> None:
    assert name in REFUSED
    load(name)


def test_text_is_that_of_kube_scheduler() -> None:
    ours = completed_yaml(load("all-differences-given"))

    assert ours == (oracle.COMPLETED / "all-differences-given.yaml").read_text()


@pytest.mark.parametrize("name", ACCEPTED_BY_BOTH)
def test_a_completed_configuration_reads_as_the_same(name: str) -> None:
    once = completed(load(name))

    assert completed(parse_config(json.dumps(once), registry(), source="completed")) == once


@pytest.mark.parametrize("row", [row for row in DIFFERENCES if row.change], ids=lambda r: r.what)
def test_every_difference_is_seen_in_some_input(row: Any) -> None:
    def changes(name: str) -> bool:
        before = theirs(name)
        after = copy.deepcopy(before)
        row.change(given(name), after)
        return before != after

    assert any(changes(name) for name in ACCEPTED_BY_BOTH)


@pytest.mark.parametrize(
    "field", sorted(field for row in DIFFERENCES for field in row.unused), ids=str
)
def test_a_field_without_effect_is_said_to_be(field: str) -> None:
    warnings = load("plain-fields").warnings

    assert any(text.startswith(f"{field}: has no effect here") for text in warnings)


def test_differences_are_documented_row_by_row() -> None:
    text = COMPATIBILITY.read_text()
    section = text.partition("\n## Configuration\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)

    assert first_cells[1:] == [row.what for row in DIFFERENCES]


def test_answers_are_there_for_every_input_and_no_other() -> None:
    kept = [path.stem for path in oracle.COMPLETED.glob("*.yaml")]

    assert sorted([*kept, *REFUSED]) == INPUTS


def test_points_of_upstream_plugins_are_those_of_the_binary() -> None:
    recorded = yaml.safe_load(oracle.POINTS.read_text())

    assert {name: set(points) for name, points in recorded.items()} == UPSTREAM_POINTS


def test_default_plugins_are_those_of_the_binary() -> None:
    (profile,) = theirs("header-alone")["profiles"]
    defaults = [(p["name"], p["weight"]) for p in profile["plugins"]["multiPoint"]["enabled"]]

    assert list(DEFAULT_PLUGINS) == defaults
