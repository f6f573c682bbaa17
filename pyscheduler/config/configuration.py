"""The configuration the scheduler runs with: everything resolved, nothing left to default.

Made by `pyscheduler.config.load`; read by the composition root, which builds profiles, client and
leader election from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from pyscheduler.config.expand import WeightedPlugin
from pyscheduler.config.models import (
    ClientConnection,
    Extender,
    KubeSchedulerConfiguration,
    LeaderElection,
)


class PluginCatalogue(Protocol):
    """What the configuration must know about the plugins there are."""

    def names(self) -> Sequence[str]:
        """Return the names that a profile may use; nothing is imported for it."""
        ...

    def default_plugins(self) -> Sequence[tuple[str, int]]:
        """Return the default multiPoint set: names and weights, in order."""
        ...

    def args_model(self, name: str) -> type[BaseModel] | None:
        """Return the model of a plugin's arguments, None when it takes none."""
        ...

    def points(self, name: str) -> Collection[str] | None:
        """Return the extension points a plugin implements, spelt as in a file, or None.

        None when there is no such plugin. Names of the form ``module:Class`` are asked for here
        although `names` does not list them.

        Raises:
            PySchedulerError: it cannot be imported; the message says why.
        """
        ...

    def name_of(self, reference: str) -> str:
        """Return a plugin's own name: that of the class for ``module:Class``, else what it is.

        Raises:
            PySchedulerError: it cannot be imported; the message says why.
        """
        ...

    def add_files(self, path: Path) -> Collection[str]:
        """Make the plugins of a file, or of the files in a folder, known; return their names.

        Raises:
            PySchedulerError: something cannot be used; the message says file, line and reason.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProfileConfiguration:
    """One profile, resolved."""

    scheduler_name: str
    #: 0 means adaptive; the profile's own value or else the global one.
    percentage_of_nodes_to_score: int
    #: By extension point, spelt as in a file; every point is there, each in running order.
    plugins: Mapping[str, tuple[WeightedPlugin, ...]]
    #: By plugin name: the arguments of each plugin that takes some and is enabled at any point.
    args: Mapping[str, BaseModel]
    #: The multiPoint set with the defaults in it, named as in the file; what `config print` shows.
    multi_point: tuple[WeightedPlugin, ...] = ()
    #: Where the profile's ``pluginFiles`` are, those of a file relative to the file's folder.
    plugin_files: tuple[Path, ...] = ()

    def at(self, point: str) -> tuple[WeightedPlugin, ...]:
        """Return the plugins of one extension point in running order."""
        return self.plugins[point]

    def plugin_names(self) -> tuple[str, ...]:
        """Return every plugin that runs at any point, each once."""
        return tuple(
            dict.fromkeys(entry.name for entries in self.plugins.values() for entry in entries)
        )


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole configuration, resolved."""

    profiles: tuple[ProfileConfiguration, ...]
    leader_election: LeaderElection
    client_connection: ClientConnection
    pod_initial_backoff_s: float
    pod_max_backoff_s: float
    #: What it was made from, with the defaults of all plain fields filled in.
    source: KubeSchedulerConfiguration
    #: As written; those that are `ignorable` are asked last.
    extenders: tuple[Extender, ...] = ()
    #: What the user should know although nothing is wrong; one text each.
    warnings: tuple[str, ...] = ()

    def profile(self, scheduler_name: str) -> ProfileConfiguration | None:
        """Return the profile for the pods of that scheduler name, if there is one."""
        return next((p for p in self.profiles if p.scheduler_name == scheduler_name), None)
