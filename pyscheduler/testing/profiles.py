"""Profiles for tests that need one without a configuration file or a cluster.

`default_profile` is what a scheduler runs by default, with a test's plugins behind; `profile_of`
is one plugin alone, with the two that every profile needs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pyscheduler.clock import FakeClock
from pyscheduler.config.load import default_config
from pyscheduler.framework.args import NoArgs
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.interface import Plugin
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.instrument import Instrument
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.registry import Registry
from pyscheduler.telemetry.current_work import CurrentWork


def registry_with(*extra: type[Plugin[Any]], enabled: bool = True) -> Registry:
    """What comes with the scheduler, and ``extra``: behind it with weight 1 if ``enabled``."""
    classes = {**IN_TREE, **{plugin.name: plugin for plugin in extra}}
    defaults = [*DEFAULT_PLUGINS, *((plugin.name, 1) for plugin in extra if enabled)]
    return Registry(classes, defaults, installed=())


def default_profile(
    handle: Handle,
    *extra: type[Plugin[Any]],
    without: Collection[str] = (),
    instrument: Instrument | None = None,
) -> Profile:
    """The default plugins, and ``extra`` at all points they have.

    Args:
        handle: what the plugins are given.
        extra: classes whose arguments have defaults.
        without: names of default plugins to be left out.
        instrument: calls the hooks; one of its own unless given.
    """
    registry = registry_with(*extra)
    (resolved,) = default_config(registry).profiles
    plugins = {
        name: registry.make(name, resolved.args.get(name, NoArgs()), handle)
        for name in resolved.plugin_names()
        if name not in without
    }
    points = {
        point: [(entry.name, entry.weight) for entry in entries if entry.name in plugins]
        for point, entries in resolved.plugins.items()
    }
    return Profile(resolved.scheduler_name, plugins, points, instrument=instrument or _instrument())


def profile_of(plugin: Plugin[Any], handle: Handle, *, scheduler_name: str) -> Profile:
    """``plugin`` alone at all its points; sorting and binding as by default if it does neither."""
    points = {point[0].lower() + point[1:]: [(plugin.name, 1)] for point in type(plugin).points()}
    plugins = {plugin.name: plugin}
    for point, name in (("queueSort", "PrioritySort"), ("bind", "DefaultBinder")):
        if point not in points:
            points[point] = [(name, 1)]
            plugins[name] = IN_TREE[name](NoArgs(), handle)
    return Profile(scheduler_name, plugins, points, instrument=_instrument())


def _instrument() -> Instrument:
    return Instrument(CurrentWork(), FakeClock())
