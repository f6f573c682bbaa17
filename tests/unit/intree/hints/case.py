"""One case of a hint: what a plugin says of a waiting pod when something happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework import ClusterEvent, Plugin
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import fake_handle, make_plugin


@dataclass(frozen=True, slots=True)
class HintCase:
    """``plugin`` rejected ``pod``; ``event`` came, with the object as it was and as it is."""

    id: str
    #: made anew for each case, over what its listers are to know
    plugin: Callable[[], Plugin[Any]]
    #: of a single action
    event: ClusterEvent
    pod: Pod
    #: None when the object is new
    old: object
    #: None when it is gone
    new: object
    wakes: bool


def default(name: str) -> Callable[[], Plugin[Any]]:
    """Makes the in-tree plugin of that name, with default arguments, over an empty cluster."""
    return lambda: make_plugin(IN_TREE[name], handle=fake_handle())
