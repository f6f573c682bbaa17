"""Claims, device classes and slices, in one line each.

``make_resource_claim("c").request("gpu", "gpu.example.com", count=2).obj()``,
``make_resource_claim("c").allocated("gpu-0", node="n").reserved_for(pod).obj()``,
``make_device_class("gpu.example.com").extended_resource("example.com/gpu").obj()``,
``make_slice("n").devices("gpu-0", "gpu-1").obj()``. Every method returns a new builder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pyscheduler.api.core_v1 import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta, OwnerReference
from pyscheduler.api.resource_v1 import (
    EXACT_COUNT,
    AllocationResult,
    CELDeviceSelector,
    Device,
    DeviceAllocationResult,
    DeviceClaim,
    DeviceClass,
    DeviceClassSpec,
    DeviceRequest,
    DeviceRequestAllocationResult,
    DeviceSelector,
    DeviceSubRequest,
    DeviceTaint,
    DeviceTaintRule,
    DeviceTaintRuleSpec,
    DeviceTaintSelector,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimConsumerReference,
    ResourceClaimSpec,
    ResourceClaimStatus,
    ResourcePool,
    ResourceSlice,
    ResourceSliceSpec,
)

DRIVER = "gpu.example.com"


@dataclass(frozen=True, slots=True)
class ResourceClaimBuilder:
    """Builds a `ResourceClaim`; ``obj()`` gives it."""

    _claim: ResourceClaim

    def obj(self) -> ResourceClaim:
        """The claim."""
        return self._claim

    def namespace(self, namespace: str) -> ResourceClaimBuilder:
        """In that namespace instead of ``default``."""
        return self._meta(namespace=namespace, uid=f"{namespace}/{self._claim.metadata.name}")

    def uid(self, uid: str) -> ResourceClaimBuilder:
        """Another object of the same name."""
        return self._meta(uid=uid)

    def version(self, version: int) -> ResourceClaimBuilder:
        """At that resourceVersion."""
        return self._meta(resource_version=str(version))

    def owner(self, pod: Pod) -> ResourceClaimBuilder:
        """Made for the pod."""
        owner = OwnerReference("v1", "Pod", pod.name, pod.uid, controller=True)
        return self._meta(owner_references=(owner,))

    def annotation(self, key: str, value: str) -> ResourceClaimBuilder:
        """With one more annotation."""
        return self._meta(annotations=FrozenMap({**self._claim.metadata.annotations, key: value}))

    def label(self, key: str, value: str) -> ResourceClaimBuilder:
        """With one more label."""
        return self._meta(labels=FrozenMap({**self._claim.metadata.labels, key: value}))

    def finalizer(self, name: str) -> ResourceClaimBuilder:
        """With one more finalizer."""
        return self._meta(finalizers=(*self._claim.metadata.finalizers, name))

    def terminating(self) -> ResourceClaimBuilder:
        """Being deleted."""
        return self._meta(deletion_timestamp="2026-01-01T00:00:00Z")

    def request(
        self, name: str, device_class: str = DRIVER, **exactly: Any
    ) -> ResourceClaimBuilder:
        """Asks for one device more of the class, or as the fields of the request say."""
        fields = {"allocation_mode": EXACT_COUNT, "count": 1, **exactly}
        wanted = ExactDeviceRequest(device_class, **fields)
        return self._request(DeviceRequest(name, exactly=wanted))

    def first_of(self, name: str, *alternatives: DeviceSubRequest) -> ResourceClaimBuilder:
        """Asks for the first of these that can be had; see `alternative`."""
        return self._request(DeviceRequest(name, first_available=alternatives))

    def allocated(
        self, *devices: str, node: str = "", pool: str = "", request: str = "gpu", **fields: Any
    ) -> ResourceClaimBuilder:
        """Has these devices.

        Args:
            devices: by name.
            node: where they can be used; everywhere if empty.
            pool: of the devices; the node if empty.
            request: what they were allocated for.
            fields: of each device's result.
        """
        results = tuple(
            DeviceRequestAllocationResult(request, DRIVER, pool or node, device, **fields)
            for device in devices
        )
        selector = None
        if node:
            term = NodeSelectorTerm(
                match_fields=(NodeSelectorRequirement("metadata.name", "In", (node,)),)
            )
            selector = NodeSelector((term,))
        allocation = AllocationResult(DeviceAllocationResult(results), selector)
        return self._status(allocation=allocation)

    def allocated_at(self, timestamp: str) -> ResourceClaimBuilder:
        """Allocated at that moment; after `allocated`."""
        allocation = self._claim.status.allocation
        assert allocation is not None, "call allocated() first"
        return self._status(allocation=replace(allocation, allocation_timestamp=timestamp))

    def reserved_for(self, *pods: Pod) -> ResourceClaimBuilder:
        """These pods may use it."""
        consumers = tuple(ResourceClaimConsumerReference("pods", p.name, p.uid) for p in pods)
        return self._status(reserved_for=self._claim.status.reserved_for + consumers)

    def _request(self, request: DeviceRequest) -> ResourceClaimBuilder:
        requests = (*self._claim.spec.devices.requests, request)
        spec = ResourceClaimSpec(DeviceClaim(requests))
        return ResourceClaimBuilder(replace(self._claim, spec=spec))

    def _meta(self, **changes: Any) -> ResourceClaimBuilder:
        metadata = replace(self._claim.metadata, **changes)
        return ResourceClaimBuilder(replace(self._claim, metadata=metadata))

    def _status(self, **changes: Any) -> ResourceClaimBuilder:
        status = replace(self._claim.status, **changes)
        return ResourceClaimBuilder(replace(self._claim, status=status))


@dataclass(frozen=True, slots=True)
class DeviceClassBuilder:
    """Builds a `DeviceClass`; ``obj()`` gives it."""

    _class: DeviceClass

    def obj(self) -> DeviceClass:
        """The class."""
        return self._class

    def selector(self, expression: str) -> DeviceClassBuilder:
        """Has only devices that the CEL expression selects."""
        selectors = (*self._class.spec.selectors, DeviceSelector(CELDeviceSelector(expression)))
        return self._spec(selectors=selectors)

    def extended_resource(self, name: str) -> DeviceClassBuilder:
        """Provides that resource."""
        return self._spec(extended_resource_name=name)

    def created(self, when: str) -> DeviceClassBuilder:
        """Made at that moment."""
        metadata = replace(self._class.metadata, creation_timestamp=when)
        return DeviceClassBuilder(replace(self._class, metadata=metadata))

    def _spec(self, **changes: Any) -> DeviceClassBuilder:
        return DeviceClassBuilder(replace(self._class, spec=replace(self._class.spec, **changes)))


@dataclass(frozen=True, slots=True)
class SliceBuilder:
    """Builds a `ResourceSlice`; ``obj()`` gives it."""

    _slice: ResourceSlice

    def obj(self) -> ResourceSlice:
        """The slice."""
        return self._slice

    def devices(self, *names: str) -> SliceBuilder:
        """Offers these devices."""
        return self.device(*map(Device, names))

    def device(self, *devices: Device) -> SliceBuilder:
        """Offers these devices, as they are."""
        spec = replace(self._slice.spec, devices=(*self._slice.spec.devices, *devices))
        return SliceBuilder(replace(self._slice, spec=spec))


def make_resource_claim(name: str) -> ResourceClaimBuilder:
    """An unallocated claim in ``default`` that asks for nothing yet."""
    metadata = ObjectMeta(
        name=name, namespace="default", uid=f"default/{name}", resource_version="1"
    )
    return ResourceClaimBuilder(ResourceClaim(metadata, status=ResourceClaimStatus()))


def alternative(name: str, device_class: str = DRIVER, *, count: int = 1) -> DeviceSubRequest:
    """One way to serve a request."""
    return DeviceSubRequest(name, device_class, allocation_mode=EXACT_COUNT, count=count)


def make_device_class(name: str = DRIVER) -> DeviceClassBuilder:
    """A class of all devices."""
    metadata = ObjectMeta(name=name, uid=name, resource_version="1")
    return DeviceClassBuilder(DeviceClass(metadata, DeviceClassSpec()))


def make_taint_rule(name: str, *, driver: str = DRIVER, key: str = "broken") -> DeviceTaintRule:
    """All devices of the driver must not be given to anybody more."""
    rule = DeviceTaintRuleSpec(
        DeviceTaint(key, "NoSchedule"), device_selector=DeviceTaintSelector(driver=driver)
    )
    return DeviceTaintRule(ObjectMeta(name=name, uid=name, resource_version="1"), rule)


def make_slice(node: str, *, driver: str = DRIVER) -> SliceBuilder:
    """A slice of a node's own pool, complete, without devices yet."""
    metadata = ObjectMeta(name=f"{node}-{driver}", resource_version="1")
    pool = ResourcePool(node, generation=1, resource_slice_count=1)
    return SliceBuilder(ResourceSlice(metadata, ResourceSliceSpec(driver, pool, node_name=node)))
