"""What a plugin's listers know."""

from __future__ import annotations

from typing import Final

from pyscheduler.api.codec import BUILT_IN
from pyscheduler.testing import FakeInformers

_RESOURCES: Final = {resource.struct: name for name, resource in BUILT_IN.items()}


def knowing(*objects: object) -> FakeInformers:
    """Informers of these objects."""
    informers = FakeInformers()
    tell(informers, *objects)
    return informers


def tell(informers: FakeInformers, *objects: object) -> None:
    """These objects are there now, as they are."""
    for told in objects:
        informers.of(_RESOURCES[type(told)]).put(told)


def untell(informers: FakeInformers, gone: object, key: str) -> None:
    """An object of the kind of ``gone`` is there no more."""
    informers.of(_RESOURCES[type(gone)]).remove(key)
