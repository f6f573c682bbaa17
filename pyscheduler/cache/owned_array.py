"""An array that its owner writes and everybody may read.

Apart from the columns because of one thing: a view of an array can be unlocked as long as the array
itself is writable, so locking takes either two calls around each write or, as here, a buffer that
is read-only from the start.

Called by: ``column_store``, ``vocabulary``, ``pod_counts``.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

D = TypeVar("D", bound=np.generic)


class OwnedArray(Generic[D]):
    """One (rows,) array of numbers or bools."""

    __slots__ = ("readable", "values")

    def __init__(self, values: npt.NDArray[D]) -> None:
        #: for the owner
        self.values = values
        #: the same memory for everybody else; cannot be made writable
        self.readable: npt.NDArray[D] = np.asarray(values.data.toreadonly())

    def grown(self, capacity: int, *, fill: int = 0) -> OwnedArray[D]:
        """A copy with room for ``capacity`` rows, ``fill`` in the new ones."""
        larger = np.full(capacity, fill, dtype=self.values.dtype)
        larger[: len(self.values)] = self.values
        return OwnedArray(larger)
