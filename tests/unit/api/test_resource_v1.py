"""Claims, slices and classes, as the API writes them and as the structs have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyscheduler.api.codec import BUILT_IN, MalformedObject, decoder, encode
from pyscheduler.api.interner import Interner
from pyscheduler.api.resource_v1 import (
    DeviceClass,
    DeviceTaintRule,
    ResourceClaim,
    ResourceSlice,
)
from pyscheduler.app.resource_events import RESOURCES
from pyscheduler.framework import EventResource

CLAIM = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaim",
    "metadata": {"name": "gpus", "namespace": "lab"},
    "spec": {
        "devices": {
            "requests": [
                {
                    "name": "one",
                    "exactly": {
                        "deviceClassName": "gpu",
                        "count": 2,
                        "selectors": [{"cel": {"expression": "true"}}],
                        "capacity": {"requests": {"memory": "1Gi"}},
                        "adminAccess": False,
                    },
                },
                {"name": "other", "firstAvailable": [{"name": "big", "deviceClassName": "gpu"}]},
            ],
            "constraints": [{"requests": ["one"], "matchAttribute": "gpu.example.com/numa"}],
            "config": [{"opaque": {"driver": "gpu", "parameters": {"a": [1, {"b": None}]}}}],
        }
    },
    "status": {
        "allocation": {
            "devices": {
                "results": [
                    {
                        "request": "one",
                        "driver": "gpu",
                        "pool": "node-1",
                        "device": "gpu-0",
                        "shareID": "7",
                        "consumedCapacity": {"memory": "1Gi"},
                    }
                ]
            },
            "nodeSelector": {"nodeSelectorTerms": [{}]},
        },
        "reservedFor": [{"resource": "pods", "name": "train", "uid": "1"}],
    },
}

SLICE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": {"name": "node-1-gpu"},
    "spec": {
        "driver": "gpu",
        "pool": {"name": "node-1", "generation": 1, "resourceSliceCount": 1},
        "nodeName": "node-1",
        "devices": [
            {
                "name": "gpu-0",
                "attributes": {"index": {"int": 0}, "driver": {"version": "1.2.3"}},
                "capacity": {
                    "memory": {"value": "40Gi", "requestPolicy": {"validRange": {"min": "1Gi"}}}
                },
                "consumesCounters": [{"counterSet": "s", "counters": {"m": {"value": "1"}}}],
                "taints": [{"key": "bad", "effect": "NoSchedule"}],
            }
        ],
    },
}

RULE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceTaintRule",
    "metadata": {"name": "broken"},
    "spec": {
        "taint": {"key": "broken", "effect": "NoExecute"},
        "deviceSelector": {"driver": "gpu", "pool": "node-1"},
    },
}

CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": "gpu"},
    "spec": {
        "selectors": [{"cel": {"expression": "device.driver == 'gpu'"}}],
        "config": [{"opaque": {"driver": "gpu", "parameters": {"kind": "P"}}}],
        "extendedResourceName": "example.com/gpu",
    },
}

NAMES = {
    "ResourceClaim": "resourceclaims.v1.resource.k8s.io",
    "ResourceSlice": "resourceslices.v1.resource.k8s.io",
    "DeviceTaintRule": "devicetaintrules.v1.resource.k8s.io",
    "DeviceClass": "deviceclasses.v1.resource.k8s.io",
}


def test_resources_that_raise_events_have_structs() -> None:
    raised = (
        EventResource.RESOURCE_CLAIM,
        EventResource.RESOURCE_SLICE,
        EventResource.DEVICE_CLASS,
    )

    assert [BUILT_IN[RESOURCES[resource]].struct for resource in raised] == [
        ResourceClaim,
        ResourceSlice,
        DeviceClass,
    ]
    assert BUILT_IN[NAMES["DeviceTaintRule"]].struct is DeviceTaintRule


@pytest.mark.parametrize("written", [CLAIM, SLICE, RULE, CLASS], ids=lambda w: w["kind"])
def test_what_is_read_can_be_written_again_and_be_a_key(written: dict[str, Any]) -> None:
    resource = BUILT_IN[NAMES[written["kind"]]]

    found = decoder(resource, Interner()).object(json.dumps(written).encode())

    assert json.loads(encode(resource, found)) == written
    assert len({found, decoder(resource, Interner()).object(json.dumps(written).encode())}) == 1


def test_empty_maps_are_left_out_when_written() -> None:
    resource = BUILT_IN[NAMES["ResourceSlice"]]
    device = {"name": "d", "attributes": {}, "capacity": {}}
    written = {**SLICE, "spec": {"driver": "d", "pool": {"name": "p"}, "devices": [device]}}

    found = decoder(resource, Interner()).object(json.dumps(written).encode())

    assert json.loads(encode(resource, found))["spec"]["devices"] == [{"name": "d"}]


def test_an_attribute_of_another_type_is_named() -> None:
    device = {"name": "d", "attributes": {"index": {"int": "4"}}}
    written = {**SLICE, "spec": {"driver": "d", "pool": {"name": "p"}, "devices": [device]}}

    with pytest.raises(MalformedObject, match=r"got `str` - at `\$\.int` in 'index' - at"):
        decoder(BUILT_IN[NAMES["ResourceSlice"]], Interner()).object(json.dumps(written).encode())
