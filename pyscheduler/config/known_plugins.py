"""The catalogue of plugins as the checks of a configuration ask it, failures as text.

The catalogue comes in as a protocol, so that this package needs to know no plugin and imports none:
plugins of others are loaded when a profile names them, by the catalogue.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic import BaseModel

from pyscheduler.config.configuration import PluginCatalogue
from pyscheduler.config.expand import WeightedPlugin
from pyscheduler.config.models import UNNAMED
from pyscheduler.config.problems import suggestion
from pyscheduler.config.upstream_plugins import REMOVED, UPSTREAM_POINTS
from pyscheduler.errors import PySchedulerError


class KnownPlugins:
    """What a configuration may say of each plugin."""

    def __init__(self, catalogue: PluginCatalogue) -> None:
        self._catalogue = catalogue
        self._points: dict[str, Collection[str]] = {}
        self._faults: dict[str, str] = {}
        #: The default multiPoint set; a weight of 0 is one that was not given.
        self.defaults: Sequence[WeightedPlugin] = tuple(
            WeightedPlugin(name, weight) for name, weight in catalogue.default_plugins()
        )

    def name_of(self, reference: str) -> str:
        """Return the plugin's own name, or the reference itself when it leads nowhere."""
        if ":" not in reference or self.fault(reference) is not None:
            return reference
        return self._catalogue.name_of(reference)

    def fault(self, name: str) -> str | None:
        """Return why the plugin cannot be used, None when it can."""
        if name in self._points or name == UNNAMED:
            return None
        if name not in self._faults:
            try:
                points = self._lookup(name)
            except PySchedulerError as error:
                self._faults[name] = str(error)
            else:
                self._points[name] = points
                return None
        return self._faults[name]

    def implements(self, name: str, point: str) -> bool:
        """Return whether the plugin is there and has the extension point."""
        return self.fault(name) is None and point in self._points.get(name, ())

    def may_be_at(self, name: str, point: str) -> bool:
        """Return whether naming the plugin at the point is no mistake, here or upstream."""
        return self.implements(name, point) or point in UPSTREAM_POINTS.get(name, ())

    def is_name(self, name: str) -> bool:
        """Return whether somebody provides a plugin of that name, here or upstream."""
        return name in UPSTREAM_POINTS or self.is_provided(name)

    def is_provided(self, name: str) -> bool:
        """Return whether there is a plugin of that name here, be it broken."""
        return ":" in name or name in self._catalogue.names()

    def nearest(self, name: str) -> str:
        """Return the text that suggests the nearest name, "" when none is near."""
        return suggestion(name, self._catalogue.names())

    def args_model(self, name: str) -> type[BaseModel] | None:
        """Return the model of the plugin's arguments, None when it takes none or is not there."""
        if name == UNNAMED or self.fault(name) is not None:
            return None
        return self._catalogue.args_model(name)

    def _lookup(self, name: str) -> Collection[str]:
        points = None
        if self.is_provided(name):
            points = self._catalogue.points(name)
        if points is not None:
            return points
        if name in UPSTREAM_POINTS:
            raise PySchedulerError(f'plugin "{name}" is not available yet')
        if name in REMOVED:
            raise PySchedulerError(f'plugin "{name}" is no more: NodeVolumeLimits does its work')
        raise PySchedulerError(f'nobody provides a plugin "{name}"{self.nearest(name)}')
