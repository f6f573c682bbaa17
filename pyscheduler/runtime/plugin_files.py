"""Plugins in plain files: what a ConfigMap mounts, or what lies beside a configuration.

A folder counts for its ``*.py`` files; names that begin with ``.`` or ``_`` are passed over, which
leaves out what Kubernetes puts beside mounted files (``..data``, ``..2026_01_01_...``) and leaves
room for files that only help others. A file is run once, as a module of a package made for its
folder: whatever its name, it hides no installed module, and files of one folder reach one another
by ``from .other import name`` or ``from . import _shared``. An ``__init__.py`` is not run.

The plugins of a file are the `Plugin` classes and `plugin` objects it defines itself; what it
imports, and classes whose names begin with ``_`` (bases for others), do not count.

Called by: ``registry``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from pyscheduler.framework.functions import FunctionPlugin
from pyscheduler.framework.interface import Plugin, PluginDefinitionError
from pyscheduler.runtime.load_errors import (
    LoadProblem,
    Place,
    PluginLoadError,
    place_in,
    reason_of,
)

#: followed by the first number that is free, so that two registries never share modules
_PACKAGE = "pyscheduler_plugin_files_"


@dataclass(frozen=True, slots=True)
class FoundPlugin:
    """A plugin that a file defines."""

    plugin_class: type[Plugin[Any]]
    place: Place


class PluginFolders:
    """Runs plugin files, each once, with one package per folder."""

    def __init__(self) -> None:
        self._packages: dict[Path, str] = {}
        self._found: dict[Path, Sequence[FoundPlugin]] = {}

    def load(self, file: Path) -> Sequence[FoundPlugin]:
        """The plugins that ``file`` defines, in their order.

        Raises:
            PluginLoadError: it cannot be read or run, a plugin in it cannot work, or it has none.
        """
        if file not in self._found:
            self._found[file] = _plugins_of(self._run(file), file)
        return self._found[file]

    def _run(self, file: Path) -> ModuleType:
        name = f"{self._package(file.parent)}.{file.stem.replace('.', '_')}"
        known = sys.modules.get(name)
        if known is not None:  # a file before this one imported it
            if known.__file__ == str(file):
                return known
            raise _refused(file, f"{known.__file__} would be the same module: rename one of them")
        spec = spec_from_loader(name, SourceFileLoader(name, str(file)))
        assert spec is not None
        module = sys.modules[name] = module_from_spec(spec)
        try:
            SourceFileLoader(name, str(file)).exec_module(module)
        except (Exception, SystemExit) as error:  # foreign code is being run
            sys.modules.pop(name, None)
            raise PluginLoadError(_problem(file, error)) from error
        return module

    def _package(self, folder: Path) -> str:
        if folder not in self._packages:
            number = next(n for n in range(sys.maxsize) if f"{_PACKAGE}{n}" not in sys.modules)
            name = self._packages[folder] = f"{_PACKAGE}{number}"
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(folder)]
            sys.modules[name] = module_from_spec(spec)
        return self._packages[folder]


def files_of(path: Path) -> list[Path]:
    """The plugin files of a folder in the order of their names, or the one file that ``path`` is.

    Raises:
        PluginLoadError: there is none, or the folder cannot be read.
    """
    path = path.absolute()
    if path.is_dir():
        try:
            entries = sorted(path.iterdir())
        except OSError as error:
            raise _refused(path, reason_of(error)) from error
        found = [
            entry
            for entry in entries
            if entry.suffix == ".py" and entry.name[0] not in "._" and not entry.is_dir()
        ]
        if not found:
            raise _refused(path, "holds no plugin file (*.py)")
        return found
    if not path.exists():
        raise _refused(path, "there is no such file or folder")
    if path.suffix != ".py":
        raise _refused(path, "is no Python file (*.py)")
    return [path]


def _plugins_of(module: ModuleType, file: Path) -> Sequence[FoundPlugin]:
    lines = _lines_of_names(ast.parse(file.read_bytes()).body)
    found: dict[type[Plugin[Any]], FoundPlugin] = {}
    problems = []
    for attribute, value in vars(module).items():
        place = Place(str(file), lines.get(attribute))
        if isinstance(value, FunctionPlugin) and attribute in lines:
            try:
                value = value.build()
            except PluginDefinitionError as error:
                problems.append(LoadProblem(reason_of(error), value.name, str(file), place))
                continue
        elif not _is_plugin_class(value, module.__name__):
            continue
        found.setdefault(value, FoundPlugin(value, place))
    if problems:
        raise PluginLoadError(*problems)
    if not found:
        raise _refused(file, "defines no plugin: neither a Plugin class nor a plugin(...) object")
    return tuple(found.values())


def _is_plugin_class(value: object, module: str) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Plugin)
        and value.__module__ == module
        and not value.__name__.startswith("_")
    )


def _lines_of_names(body: Sequence[ast.stmt]) -> dict[str, int]:
    """The line at which each name that is no import is given its value at module level."""
    lines: dict[str, int] = {}
    for statement in _statements(body):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            lines[statement.name] = statement.lineno
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    lines[target.id] = statement.lineno
    return lines


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under ``if``, ``try`` and ``with`` included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            blocks = [statement.body, *(getattr(statement, b, []) for b in ("orelse", "finalbody"))]
            blocks += [handler.body for handler in getattr(statement, "handlers", [])]
            for block in blocks:
                yield from _statements(block)


def _problem(file: Path, error: BaseException) -> LoadProblem:
    reason = reason_of(error)
    place = place_in(error, is_ours=str(file).__eq__) or Place(str(file))
    deepest = place_in(error, is_ours=lambda other: Path(other).parent == file.parent)
    if deepest is not None and deepest.file != str(file):
        reason += f", at {deepest}"
    return LoadProblem(reason, source=str(file), place=place)


def _refused(path: Path, reason: str) -> PluginLoadError:
    return PluginLoadError(LoadProblem(reason, source=str(path), place=Place(str(path))))
