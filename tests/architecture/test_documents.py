"""The tables of the documents have a row for everything that the code has, and none for less.

Whether a row tells the truth is for other tests; these keep a new point, field, metric or option
from being forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from pyscheduler.cli.run import command
from pyscheduler.config import models
from pyscheduler.config.feature_gates import GATES
from pyscheduler.config.upstream_plugins import UPSTREAM_POINTS
from pyscheduler.framework.cluster_events import (
    ActionType,
    EventResource,
    action_label,
)
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.status import Code
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.telemetry.metrics import SchedulerMetrics

REPOSITORY = Path(__file__).resolve().parents[2]
COMPATIBILITY = (REPOSITORY / "docs" / "compatibility.md").read_text()
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()
ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text()
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()

STATES = ("done", "different", "not yet", "ours")


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    return re.split(rf"^## {re.escape(heading)}$", text, flags=re.MULTILINE)[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their headings."""
    lines = text.splitlines()
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for number, line in enumerate(lines)
        if line.startswith("|")
        and not line.startswith("|-")
        and not lines[min(number + 1, len(lines) - 1)].startswith("|-")
    ]


def words(text: str) -> set[str]:
    """Names as they stand in code marks, or plain in a list of names."""
    return set(re.findall(r"[\w./*-]+", text))


def first_cells(heading: str) -> set[str]:
    return {word for row in rows(section(COMPATIBILITY, heading)) for word in words(row[0])}


STATED = [
    "Plugins",
    "Extension points",
    "Status codes",
    "What hooks get and answer",
    "The handle",
    "Queue",
    "Cluster events",
    "Finding a node",
    "Preemption and nominated nodes",
    "What is written",
    "Command line",
    "Metrics",
    "Endpoints and process",
]


@pytest.mark.parametrize("heading", STATED)
def test_every_row_says_whether_it_is_there_and_what_differs(heading: str) -> None:
    found = rows(section(COMPATIBILITY, heading))

    assert found
    assert [row for row in found if row[1] not in STATES] == []
    assert [row[0] for row in found if row[1] == "different" and not row[2]] == []


def test_the_sections_of_compatibility_are_linked_at_its_top() -> None:
    top = COMPATIBILITY.split("\n## ")[0]
    linked = set(re.findall(r"\]\(#([\w-]+)\)", top))
    headings = re.findall(r"^## (.+)$", COMPATIBILITY, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert anchors - linked == {"two-schedulers-in-one-cluster"}
    assert linked <= anchors


def test_every_extension_point_of_the_configuration_has_a_row() -> None:
    missing = {*models.EXTENSION_POINTS, *models.UNSUPPORTED_POINTS} - first_cells(
        "Extension points"
    )

    assert missing == set()


def test_every_plugin_of_kube_scheduler_has_a_row_that_says_whether_it_is_there() -> None:
    state = {
        name: row[1] for row in rows(section(COMPATIBILITY, "Plugins")) for name in words(row[0])
    }

    assert {name for name, known in state.items() if known == "done"} == IN_TREE.keys()
    assert state.keys() == UPSTREAM_POINTS.keys()


def test_every_plugin_is_described_field_by_field() -> None:
    one_by_one = section(COMPATIBILITY, "Plugins, one by one")

    described = re.findall(r"^### (\w+)$", one_by_one, re.MULTILINE)
    assert described == sorted(IN_TREE)
    for name, text in zip(described, one_by_one.split("\n### ")[1:], strict=True):
        assert text.startswith(f"{name}\n\n| What | | Differences |\n|---|---|---|\n"), name


def test_every_status_code_has_a_row() -> None:
    assert first_cells("Status codes") == {code.label for code in Code}


def test_every_resource_and_action_of_events_has_a_row() -> None:
    actions = {action_label(bit) for bit in ActionType if bit.bit_count() == 1}

    assert {*map(str, EventResource), *actions} - first_cells("Cluster events") == set()


def test_every_part_of_the_handle_is_mentioned() -> None:
    mentioned = set(re.findall(r"`(\w+)`", section(COMPATIBILITY, "The handle")))

    assert {field.name for field in fields(Handle)} - mentioned == set()


def _fields(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or to_camel(name)


CONFIGURATION_MODELS = [
    models.KubeSchedulerConfiguration,
    models.Profile,
    models.PluginConfig,
    models.PluginSet,
    models.PluginRef,
    models.LeaderElection,
    models.ClientConnection,
    models.Extender,
    models.ExtenderTLSConfig,
    models.ManagedResource,
]


@pytest.mark.parametrize("model", CONFIGURATION_MODELS, ids=lambda model: model.__name__)
def test_every_field_of_the_configuration_has_a_row(model: type[BaseModel]) -> None:
    named = {name.partition("[")[0] for name in first_cells("Fields of the configuration")}
    named |= {name.rpartition(".")[2] for name in named}

    assert set(_fields(model)) - named == set()


@pytest.mark.parametrize(
    "plugin", sorted(name for name, p in IN_TREE.items() if list(_fields(p.args_model)))
)
def test_every_argument_of_the_plugins_has_a_row(plugin: str) -> None:
    table = {
        row[0]: words(row[1]) for row in rows(section(COMPATIBILITY, "Fields of the configuration"))
    }

    assert set(_fields(IN_TREE[plugin].args_model)) - table[plugin] == set()


def test_every_option_of_run_is_mentioned() -> None:
    options = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option != "--help"
    }
    mentioned = set(
        re.findall(
            r"--[\w-]+", "".join(row[2] for row in rows(section(COMPATIBILITY, "Command line")))
        )
    )

    assert options - mentioned == set()


def test_every_feature_gate_that_is_known_has_a_row() -> None:
    known = {
        (name, row[1], row[3] == "can be switched")
        for row in rows(section(COMPATIBILITY, "Feature gates"))
        for name in words(row[0])
        if name in GATES
    }

    assert known == {
        (name, str(gate.default).lower(), len(gate.values) == 2) for name, gate in GATES.items()
    }


def _metric_names() -> list[str]:
    return sorted(family.name for family in SchedulerMetrics().registry)


def test_every_metric_under_the_name_of_kube_scheduler_has_a_row() -> None:
    ours = {name.removeprefix("scheduler_") for name in _metric_names()}
    theirs = {name for name in ours if not name.startswith("pyscheduler_")}
    state = {
        name: row[1] for row in rows(section(COMPATIBILITY, "Metrics")) for name in words(row[0])
    }

    assert theirs - state.keys() == set()
    assert {name for name, known in state.items() if known == "done"} - ours == {"process_*"}


@pytest.mark.parametrize("name", _metric_names())
def test_every_metric_is_described_for_operators(name: str) -> None:
    assert name in set(re.findall(r"`(\w+)", section(OPERATIONS, "Metrics")))


def test_every_target_of_make_is_known_to_contributors() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*##", MAKEFILE, re.MULTILINE)

    assert [t for t in targets if t != "help" and f"make {t}" not in CONTRIBUTING] == []


def test_every_package_has_its_room() -> None:
    packages = {path.parent.name for path in (REPOSITORY / "pyscheduler").glob("*/__init__.py")}

    assert packages - words(section(ARCHITECTURE, "The rooms")) == set()


def test_every_module_that_the_architecture_names_is_there() -> None:
    """One without a folder is in that of the one named before it."""
    missing, folder = [], ""
    for cell in (cell for row in rows(ARCHITECTURE) for cell in row):
        for named in re.findall(r"`((?:[a-z_]+/)?[a-z_]+\.py|[a-z_]+/[a-z_]+)`", cell):
            if "/" in named:
                folder = named.partition("/")[0]
            path = REPOSITORY / "pyscheduler" / folder / named.rpartition("/")[2]
            if not path.with_suffix(".py").exists():
                missing.append(named)

    assert folder
    assert missing == []
