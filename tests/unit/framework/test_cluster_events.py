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


def test_the_wildcard_is_no_resource_to_register_for_by_default() -> None:
    resources = {registration.event.resource for registration in EVERYTHING}

    assert EventResource.POD in resources
    assert not resources & {EventResource.WILDCARD, EventResource.ASSIGNED_POD}
