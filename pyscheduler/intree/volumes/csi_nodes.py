"""What CSINodes say, by driver: on which nodes it runs, and how many volumes it may attach there.

Kept as CSINodes come, change and go, so that a cycle asks a driver's nodes and not each node.

Called by: ``limits``. States: none beside the CSINodes last told.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from pyscheduler import framework as fwk
from pyscheduler.api.storage_v1 import CSINode
from pyscheduler.intree.volumes.claims import CSI_NODES


class CSINodes:
    """The CSINodes; a handler of their informer."""

    def __init__(self, informers: fwk.Informers) -> None:
        self._known: dict[str, CSINode] = {}
        #: driver -> node -> how many volumes at most; nodes without a limit are not in it
        self._limits: dict[str, dict[str, int]] = {}
        #: driver -> nodes on which it runs
        self._running: dict[str, set[str]] = {}
        informers.of(CSI_NODES, CSINode).add_handler(self)

    def __contains__(self, node: object) -> bool:
        return node in self._known

    def get(self, node: str) -> CSINode | None:
        """What is said of a node."""
        return self._known.get(node)

    @property
    def names(self) -> AbstractSet[str]:
        """The nodes that have one."""
        return self._known.keys()

    def limits(self, driver: str) -> Mapping[str, int]:
        """How many of the driver's volumes fit on each node that has a limit."""
        return self._limits.get(driver, {})

    def running(self, driver: str) -> AbstractSet[str]:
        """The nodes on which the driver runs."""
        return self._running.get(driver, frozenset())

    # --- what the informer tells ---

    def on_add(self, added: CSINode, initial: bool) -> None:
        """A node has one."""
        self._known[added.name] = added
        for driver in added.spec.drivers:
            self._running.setdefault(driver.name, set()).add(added.name)
            if driver.limit is not None:
                self._limits.setdefault(driver.name, {})[added.name] = driver.limit

    def on_update(self, old: CSINode, new: CSINode) -> None:
        """It says something else."""
        self.on_delete(old)
        self.on_add(new, False)

    def on_delete(self, deleted: CSINode) -> None:
        """The node has none any more."""
        known = self._known.pop(deleted.name, None)
        for driver in () if known is None else known.spec.drivers:
            _drop(self._running, driver.name, deleted.name)
            limits = self._limits.get(driver.name, {})
            limits.pop(deleted.name, None)
            if not limits:
                self._limits.pop(driver.name, None)


def _drop(running: dict[str, set[str]], driver: str, node: str) -> None:
    nodes = running.get(driver, set())
    nodes.discard(node)
    if not nodes:
        running.pop(driver, None)
