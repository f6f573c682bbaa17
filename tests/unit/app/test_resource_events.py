"""Which watches the plugins' events start, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.codec import Interner
from pyscheduler.api.core_v1 import Pod
from pyscheduler.app.resource_events import RESOURCES, raise_registered_events
from pyscheduler.client.informers import SharedInformers
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import EventResource
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.testing import fake_handle, make_plugin

ALL = fwk.ActionType.ALL


class Base(fwk.Plugin[fwk.NoArgs]):
    name = "Base"


class Filtering(fwk.FilterPlugin, Base):
    name = "Filtering"

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> None:
        return None


class Scoring(fwk.ScorePlugin, Base):
    name = "Scoring"

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 0


class Registering(fwk.EnqueueExtensions, Filtering):
    name = "Registering"

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return ()


class Followed:
    """Stands in for the informers: who followed what."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bool]] = []
        self.handlers: list[str] = []
        self._name = ""

    def follow(self, name: str, *, asked_by: str, is_required: bool) -> Followed:
        self.calls.append((name, asked_by, is_required))
        self._name = name
        return self

    def add_handler(self, handler: object) -> None:
        self.handlers.append(self._name)


class ProfileOf:
    def __init__(self, plugins: Sequence[type[fwk.Plugin[Any]]]) -> None:
        self.plugins = {kind.__name__: make_plugin(kind, handle=fake_handle()) for kind in plugins}


def wire(*registered: tuple[type[fwk.Plugin[Any]], EventResource | str]) -> Followed:
    profiles: Any = {"one": ProfileOf([kind for kind, _ in registered])}
    hints = {
        "one": [
            HintRegistration(kind.__name__, fwk.ClusterEvent(resource, ALL))
            for kind, resource in registered
        ]
    }
    followed: Any = Followed()
    queue: Any = None
    raise_registered_events(profiles, hints, informers=followed, queue=queue)
    wired: Followed = followed
    return wired


PVC = "persistentvolumeclaims.v1"
GANGS = "gangs.v1.example.com"


@pytest.mark.parametrize(
    ("plugin", "resource", "calls"),
    [
        pytest.param(
            Registering,
            EventResource.PERSISTENT_VOLUME_CLAIM,
            [(PVC, "Registering", True)],
            id="named",
        ),
        pytest.param(Registering, GANGS, [(GANGS, "Registering", True)], id="custom"),
        pytest.param(
            Filtering,
            EventResource.PERSISTENT_VOLUME_CLAIM,
            [(PVC, "Filtering", False)],
            id="everything, by one that registered nothing",
        ),
        pytest.param(
            Scoring, EventResource.PERSISTENT_VOLUME_CLAIM, [], id="everything, by one that scores"
        ),
        pytest.param(Registering, EventResource.POD, [], id="pods, watched anyway"),
        pytest.param(Registering, EventResource.NODE, [], id="nodes, watched anyway"),
        pytest.param(Registering, EventResource.POD_GROUP, [], id="pod groups, not yet"),
    ],
)
def test_registrations_follow_the_resource(
    plugin: type[fwk.Plugin[Any]],
    resource: EventResource | str,
    calls: list[tuple[str, str, bool]],
) -> None:
    assert wire((plugin, resource)).calls == calls


def test_wildcard_hears_of_every_built_in_kind_and_requires_none() -> None:
    calls = wire((Registering, EventResource.WILDCARD)).calls

    assert (PVC, "Registering", False) in calls
    assert not any(is_required for _, _, is_required in calls)


def test_changes_are_told_once_however_many_registered() -> None:
    followed = wire((Registering, GANGS), (Filtering, GANGS), (Registering, GANGS))

    assert followed.handlers == [GANGS]
    assert [asked_by for _, asked_by, _ in followed.calls] == [
        "Registering",
        "Filtering",
        "Registering",
    ]


def real_informers() -> SharedInformers:
    transport: Any = None
    return SharedInformers(transport, interner=Interner(), clock=FakeClock(), rng=Random(1))


def test_what_is_no_resource_is_refused_with_the_plugin_that_registered_it() -> None:
    profiles: Any = {"one": ProfileOf([Registering])}
    hints = {"one": [HintRegistration("Registering", fwk.ClusterEvent("Gang.of.Kind", ALL))]}
    queue: Any = None

    with pytest.raises(PluginFault, match=r"Registering .* 'Gang.of.Kind' is not of the form"):
        raise_registered_events(profiles, hints, informers=real_informers(), queue=queue)


@pytest.mark.parametrize("name", RESOURCES.values())
def test_every_built_in_kind_has_a_name_that_can_be_followed(name: str) -> None:
    assert real_informers().follow(name, asked_by="x").name == name
