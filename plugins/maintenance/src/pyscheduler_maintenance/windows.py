"""The MaintenanceWindow resource: which nodes it selects, and whether it is open."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pyscheduler.api.meta import ObjectMeta

#: the resource, as events and informers name it
WINDOWS = "maintenancewindows.v1alpha1.example.com"


class WindowSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What an administrator writes."""

    #: labels that a node must have, all of them, to be under maintenance; none selects no node
    node_selector: dict[str, str] = {}
    #: False while the window is only planned
    open: bool = True


class MaintenanceWindow(msgspec.Struct, frozen=True, rename="camel"):
    """Nodes that must not get new pods for a while."""

    metadata: ObjectMeta
    spec: WindowSpec = WindowSpec()

    @property
    def is_open(self) -> bool:
        """True while the selected nodes get no new pods."""
        return self.spec.open and bool(self.spec.node_selector)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """True for a node with these labels while the window is open."""
        wanted = self.spec.node_selector.items()
        return self.is_open and all(labels.get(key) == value for key, value in wanted)
