"""One node as plugins see it: what `NodeState` knows, and no way to change it.

Apart from the state, because that one is changed with every bind, and a plugin that could would
change what others judge by: its sums would be wrong until the node's next change. A view is made
when a row is first asked for and kept while the row stays.

Called by: ``column_store`` and ``copied_rows``, as `framework.nodes.NodeInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.host_ports import HostPort
from pyscheduler.cache.node_state import NodeState


class NodeView:
    """A `framework.nodes.NodeInfo` over a state that goes on changing between cycles."""

    __slots__ = ("_state", "host_ports", "name", "pods", "requested")

    # Filled once, past the refusal below; what is in a slot costs the least to read.
    name: str
    requested: Mapping[str, int]
    pods: Mapping[str, Pod]
    host_ports: Mapping[HostPort, int]
    _state: NodeState

    def __init__(self, state: NodeState) -> None:
        fill = super().__setattr__
        fill("_state", state)
        fill("name", state.name)
        # the state's own maps, which it never replaces
        fill("requested", MappingProxyType(state.requested))
        fill("pods", MappingProxyType(state.pods))
        fill("host_ports", MappingProxyType(state.host_ports))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"the snapshot's node {self.name} cannot be changed: {name} is not set"
        )

    def __repr__(self) -> str:
        return f"NodeView({self.name!r})"

    @property
    def node(self) -> Node:
        """The Node object."""
        return self._state.node

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return self._state.node.metadata.labels

    @property
    def annotations(self) -> Mapping[str, str]:
        """The node's annotations."""
        return self._state.node.metadata.annotations

    @property
    def allocatable(self) -> Mapping[str, int]:
        """Resource -> milli-CPU, bytes or counts; ``pods`` included."""
        return self._state.allocatable

    @property
    def non_zero_cpu(self) -> int:
        """Requested milli-CPU with 100m assumed per container that asks for none."""
        return self._state.non_zero_cpu

    @property
    def non_zero_memory(self) -> int:
        """Requested bytes with 200 MiB assumed per container that asks for none."""
        return self._state.non_zero_memory
