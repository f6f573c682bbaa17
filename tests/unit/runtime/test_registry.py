"""Plugins by name, from entry points and from ``module:Class``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.errors import PySchedulerError
from pyscheduler.runtime.load_errors import PluginLoadError
from pyscheduler.runtime.registry import ENTRY_POINT_GROUP, PluginSource, Registry
from pyscheduler.testing import fake_handle, snapshot_of
from tests.imported_modules import forgetting

PLUGIN = """
from pyscheduler import framework as fwk

class {name}(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    def filter(self, state, pod, node):
        return None

Alias = {name}
functions = fwk.plugin("ByFunctions")

@functions.score
def score(pod, node):
    return 1
"""

WriteModule = Callable[[str, str], Path]


class Unready(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Cannot be made."""

    fault: Exception = KeyError("zones")

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        raise self.fault

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None


class Known(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Comes with the scheduler."""

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteModule]:
    """Makes a module that can be imported for the length of the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str) -> Path:
        file = tmp_path / f"{name}.py"
        file.write_text(source)
        return file

    with forgetting(tmp_path):
        yield write


def entry_point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, ENTRY_POINT_GROUP)


def registry(*installed: EntryPoint) -> Registry:
    return Registry({"Known": Known}, (), installed=installed)


def problem(load: Callable[[], object]) -> str:
    with pytest.raises(PluginLoadError) as caught:
        load()
    return str(caught.value)


def test_a_plugin_that_cannot_be_made_is_named_with_its_line() -> None:
    unready = Registry({"Unready": Unready}, (), installed=())
    handle = fake_handle(snapshot_of([]))

    said = problem(lambda: unready.make("Unready", fwk.NoArgs(), handle))

    line = Unready.__init__.__code__.co_firstlineno + 1
    assert said == (
        f"plugin Unready (in-tree): cannot be made: KeyError: 'zones', at {Path(__file__)}:{line}"
    )


def test_what_a_plugin_says_about_its_configuration_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Unready, "fault", PySchedulerError("zones: none given"))
    unready = Registry({"Unready": Unready}, (), installed=())

    with pytest.raises(PySchedulerError, match=r"^zones: none given"):
        unready.make("Unready", fwk.NoArgs(), fake_handle(snapshot_of([])))


def test_an_installed_plugin_is_imported_when_it_is_asked_for(write_module: WriteModule) -> None:
    write_module("heat_pkg", PLUGIN.format(name="Heat"))
    known = registry(entry_point("Heat", "heat_pkg:Heat"))

    assert known.names() == ["Heat", "Known"]
    assert "heat_pkg" not in sys.modules
    assert known.points("Heat") == {"filter"}
    assert known.points("Cold") is None


def test_a_reference_is_the_plugin_by_its_own_name(write_module: WriteModule) -> None:
    write_module("heat_mod", PLUGIN.format(name="Heat"))
    known = registry()

    assert known.points("heat_mod:Heat") == {"filter"}
    assert known.name_of("heat_mod:Heat") == "Heat"
    assert known.get("Heat") is known.get("heat_mod:Heat")
    assert known.args_model("heat_mod:Heat") is None
    assert known.source("Heat") == PluginSource("module", "heat_mod:Heat")
    assert "Heat" in known.names()


@pytest.mark.parametrize("other", ["heat_mod:Alias", "heat_mod:Heat"])
def test_all_spellings_are_one_plugin(write_module: WriteModule, other: str) -> None:
    write_module("heat_mod", PLUGIN.format(name="Heat"))
    known = registry(entry_point("Heat", "heat_mod:Heat"))

    assert known.name_of(other) == "Heat"
    assert known.get(other) is known.get("Heat")


def test_a_reference_to_plain_functions(write_module: WriteModule) -> None:
    write_module("heat_mod", PLUGIN.format(name="Heat"))
    known = registry(entry_point("ByFunctions", "heat_mod:functions"))

    assert known.points("heat_mod:functions") == {"score"}
    assert known.name_of("heat_mod:functions") == "ByFunctions"


def test_two_plugins_of_one_name_are_refused(write_module: WriteModule) -> None:
    write_module("heat_mod", PLUGIN.format(name="Heat"))
    write_module("other_mod", PLUGIN.format(name="Heat"))
    known = registry()
    known.name_of("heat_mod:Heat")

    assert problem(lambda: known.name_of("other_mod:Heat")) == (
        "plugin other_mod:Heat: the name Heat is taken by the one from heat_mod:Heat"
    )


def test_a_name_in_the_tree_cannot_be_taken_over(write_module: WriteModule) -> None:
    write_module("heat_mod", PLUGIN.format(name="Known"))
    known = registry(entry_point("Known", "heat_mod:Known"))

    assert known.get("Known") is Known
    (shadowed,) = known.shadowed
    assert str(shadowed) == (
        "plugin Known (heat_mod:Known from an unnamed package): "
        "the name is taken by the in-tree plugin"
    )
    assert problem(lambda: known.name_of("heat_mod:Known")) == (
        "plugin heat_mod:Known: the name Known is taken by the in-tree plugin"
    )


def test_a_name_whose_owner_is_broken_is_taken_all_the_same(write_module: WriteModule) -> None:
    write_module("heat_mod", PLUGIN.format(name="Heat"))
    known = registry(entry_point("Heat", "absent_mod:Heat"))

    assert "is taken by the one from an unnamed package" in problem(
        lambda: known.name_of("heat_mod:Heat")
    )


@pytest.mark.parametrize(
    ("source", "attribute", "reason"),
    [
        pytest.param("import absent_mod\n", "Heat", "'absent_mod', at {}:1", id="import"),
        pytest.param("x = 1\nraise OSError('no')\n", "Heat", "OSError: no, at {}:2", id="raises"),
        pytest.param("import sys\nsys.exit(3)\n", "Heat", "SystemExit: 3, at {}:2", id="exits"),
        pytest.param("x = 1\n\ndef :\n", "Heat", "Error: invalid syntax, at {}:3", id="syntax"),
        pytest.param("Heat = 3\n", "Heat", "is no plugin class but 3", id="no class"),
        pytest.param("\n", "Heat", "has no attribute 'Heat'", id="no attribute"),
        pytest.param(
            "from pyscheduler import framework as fwk\n"
            "class Heat(fwk.Plugin[fwk.NoArgs]):\n    pass\n",
            "Heat",
            "no extension point: bases such as fwk.FilterPlugin say what it does",
            id="no point",
        ),
        pytest.param(
            "from pyscheduler import framework as fwk\n"
            "class Heat(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):\n    pass\n",
            "Heat",
            "plugin Heat is a FilterPlugin and needs filter() or filter_nodes(), at {}:2",
            id="no form",
        ),
        pytest.param(
            "from pyscheduler import framework as fwk\nempty = fwk.plugin('Empty')\n",
            "empty",
            "plugin Empty has neither @filter nor @score",
            id="no functions",
        ),
    ],
)  # fmt: skip
def test_a_broken_module_is_refused_with_file_line_and_reason(
    write_module: WriteModule, source: str, attribute: str, reason: str
) -> None:
    file = write_module("broken_mod", source)

    said = problem(lambda: registry().points(f"broken_mod:{attribute}"))

    assert said.startswith(f"plugin broken_mod:{attribute}: ")
    assert said.endswith(reason.format(file))


def test_a_module_that_is_not_there(write_module: WriteModule) -> None:
    assert problem(lambda: registry().name_of("absent_mod:Heat")) == (
        "plugin absent_mod:Heat: ModuleNotFoundError: No module named 'absent_mod'"
    )


def test_an_entry_point_that_is_not_what_it_says(write_module: WriteModule) -> None:
    write_module("heat_mod", PLUGIN.format(name="Heat"))
    known = registry(entry_point("Cold", "heat_mod:Heat"))

    assert problem(lambda: known.get("Cold")) == (
        "plugin Cold (heat_mod:Heat from an unnamed package): the class calls itself 'Heat'"
    )
