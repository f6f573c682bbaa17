"""Which plugins there are, by name: in-tree classes, and entry points of ``pyscheduler.plugins``.

An entry point is imported only when a profile names it. It may refer to a plugin class or to the
``plugin("Name")`` object of a plugin of plain functions. This is the `PluginCatalogue` that the
configuration is checked against, and where `app.assembly` gets the classes from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel

from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.args import NoArgs
from pyscheduler.framework.functions import FunctionPlugin
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.interface import Plugin

ENTRY_POINT_GROUP = "pyscheduler.plugins"

PluginClass = type[Plugin[Any]]


class PluginLoadError(PySchedulerError):
    """A plugin that cannot be loaded: the message names it, where it is from, and why."""


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
        self._default_plugins = tuple(default_plugins)
        found = entry_points(group=ENTRY_POINT_GROUP) if installed is None else installed
        #: not imported yet; an in-tree name cannot be taken over
        self._installed = {point.name: point for point in found if point.name not in in_tree}

    def names(self) -> Sequence[str]:
        """Every name that a profile may use; nothing is imported for it."""
        return sorted({*self._classes, *self._installed})

    def default_plugins(self) -> Sequence[tuple[str, int]]:
        """The default multiPoint set: names and weights, in order."""
        return self._default_plugins

    def args_model(self, name: str) -> type[BaseModel] | None:
        """The model of a plugin's arguments; None when it takes none."""
        model = self.get(name).args_model
        return None if model is NoArgs else model

    def points(self, name: str) -> Collection[str] | None:
        """Extension points a plugin implements, spelt as in a file; None for an unknown name.

        Raises:
            PluginLoadError: it cannot be imported.
        """
        if name not in self._classes and name not in self._installed:
            return None
        return frozenset(point[0].lower() + point[1:] for point in self.get(name).points())

    def get(self, name: str) -> PluginClass:
        """The class of that name.

        Raises:
            PluginLoadError: there is none, or importing it failed.
        """
        known = self._classes.get(name)
        if known is None:
            known = self._classes[name] = self._load(name)
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
            raise PluginLoadError(
                f"plugin {name} cannot be made: {type(error).__name__}: {error}"
            ) from error

    def _load(self, name: str) -> PluginClass:
        point = self._installed.get(name)
        if point is None:
            raise PluginLoadError(f"no plugin is named {name!r}")
        origin = f"plugin {name} ({point.value}"
        origin += f" from {point.dist.name} {point.dist.version})" if point.dist else ")"
        try:
            loaded = point.load()
            if isinstance(loaded, FunctionPlugin):
                loaded = loaded.build()
        except Exception as error:  # foreign code is being imported
            raise PluginLoadError(f"{origin}: {type(error).__name__}: {error}") from error
        if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
            raise PluginLoadError(f"{origin}: is no plugin class but {loaded!r}")
        if loaded.name != name:
            raise PluginLoadError(f"{origin}: the class calls itself {loaded.name!r}")
        return loaded
