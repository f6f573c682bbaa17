"""Modules that a test makes and imports are forgotten: the next one may make others so named."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def forgetting(folder: Path) -> Iterator[None]:
    """What is imported from ``folder`` meanwhile is imported anew the next time."""
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name, module in [*sys.modules.items()]:
            places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
            if any(place and Path(place).is_relative_to(folder) for place in places):
                del sys.modules[name]
        importlib.invalidate_caches()
