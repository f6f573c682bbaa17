"""Which plugins there are, by name, wherever they come from.

Four sources: what comes with the scheduler; entry points of ``pyscheduler.plugins``, imported when
a profile names them; ``module:Class``, written in a profile in place of a name; and plain files
(`Registry.add_files`). Each may give a plugin class or the ``plugin("Name")`` object of a plugin
of plain functions.

A plugin has one name, its class's, in messages, metrics, ``pluginConfig`` and wherever a profile
mentions it again; ``module:Class`` only says where to find it (`Registry.name_of`). Two classes of
one name are refused, so that no message is ambiguous; in-tree names cannot be taken over.

This is the `PluginCatalogue` that the configuration is checked against, and where ``app.assembly``
gets the classes from.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.args import NoArgs
from pyscheduler.framework.functions import FunctionPlugin
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.interface import Plugin
from pyscheduler.runtime.load_errors import (
    LoadProblem,
    PluginLoadError,
    place_in_package,
    reason_of,
)
from pyscheduler.runtime.plugin_files import PluginFolders, files_of

ENTRY_POINT_GROUP = "pyscheduler.plugins"

PluginClass = type[Plugin[Any]]


@dataclass(frozen=True, slots=True)
class PluginSource:
    """Where a plugin comes from."""

    kind: Literal["in-tree", "package", "module", "file"]
    #: name and version of the package, ``module:Class``, or the file; in-tree: nothing
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


class Registry:
    """Plugin classes by name."""

    def __init__(
        self,
        in_tree: Mapping[str, PluginClass],
        default_plugins: Sequence[tuple[str, int]],
        *,
        installed: Iterable[EntryPoint] | None = None,
    ) -> None:
        self._classes = dict(in_tree)
        self._sources = dict.fromkeys(in_tree, PluginSource("in-tree"))
        self._default_plugins = tuple(default_plugins)
        #: not imported yet
        self._installed: dict[str, EntryPoint] = {}
        #: installed plugins whose name belongs to another
        self.shadowed: list[LoadProblem] = []
        for point in entry_points(group=ENTRY_POINT_GROUP) if installed is None else installed:
            self._install(point)
        self._by_reference: dict[str, str] = {}
        self._built: dict[FunctionPlugin, PluginClass] = {}
        self._folders = PluginFolders()

    def names(self) -> Sequence[str]:
        """Every name that a profile may use; nothing is imported for it."""
        return sorted({*self._classes, *self._installed})

    def default_plugins(self) -> Sequence[tuple[str, int]]:
        """The default multiPoint set: names and weights, in order."""
        return self._default_plugins

    def name_of(self, reference: str) -> str:
        """The plugin's own name: ``module:Class`` is imported for it, a name is returned as it is.

        Raises:
            PluginLoadError: it cannot be imported, or its name is another plugin's.
        """
        if ":" not in reference:
            return reference
        if reference not in self._by_reference:
            subject = LoadProblem("", reference, reference)
            loaded = self._imported(partial(_module_attribute, reference), subject)
            source = PluginSource("module", reference)
            self._by_reference[reference] = self._add(loaded, source, subject)
        return self._by_reference[reference]

    def add_files(self, path: Path) -> Collection[str]:
        """Makes the plugins of a file, or of all files of a folder, known; returns their names.

        Asked again for files it knows, it has nothing to do. What can be used is added even if
        something else cannot.

        Raises:
            PluginLoadError: what cannot be used, with file, line and reason for each.
        """
        names: list[str] = []
        problems: list[LoadProblem] = []
        for file in files_of(path):
            try:
                found = self._folders.load(file)
            except PluginLoadError as error:
                problems += error.problems
                continue
            for plugin in found:
                subject = LoadProblem("", plugin.plugin_class.name, str(file), plugin.place)
                try:
                    source = PluginSource("file", str(file))
                    names.append(self._add(plugin.plugin_class, source, subject))
                except PluginLoadError as error:
                    problems += error.problems
        if problems:
            raise PluginLoadError(*problems)
        return tuple(names)

    def args_model(self, name: str) -> type[BaseModel] | None:
        """The model of a plugin's arguments; None when it takes none."""
        model = self.get(name).args_model
        return None if model is NoArgs else model

    def points(self, name: str) -> Collection[str] | None:
        """Extension points a plugin implements, spelt as in a file; None for an unknown name.

        Raises:
            PluginLoadError: it cannot be imported.
        """
        if ":" not in name and name not in self._classes and name not in self._installed:
            return None
        return frozenset(point[0].lower() + point[1:] for point in self.get(name).points())

    def source(self, name: str) -> PluginSource:
        """Where the plugin of that name comes from; nothing is imported for it."""
        if name in self._sources:
            return self._sources[name]
        return PluginSource("package", _package(self._installed[name]))

    def get(self, name: str) -> PluginClass:
        """The class of that name.

        Raises:
            PluginLoadError: there is none, or importing it failed.
        """
        name = self.name_of(name)
        known = self._classes.get(name)
        if known is None:
            known = self._classes[name] = self._load_installed(name)
        return known

    def make(self, name: str, args: BaseModel, handle: Handle) -> Plugin[Any]:
        """The plugin of that name, ready to run.

        Raises:
            PluginLoadError: there is none, or it could not be made.
        """
        plugin_class = self.get(name)
        try:
            return plugin_class(args, handle)
        except PySchedulerError:
            raise
        except Exception as error:  # foreign code is being run
            problem = LoadProblem(
                f"cannot be made: {reason_of(error)}",
                plugin_class.name,
                str(self.source(plugin_class.name)),
                place_in_package(error),
            )
            raise PluginLoadError(problem) from error

    def _install(self, point: EntryPoint) -> None:
        if point.name in self._sources or point.name in self._installed:
            owner = _owner(self.source(point.name))
            problem = LoadProblem(f"the name is taken by {owner}", point.name, _origin(point))
            self.shadowed.append(problem)
        else:
            self._installed[point.name] = point

    def _load_installed(self, name: str) -> PluginClass:
        point = self._installed.get(name)
        if point is None:
            raise PluginLoadError(LoadProblem(f"no plugin is named {name!r}", name))
        subject = LoadProblem("", name, _origin(point))
        loaded = self._imported(point.load, subject)
        if loaded.name != name:
            reason = f"the class calls itself {loaded.name!r}"
            raise PluginLoadError(replace(subject, reason=reason))
        return loaded

    def _imported(self, load: Callable[[], object], subject: LoadProblem) -> PluginClass:
        try:
            loaded = load()
            if isinstance(loaded, FunctionPlugin):
                if loaded not in self._built:
                    self._built[loaded] = loaded.build()
                loaded = self._built[loaded]
        except (Exception, SystemExit) as error:  # foreign code is being imported
            place = place_in_package(error)
            raise PluginLoadError(replace(subject, reason=reason_of(error), place=place)) from error
        if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
            raise PluginLoadError(replace(subject, reason=f"is no plugin class but {loaded!r}"))
        return loaded

    def _add(self, loaded: PluginClass, source: PluginSource, subject: LoadProblem) -> str:
        """Makes a class known by its name, which it returns; nothing new if it is known."""
        name = loaded.name
        objection = None
        if not name or ":" in name:
            objection = f"a profile cannot say the name {name!r}"
        elif not loaded.points():
            objection = "no extension point: bases such as fwk.FilterPlugin say what it does"
        elif name in self._classes or name in self._installed:
            if self._known(name) is not loaded:
                objection = f"the name {name} is taken by {_owner(self.source(name))}"
        else:
            self._classes[name] = loaded
            self._sources[name] = source
        if objection is not None:
            raise PluginLoadError(replace(subject, reason=objection))
        return name

    def _known(self, name: str) -> PluginClass | None:
        try:
            return self.get(name)
        except PluginLoadError:  # somebody's all the same
            return None


def _module_attribute(reference: str) -> object:
    module, _, attribute = reference.partition(":")
    return attrgetter(attribute)(importlib.import_module(module))


def _owner(source: PluginSource) -> str:
    return "the in-tree plugin" if source.kind == "in-tree" else f"the one from {source}"


def _origin(point: EntryPoint) -> str:
    return f"{point.value} from {_package(point)}"


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
