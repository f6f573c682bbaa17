"""Which registration hears of which event, and what events are called."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.framework import ActionType, ClusterEvent, EventResource
from pyscheduler.framework.cluster_events import EVERYTHING, UNSCHEDULABLE_TIMEOUT, WILDCARD

NODE_ADD_OR_TAINT = fwk.NODE_ADDED | fwk.NODE_TAINTS_CHANGED


@pytest.mark.parametrize(
    ("registered", "incoming", "heard"),
    [
        pytest.param(fwk.NODE_ADDED, fwk.NODE_ADDED, True, id="same"),
        pytest.param(NODE_ADD_OR_TAINT, fwk.NODE_TAINTS_CHANGED, True, id="one-of-two-actions"),
        pytest.param(NODE_ADD_OR_TAINT, fwk.NODE_LABELS_CHANGED, False, id="other-action"),
        pytest.param(fwk.NODE_ADDED, fwk.POD_ADDED, False, id="other-resource"),
        pytest.param(fwk.POD_DELETED, fwk.ASSIGNED_POD_DELETED, True, id="pod-hears-assigned"),
        pytest.param(fwk.ASSIGNED_POD_DELETED, fwk.POD_DELETED, False, id="not-the-other-way"),
        pytest.param(
            fwk.NODE_TAINTS_CHANGED,
            ClusterEvent(EventResource.NODE, ActionType.UPDATE),
            False,
            id="coarse-update-is-not-a-finer-one",
        ),
        pytest.param(WILDCARD, fwk.NODE_DELETED, True, id="wildcard-hears-all"),
        pytest.param(
            ClusterEvent("foos.v1.example.com", ActionType.ADD),
            ClusterEvent("foos.v1.example.com", ActionType.ADD),
            True,
            id="custom-resource",
        ),
    ],
)
def test_a_registration_hears_of_matching_events(
    registered: ClusterEvent, incoming: ClusterEvent, heard: bool
) -> None:
    assert registered.matches(incoming) is heard


@pytest.mark.parametrize(
    ("event", "label"),
    [
        pytest.param(fwk.NODE_ADDED, "NodeAdd", id="one-action"),
        pytest.param(NODE_ADD_OR_TAINT, "NodeAdd|UpdateNodeTaint", id="two-actions"),
        pytest.param(
            ClusterEvent(EventResource.NODE, ActionType.UPDATE), "NodeUpdate", id="update"
        ),
        pytest.param(UNSCHEDULABLE_TIMEOUT, "UnschedulableTimeout", id="custom-label"),
    ],
)
def test_events_have_upstreams_labels(event: ClusterEvent, label: str) -> None:
    assert event.label == label


def test_events_of_two_resources_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="cannot join"):
        fwk.NODE_ADDED | fwk.POD_ADDED


def test_who_registers_for_nothing_hears_of_upstreams_kinds_and_no_others() -> None:
    assert {str(registration.event.resource) for registration in EVERYTHING} == {
        "Pod",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "storage.k8s.io/CSINode",
        "storage.k8s.io/CSIDriver",
        "storage.k8s.io/CSIStorageCapacity",
        "storage.k8s.io/StorageClass",
        "resource.k8s.io/ResourceClaim",
        "resource.k8s.io/DeviceClass",
    }
    assert all(
        registration.event.action == ActionType.ALL
        and registration.hint is None
        and registration.pre_hint is None
        for registration in EVERYTHING
    )


def test_a_known_kind_may_be_spelled_out() -> None:
    assert ClusterEvent("Node", ActionType.ADD) == fwk.NODE_ADDED
    assert ClusterEvent("*", ActionType.ALL).is_wildcard


@pytest.mark.parametrize("resource", ["Foo", "foos.example", ""])
def test_a_resource_that_can_be_none_is_refused(resource: str) -> None:
    with pytest.raises(ValueError, match="neither a known kind nor plural\\.version\\.group"):
        ClusterEvent(resource, ActionType.ADD)
