"""All that docs/plugins.md shows runs: its files, its tests, its configurations, its commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from pyscheduler import framework as fwk
from pyscheduler.app.options import RunOptions
from pyscheduler.cli.main import run_cli
from pyscheduler.config.load import load_config
from pyscheduler.framework.interface import EXTENSION_POINTS, Role
from pyscheduler.runtime.registry import ENTRY_POINT_GROUP
from pyscheduler.testing import check_plugin, make_node, make_pod
from pyscheduler.testing.checks import CHECKS
from pyscheduler.testing.profiles import registry_with
from tests.imported_modules import forgetting

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
TEXT = PAGE.read_text()
#: kind, and whether the first line is a comment with the name of a file
KINDS = {"python": True, "yaml": True, "toml": True, "sh": False}
_BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# (?P<name>\S+\.(?:py|yaml|toml))\n")

BLOCKS = [(found["kind"], found["text"]) for found in _BLOCK.finditer(TEXT)]


def _named() -> Iterator[tuple[str, str]]:
    for kind, text in BLOCKS:
        if KINDS[kind]:
            found = _NAME.match(text)
            assert found is not None, (
                f"a {kind} block begins with the name of its file: {text[:40]}"
            )
            yield found["name"], text


FILES = dict(_named())
PLUGIN_FILES = [name for name in FILES if name.endswith(".py") and not name.startswith("test_")]
CONFIGURATIONS = [
    name for name, text in FILES.items() if "kind: KubeSchedulerConfiguration" in text
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has who wrote down every file."""
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test is in that folder, and can import from it; modules are forgotten afterwards."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    with forgetting(folder):
        yield folder


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    assert {kind for kind, _ in BLOCKS} == set(KINDS)
    assert len(FILES) == sum(KINDS[kind] for kind, _ in BLOCKS), "two blocks have one name"


@pytest.mark.timeout(120)
def test_the_tests_of_the_page_pass(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > len(CHECKS)


@pytest.mark.parametrize("name", PLUGIN_FILES)
def test_the_plugins_of_the_page_keep_their_promises(name: str, here: Path) -> None:
    registry = registry_with()
    nodes = [
        make_node("node-1").label("rack", "1").annotation("example.com/celsius", "90").obj(),
        make_node("node-2").label("rack", "2").label("lifecycle", "spot").obj(),
        make_node("node-3").label("rack", "1").obj(),
    ]
    pods = [
        make_pod("plain").obj(),
        make_pod("db").label("tier", "db").label("pair", "x").obj(),
        make_pod("web").label("app", "web").label("pair", "y").obj(),
    ]
    existing = [make_pod("running").label("app", "web").node("node-1").obj()]
    window = {"metadata": {"name": "w"}, "spec": {"node": "node-1"}}
    windows = {"maintenancewindows.v1.example.com": [window]}

    names = registry.add_files(here / name)

    assert names
    for known in names:
        check_plugin(
            registry.get(known), pods=pods, nodes=nodes, existing=existing, objects=windows
        )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_configurations_load(name: str, here: Path) -> None:
    configuration = load_config(here / name, registry_with())

    assert configuration.warnings == ()
    (profile,) = configuration.profiles
    assert {"AvoidSpot", "NodeHeat"} & set(profile.plugin_names())


def test_the_config_map_is_a_folder_of_plugins(tmp_path: Path) -> None:
    config_map = yaml.safe_load(FILES["configmap.yaml"])
    stamp = tmp_path / "..2026_01_01_00_00_00.1"
    stamp.mkdir()
    (tmp_path / "..data").symlink_to(stamp.name)
    for name, text in config_map["data"].items():
        (stamp / name).write_text(text)
        (tmp_path / name).symlink_to(f"..data/{name}")

    assert registry_with().add_files(tmp_path) == ("InARack",)


def test_the_entry_point_leads_to_the_plugin(here: Path) -> None:
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    ((name, value),) = project["entry-points"][ENTRY_POINT_GROUP].items()

    found = EntryPoint(name, value, ENTRY_POINT_GROUP).load()

    assert issubclass(found, fwk.Plugin)
    assert found.name == name


def _commands() -> list[str]:
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("command", _commands())
def test_the_commands_do_what_is_said(
    command: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command == "python -m pytest":
        return  # test_the_tests_of_the_page_pass
    ran: list[RunOptions] = []
    server = types.ModuleType("pyscheduler.app.server")
    server.run = ran.append  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "pyscheduler.app.server", server)
    program, *arguments = command.split()

    assert program == "pyscheduler"
    assert run_cli(arguments) == 0
    out = capsys.readouterr().out
    if arguments[0] == "run":
        assert ran[0].config_file == Path("config.yaml")
    elif arguments[0] == "plugins":
        assert re.search(r"^AvoidSpot +ready +filter,score +\S+avoid_spot\.py ", out, re.MULTILINE)
        assert "Keeps databases off spot nodes." in out


def _first_cells(heading: str) -> list[str]:
    section = re.split(rf"^#+ {re.escape(heading)}$", TEXT, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [row.split("|")[1].strip() for row in rows if not row.startswith("|-")]


def test_the_table_of_checks_has_all_of_them() -> None:
    named = [cell.strip("`") for cell in _first_cells("The checks")]

    assert named == [check.__name__.removeprefix("check_") for check in CHECKS]


def test_the_table_of_points_has_all_of_them() -> None:
    roles: list[type[Role]] = [*EXTENSION_POINTS, fwk.EnqueueExtensions, fwk.SignPlugin]
    members = {name: member for role in roles for name, member in vars(role).items()}
    hooks = [name for name, m in members.items() if callable(m) and not name.startswith("_")]
    section = TEXT.partition("## Extension points\n")[2].partition("\n## ")[0]

    assert [cell for cell in _first_cells("Extension points") if cell] == [
        role.point or role.__name__ for role in roles
    ]
    assert [role.__name__ for role in roles if f"`{role.__name__}`" not in section] == []
    assert [hook for hook in hooks if f"{hook}(" not in section] == []


def test_the_table_of_the_handle_has_all_its_parts() -> None:
    named = set(re.findall(r"`\.(\w+)", " ".join(_first_cells("The handle"))))
    internal = {"rng", "preemption_observer", "extenders"}  # what preemption needs

    assert named == {field.name for field in fields(fwk.Handle)} - internal


def test_links_within_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(#([^)]+)\)", TEXT)
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", _BLOCK.sub("", TEXT), re.MULTILINE)
    }

    assert links
    assert [link for link in links if link not in anchors] == []
