"""Per-node columns: what a plugin reads of all nodes at once, and may declare for itself.

A column is declared once, at import, and handed to the column store when a profile names a
plugin that lists it in ``depends_on``. Three kinds:

- `NodeColumn`: a value extracted from the Node object;
- `PodColumn`: a value extracted from each pod on the node, summed;
- `StateColumn`: a value that a plugin sets itself, for example from a poller.

What pods have by key instead of as a sum is a ``pod_matching.PodTally``.

`Aspect` names the columns that every store has. Both say what a cached answer depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntFlag
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Node, Pod


class Aspect(IntFlag):
    """Parts of a node's row that change together; the unit of "what changed"."""

    #: the row now holds another node
    IDENTITY = 1 << 0
    LABELS = 1 << 1
    TAINTS = 1 << 2
    UNSCHEDULABLE = 1 << 3
    ALLOCATABLE = 1 << 4
    IMAGES = 1 << 5
    #: annotations, conditions, declared features and whatever else NodeColumns may read
    OBJECT = 1 << 6
    #: sums of the pods' requests, and their number
    REQUESTED = 1 << 7
    #: which host ports are taken
    HOST_PORTS = 1 << 8
    #: the pods themselves, as PodColumns see them
    PODS = 1 << 9
    #: values of StateColumns
    STATE = 1 << 10


NODE_ASPECTS = (
    Aspect.IDENTITY
    | Aspect.LABELS
    | Aspect.TAINTS
    | Aspect.UNSCHEDULABLE
    | Aspect.ALLOCATABLE
    | Aspect.IMAGES
    | Aspect.OBJECT
)
POD_ASPECTS = Aspect.REQUESTED | Aspect.HOST_PORTS | Aspect.PODS
ALL_ASPECTS = NODE_ASPECTS | POD_ASPECTS | Aspect.STATE


class Column:
    """A named per-node array, (N,) of ``dtype``; identity is the name."""

    #: what must change before the column can
    aspect: Aspect = Aspect.OBJECT

    def __init__(self, name: str, dtype: npt.DTypeLike, *, default: Any = 0) -> None:
        self.name = name
        self.dtype = dtype
        #: the value of a row that could not be read, or was never set
        self.default = default

    def check(self, value: Any) -> Any:
        """``value``, if the column holds it as it is; numpy would cut a fraction off in silence.

        Raises:
            ValueError: it does not.
        """
        held = np.empty((), dtype=self.dtype)
        try:
            held[()] = value
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"column {self.name} cannot hold {value!r}: {error}") from error
        if held.dtype.kind in "iu" and held != value:
            raise ValueError(f"column {self.name} of {held.dtype} cannot hold {value!r}")
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class NodeColumn(Column):
    """A value extracted from the Node object.

    An ``extract`` that raises, or gives what the column cannot hold, marks that row as unreadable:
    plugins that depend on the column reject it, others do not notice.
    """

    aspect = Aspect.OBJECT

    def __init__(
        self,
        name: str,
        dtype: npt.DTypeLike,
        *,
        extract: Callable[[Node], Any],
        default: Any = 0,
    ) -> None:
        super().__init__(name, dtype, default=default)
        self.extract = extract


class PodColumn(Column):
    """A value extracted from each pod on the node, summed over the node."""

    aspect = Aspect.PODS

    def __init__(self, name: str, dtype: npt.DTypeLike, *, extract: Callable[[Pod], Any]) -> None:
        super().__init__(name, dtype, default=0)
        self.extract = extract

    def total(self, pods: Iterable[Pod]) -> Any:
        """The sum over these pods.

        Raises:
            ValueError: the column cannot hold it; ``extract`` may raise anything.
        """
        return self.check(sum(self.extract(pod) for pod in pods))


class StateColumn(Column):
    """A value that a plugin sets through ``handle.columns.set(column, node_name, value)``.

    That raises `ValueError` for a value that the column cannot hold as it is.
    """

    aspect = Aspect.STATE


class HasAspect(Protocol):
    """Anything that changes with parts of a node's row: a column, a tally."""

    @property
    def aspect(self) -> Aspect:
        """What must change before it can."""


def aspects_of(depends_on: tuple[HasAspect | Aspect, ...]) -> Aspect:
    """The union of what ``depends_on`` names; IDENTITY always belongs to it."""
    mask = Aspect.IDENTITY
    for dependency in depends_on:
        mask |= dependency if isinstance(dependency, Aspect) else dependency.aspect
    return mask
