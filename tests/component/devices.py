"""Device classes, slices and claims as JSON, and pods that use them."""

from __future__ import annotations

from typing import Any

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_pod

DRIVER = "gpu.example.com"
GROUP = "/apis/resource.k8s.io/v1"
CLAIMS = f"{GROUP}/namespaces/default/resourceclaims"


def device_class(name: str = DRIVER, **spec: object) -> JsonObject:
    return _object("DeviceClass", name, spec)


def device_slice(node: str, *devices: str, **where: object) -> JsonObject:
    """A complete pool of the node's own; to be used there, unless ``where`` says otherwise."""
    spec = {
        "driver": DRIVER,
        **(where or {"nodeName": node}),
        "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": device} for device in devices],
    }
    return _object("ResourceSlice", f"{node}-slice", spec)


def taint_rule(name: str) -> JsonObject:
    """No device of the driver may be given to anybody more."""
    taint = {"key": "broken", "effect": "NoSchedule"}
    return _object("DeviceTaintRule", name, {"deviceSelector": {"driver": DRIVER}, "taint": taint})


def claim(name: str, *, count: int = 1, device_class: str = DRIVER) -> JsonObject:
    exactly = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": count}
    spec = {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}
    made = _object("ResourceClaim", name, spec)
    made["metadata"]["namespace"] = "default"
    return made


def user(name: str, *claims: str, **spec: Any) -> JsonObject:
    references = [{"name": used, "resourceClaimName": used} for used in claims]
    return make_pod(name, resourceClaims=references, **spec)


def _object(kind: str, name: str, spec: object) -> JsonObject:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
