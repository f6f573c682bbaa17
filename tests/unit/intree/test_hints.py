"""Every hint of every in-tree plugin: an event that wakes, and one that does not.

The cases are in ``hints/``, one module per plugin, which is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

from pyscheduler.framework import (
    ActionType,
    ClusterEvent,
    ClusterEventWithHint,
    EnqueueExtensions,
    EventResource,
    Plugin,
    QueueingHint,
)
from pyscheduler.intree.registry import IN_TREE
from tests.unit.intree import hints
from tests.unit.intree.hints.case import HintCase, default

CASES: list[HintCase] = [
    case
    for module in pkgutil.iter_modules(hints.__path__)
    if module.name != "case"
    for case in importlib.import_module(f"{hints.__name__}.{module.name}").CASES
]

#: What wakes every pod that the plugin rejected: nothing to choose, so nothing that does not wake.
ALWAYS_WAKE = {
    ("DynamicResources", "NodeAdd"): "upstream asks no hint: it may have devices",
    ("DynamicResources", "NodeUpdateNodeLabel"): "upstream asks no hint: slices select by labels",
    ("DynamicResources", "NodeUpdateNodeAllocatable"): "upstream asks no hint",
    ("DynamicResources", "resource.k8s.io/DeviceClassAdd"): "upstream asks no hint",
    ("DynamicResources", "resource.k8s.io/DeviceClassUpdate"): "upstream asks no hint",
    ("DynamicResources", "resource.k8s.io/ResourceSliceAdd"): "upstream asks no hint",
    ("DynamicResources", "resource.k8s.io/ResourceSliceUpdate"): "upstream asks no hint",
    ("DynamicResources", "devicetaintrules.v1.resource.k8s.ioAdd"): (
        "upstream's slices change with it, and it asks no hint about these"
    ),
    ("DynamicResources", "devicetaintrules.v1.resource.k8s.ioDelete"): "the same",
    ("NodeDeclaredFeatures", "NodeAdd"): "upstream does not ask what a node that joins declares",
    ("InterPodAffinity", "TargetPodUpdatePodLabel"): (
        "upstream asks nothing more: whoever kept the pod out may mean others now"
    ),
    ("NodeName", "NodeAdd"): "upstream asks no hint: a node that joins may be the one",
    ("NodePorts", "NodeAdd"): "upstream asks no hint: a node that joins has ports to give",
    ("SchedulingGates", "TargetPodUpdatePodSchedulingGatesEliminated"): (
        "raised for the pod itself, once its last gate is gone"
    ),
    ("TaintToleration", "TargetPodUpdatePodToleration"): (
        "tolerations can only be added, and the queue tells of the pod's own alone"
    ),
    ("NodeVolumeLimits", "storage.k8s.io/CSINodeAdd"): "upstream asks no hint: it may have room",
    ("VolumeBinding", "storage.k8s.io/StorageClassAdd"): "a class that is new can be any pod's",
    ("VolumeBinding", "PersistentVolumeAdd"): "upstream asks no hint: it may be free, or bound",
    ("VolumeBinding", "PersistentVolumeUpdate"): "upstream asks no hint: the same",
    ("VolumeBinding", "NodeAdd"): "upstream asks no hint: it may be where a volume is",
    ("VolumeBinding", "NodeUpdateNodeLabel"): "upstream asks no hint: the same",
    ("VolumeBinding", "storage.k8s.io/CSINodeAdd"): "upstream asks no more: it may be migrated",
    ("VolumeBinding", "storage.k8s.io/CSIStorageCapacityAdd"): "upstream asks no more",
    ("VolumeRestrictions", "NodeAdd"): "upstream asks no hint: no pod has a disk there yet",
    ("VolumeZone", "NodeAdd"): "upstream asks no hint: it may be where the volume is",
    ("VolumeZone", "NodeUpdateNodeLabel"): "upstream asks no hint: the same",
    ("VolumeZone", "PersistentVolumeAdd"): "upstream looks at changed volumes only",
    ("NodeResourcesFit", "TargetPodUpdatePodScaleDown"): "whatever the pod gave up may be enough",
}

#: What wakes nobody.
NEVER_WAKE = {
    ("DefaultPreemption", "AssignedPodDelete"): (
        "the hint of the plugin that missed the room decides; this one must only hear of it"
    ),
}

_POD_KINDS = {
    EventResource.POD,
    EventResource.ASSIGNED_POD,
    EventResource.UNSCHEDULED_POD,
    EventResource.TARGET_POD,
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{case.plugin().name}-{case.event.label}-{case.id}") for case in CASES],
)
def test_an_event_wakes_the_pods_that_it_may_help(case: HintCase) -> None:
    registered = list(_that_hear(case.plugin(), case.event))
    answers = [
        QueueingHint.QUEUE if known.hint is None else known.hint(case.pod, case.old, case.new)
        for known in registered
    ]

    assert registered
    assert (QueueingHint.QUEUE in answers) is case.wakes


def test_every_event_has_a_case_that_wakes_and_one_that_does_not() -> None:
    told = {
        (case.plugin().name, known.event.resource, action, case.wakes)
        for case in CASES
        for known in _that_hear(case.plugin(), case.event)
        for action in _single_actions(known.event)
        if action & case.event.action
    }
    missing = [
        f"{name}: no case in which {event.label} {'wakes' if wakes else 'does not wake'}"
        for name, event in _events()
        for wakes, exempt in ((True, NEVER_WAKE), (False, ALWAYS_WAKE))
        if (name, event.label) not in exempt
        and (name, event.resource, event.action, wakes) not in told
    ]

    assert missing == []


def test_what_always_or_never_wakes_is_registered_and_needs_no_case() -> None:
    registered = {(name, event.label) for name, event in _events()}
    contradicted = {
        (case.plugin().name, case.event.label)
        for case in CASES
        if (case.plugin().name, case.event.label) in (ALWAYS_WAKE, NEVER_WAKE)[case.wakes]
    }

    assert (ALWAYS_WAKE.keys() | NEVER_WAKE.keys()) - registered == set()
    assert contradicted == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.plugin().name}-{case.id}")
def test_a_case_is_of_one_action(case: HintCase) -> None:
    assert case.event.action in _single_actions(case.event)


def _that_hear(plugin: Plugin[Any], event: ClusterEvent) -> Iterator[ClusterEventWithHint]:
    assert isinstance(plugin, EnqueueExtensions)
    return (known for known in plugin.events_to_register() if known.event.matches(event))


def _events() -> Iterator[tuple[str, ClusterEvent]]:
    """What the plugins hear of with default arguments and gates, action by action."""
    for name in IN_TREE:
        plugin = default(name)()
        if isinstance(plugin, EnqueueExtensions):
            for known in plugin.events_to_register():
                for action in _single_actions(known.event):
                    yield name, ClusterEvent(known.event.resource, action)


def _single_actions(event: ClusterEvent) -> list[ActionType]:
    """The bits of the action; a whole Update stays whole, since most kinds know no other."""
    whole = event.action & ActionType.UPDATE == ActionType.UPDATE
    rest = event.action & ~ActionType.UPDATE if whole else event.action
    return [*(bit for bit in ActionType if bit & rest), *([ActionType.UPDATE] if whole else [])]
