"""Plugins from plain files and folders, such as a ConfigMap mounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.runtime.load_errors import PluginLoadError
from pyscheduler.runtime.registry import PluginSource, Registry
from tests.imported_modules import forgetting

HEADER = "from pyscheduler import framework as fwk\n"
CLASS = HEADER + (
    "class {0}(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):\n"
    "    def filter(self, state, pod, node):\n"
    "        return None\n"
)
FUNCTIONS = HEADER + "p = fwk.plugin('{0}')\n@p.score\ndef score(pod, node):\n    return 1\n"


class Known(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Comes with the scheduler."""

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None


@pytest.fixture
def registry() -> Registry:
    return Registry({"Known": Known}, (), installed=())


@pytest.fixture(autouse=True)
def _modules_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with forgetting(tmp_path):
        yield


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def problems(registry: Registry, path: Path) -> list[str]:
    with pytest.raises(PluginLoadError) as caught:
        registry.add_files(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_with_a_class(registry: Registry, tmp_path: Path) -> None:
    file = write(tmp_path, {"heat.py": CLASS.format("Heat")}) / "heat.py"

    assert registry.add_files(file) == ("Heat",)
    assert registry.points("Heat") == {"filter"}
    assert registry.names() == ["Heat", "Known"]
    assert registry.source("Heat") == PluginSource("file", str(file))


def test_a_file_may_have_several_of_both_kinds(registry: Registry, tmp_path: Path) -> None:
    text = CLASS.format("Heat") + "Same = Heat\n" + CLASS.format("_Base") + FUNCTIONS.format("F")
    write(tmp_path, {"many.py": text})

    assert registry.add_files(tmp_path) == ("Heat", "F")
    assert registry.points("F") == {"score"}


def test_what_a_file_imports_is_not_its_own(registry: Registry, tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.py": "from .b import Heat, p\n" + CLASS.format("Cold"),
            "b.py": CLASS.format("Heat") + FUNCTIONS.format("F"),
        },
    )

    assert registry.add_files(tmp_path / "a.py") == ("Cold",)
    assert registry.add_files(tmp_path) == ("Cold", "Heat", "F")


def test_files_that_share_something(registry: Registry, tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "_shared.py": "BASE = 7\nruns = []\n",
            "a.py": "from . import _shared\n_shared.runs.append(1)\n" + CLASS.format("A"),
            "b.py": "from ._shared import runs\nassert runs == [1]\n" + CLASS.format("B"),
        },
    )

    assert registry.add_files(tmp_path) == ("A", "B")


def test_a_mounted_config_map(registry: Registry, tmp_path: Path) -> None:
    stamp = write(
        tmp_path / "..2026_11_22_13_00_00.123",
        {"heat.py": CLASS.format("Heat"), "_shared.py": "", "notes.txt": "no Python"},
    )
    (tmp_path / "..data").symlink_to(stamp.name)
    for key in ("heat.py", "_shared.py", "notes.txt"):
        (tmp_path / key).symlink_to(f"..data/{key}")
    write(tmp_path / "__pycache__", {"heat.cpython-311.py": "x"})

    assert registry.add_files(tmp_path) == ("Heat",)


def test_names_that_are_no_python_names(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path, {"node-heat.py": CLASS.format("A"), "v1.2-heat.py": CLASS.format("B")})

    assert registry.add_files(tmp_path) == ("A", "B")


def test_a_file_hides_no_installed_module(registry: Registry, tmp_path: Path) -> None:
    text = "import json, numpy\nassert json.dumps and numpy.int64\n"
    write(tmp_path, {"json.py": CLASS.format("A"), "numpy.py": text + CLASS.format("B")})

    assert registry.add_files(tmp_path) == ("A", "B")


def test_known_files_are_not_run_again(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path, {"heat.py": CLASS.format("Heat")})
    registry.add_files(tmp_path)
    heat = registry.get("Heat")

    assert registry.add_files(tmp_path / "heat.py") == ("Heat",)
    assert registry.add_files(tmp_path / "." / "heat.py") == ("Heat",)
    assert registry.get("Heat") is heat


def test_two_registries_share_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"heat.py": CLASS.format("Heat")})
    first, second = (Registry({}, (), installed=()) for _ in range(2))

    assert first.add_files(tmp_path) == second.add_files(tmp_path)
    assert first.get("Heat") is not second.get("Heat")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x = 1\ndef :\n", ":2: SyntaxError: invalid syntax", id="syntax"),
        pytest.param(
            "\nimport absent\n", ":2: ModuleNotFoundError: No module named 'absent'", id="import"
        ),
        pytest.param(
            "def f():\n    return fkw\n\nf()\n",
            ":2: NameError: name 'fkw' is not defined",
            id="deepest line of its own",
        ),
        pytest.param(
            "import json\njson.loads('')\n",
            ":2: JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
            id="raised elsewhere",
        ),
        pytest.param("import sys\nsys.exit(2)\n", ":2: SystemExit: 2", id="exits"),
        pytest.param(
            "import math\n",
            ": defines no plugin: neither a Plugin class nor a plugin(...) object",
            id="no plugin",
        ),
        pytest.param(
            HEADER + "class Heat(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):\n"
            "    def filters(self): ...\n",
            ":2: PluginDefinitionError: plugin Heat defines 'filters', which is no hook;"
            " did you mean 'filter'?",
            id="near miss",
        ),
        pytest.param(
            HEADER + "\np = fwk.plugin('P')\n",
            ":3: plugin P: PluginDefinitionError: plugin P has neither @filter nor @score",
            id="no functions",
        ),
        pytest.param(
            HEADER + "class Heat(fwk.Plugin[fwk.NoArgs]):\n    pass\n",
            ":2: plugin Heat: no extension point: bases such as fwk.FilterPlugin say what it does",
            id="no point",
        ),
        pytest.param(
            CLASS.format("Known"),
            ":2: plugin Known: the name Known is taken by the in-tree plugin",
            id="in-tree name",
        ),
        pytest.param(
            CLASS.format("Heat") + "    name = 'a:b'\n",
            ":2: plugin a:b: a profile cannot say the name 'a:b'",
            id="name with a colon",
        ),
    ],
)
def test_a_broken_file_is_refused_with_line_and_reason(
    registry: Registry, tmp_path: Path, text: str, expected: str
) -> None:
    file = write(tmp_path, {"heat.py": text}) / "heat.py"

    assert problems(registry, tmp_path) == [f"{file}{expected}"]


def test_a_name_that_another_file_has(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CLASS.format("Heat"), "b.py": CLASS.format("Heat")})

    assert problems(registry, tmp_path) == [
        f"{tmp_path}/b.py:2: plugin Heat: the name Heat is taken by the one from {tmp_path}/a.py"
    ]


def test_all_that_is_wrong_is_said_and_the_rest_is_known(
    registry: Registry, tmp_path: Path
) -> None:
    write(
        tmp_path,
        {
            "_bad.py": "1 / 0\n",
            "a.py": "from . import _bad\n",
            "b.py": CLASS.format("B"),
            "c.py": "from .d import D\n",
            "d.py": "def D(:\n",
        },
    )

    assert problems(registry, tmp_path) == [
        f"{tmp_path}/a.py:1: ZeroDivisionError: division by zero, at {tmp_path}/_bad.py:1",
        f"{tmp_path}/c.py:1: SyntaxError: invalid syntax, at {tmp_path}/d.py:1",
        f"{tmp_path}/d.py:1: SyntaxError: invalid syntax",
    ]
    assert registry.names() == ["B", "Known"]


@pytest.mark.parametrize(
    ("files", "path", "reason"),
    [
        pytest.param({}, ".", "holds no plugin file (*.py)", id="empty folder"),
        pytest.param({"_x.py": ""}, ".", "holds no plugin file (*.py)", id="hidden only"),
        pytest.param({}, "heat.py", "there is no such file or folder", id="absent"),
        pytest.param({"heat.txt": ""}, "heat.txt", "is no Python file (*.py)", id="other file"),
    ],
)
def test_a_path_without_plugin_files(
    registry: Registry, tmp_path: Path, files: dict[str, str], path: str, reason: str
) -> None:
    write(tmp_path, files)

    assert problems(registry, tmp_path / path) == [f"{tmp_path / path}: {reason}"]


def test_a_folder_that_may_not_be_read(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)

    assert problems(registry, tmp_path) == [
        f"{tmp_path}: PermissionError: [Errno 13] Permission denied: '{tmp_path}'"
    ]


def test_a_link_that_leads_nowhere(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "heat.py").symlink_to("gone.py")

    (said,) = problems(registry, tmp_path)

    assert said.startswith(f"{tmp_path}/heat.py: FileNotFoundError")


def test_a_file_that_would_be_another_ones_module(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path, {"a.b.py": CLASS.format("A"), "a_b.py": CLASS.format("B")})

    assert problems(registry, tmp_path) == [
        f"{tmp_path}/a_b.py: {tmp_path}/a.b.py would be the same module: rename one of them"
    ]
