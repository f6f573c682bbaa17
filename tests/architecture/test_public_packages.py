"""What plugin authors may rely on: the export lists of the public packages, and their docstrings.

`exports/<package>.txt` holds the names a package exports, sorted, one a line. A name added there is
a promise; a name taken away breaks somebody's plugin and belongs into CHANGELOG.md.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXPORTS = Path(__file__).parent / "exports"

#: The packages that plugins may import, as far as they exist.
PUBLIC = ("api", "framework", "preemption", "testing")

#: Modules of `api` that turn bytes into objects: the client's affair, no promise to authors.
INTERNAL = frozenset({"codec", "interner", "wire"})


def _public_packages() -> list[ModuleType]:
    return [
        importlib.import_module(f"pyscheduler.{name}")
        for name in PUBLIC
        if (REPOSITORY / "pyscheduler" / name / "__init__.py").exists()
    ]


packages = pytest.mark.parametrize(
    "package", _public_packages(), ids=lambda package: package.__name__
)


@packages
def test_exports_are_those_listed(package: ModuleType) -> None:
    listed = (EXPORTS / f"{package.__name__.rpartition('.')[2]}.txt").read_text().split()

    assert sorted(_exports(package)) == listed, "adapt the list if the API is meant to change"


@packages
def test_every_exported_class_and_function_has_a_docstring(package: ModuleType) -> None:
    bare = [
        name
        for name, exported in _exports(package).items()
        if (inspect.isclass(exported) or inspect.isfunction(exported)) and not exported.__doc__
    ]

    assert bare == []


def test_every_hook_has_a_docstring() -> None:
    interface = importlib.import_module("pyscheduler.framework.interface")
    bare = [
        f"{owner.__name__}.{name}"
        for owner in vars(interface).values()
        if inspect.isclass(owner) and owner.__module__ == interface.__name__
        for name, member in vars(owner).items()
        if inspect.isfunction(member) and not name.startswith("_") and not member.__doc__
    ]

    assert bare == []


def _exports(package: ModuleType) -> dict[str, object]:
    """Returns what a package offers, by name.

    That is what its `__all__` says, or else what its modules define: `module.name`.
    """
    if names := getattr(package, "__all__", None):
        return {name: getattr(package, name) for name in names}
    found: dict[str, object] = {}
    for path in sorted(Path(package.__path__[0]).glob("*.py")):
        if path.stem != "__init__" and path.stem not in INTERNAL:
            module = importlib.import_module(f"{package.__name__}.{path.stem}")
            for name in _defined(ast.parse(path.read_text())):
                found[f"{path.stem}.{name}"] = getattr(module, name)
    return found


def _defined(tree: ast.Module) -> list[str]:
    """Returns the public names that a module defines itself."""
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def _plugin_sources() -> list[Path]:
    return sorted((REPOSITORY / "plugins").glob("*/src/**/*.py"))


@pytest.mark.parametrize(
    "source", _plugin_sources(), ids=lambda path: str(path.relative_to(REPOSITORY / "plugins"))
)
def test_example_plugins_import_public_packages_only(source: Path) -> None:
    private = [
        name
        for name in _imported(ast.parse(source.read_text()))
        if name.split(".")[0] == "pyscheduler" and not _is_public(name)
    ]

    assert private == []


def _is_public(name: str) -> bool:
    return any(f"{name}.".startswith(f"pyscheduler.{public}.") for public in PUBLIC)


def _imported(tree: ast.Module) -> list[str]:
    """Returns the dotted names that a module imports, `from a import b` as `a.b`."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
