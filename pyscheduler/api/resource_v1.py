"""`resource.k8s.io/v1`: claims for devices, the classes they name, the slices that offer devices.

Left out, because no decision depends on it:

* claim status: the data and network data of a device (they are the driver's, and a merge patch of
  the status leaves them alone)
* templates: claims are made out of them by a controller; the scheduler only sees the claims
* taint rules: their status
* fields of alpha gates: lists as attributes, derived attributes, optional node operations, node
  allocatable resources

Quantities stay as written. Unset booleans and counts read as what they mean: False, and 0.

Source: `k8s.io/api/resource/v1/types.go`, 1.37.
"""

import msgspec

from pyscheduler.api.core_v1 import NodeSelector
from pyscheduler.api.frozen_map import EMPTY, FrozenMap, StringMap
from pyscheduler.api.meta import KubeStruct, ObjectMeta

#: A JSON object that is passed on without being understood.
JsonMap = FrozenMap[str, object]

#: Keeps a claim from being removed while it is allocated.
FINALIZER = "resource.kubernetes.io/delete-protection"

#: Marks the claim that the scheduler made for a pod's extended resources; "true".
EXTENDED_RESOURCE_CLAIM_ANNOTATION = "resource.kubernetes.io/extended-resource-claim"

#: On a generated claim: which of the pod's `resourceClaims` it was made for.
POD_RESOURCE_CLAIM_ANNOTATION = "resource.kubernetes.io/pod-claim-name"

#: Extended resource that every class has implicitly: the prefix, then the name of the class.
DEVICE_CLASS_RESOURCE_PREFIX = "deviceclass.resource.kubernetes.io/"

#: How many consumers may reserve one claim.
RESERVED_FOR_MAX = 256

#: How many devices one claim may be allocated.
ALLOCATION_RESULTS_MAX = 32

EXACT_COUNT = "ExactCount"
ALL_DEVICES = "All"

TAINT_EFFECT_NONE = "None"

FROM_CLASS = "FromClass"
FROM_CLAIM = "FromClaim"


# --- what claims, classes and allocations share ---------------------------------------------------


class CELDeviceSelector(KubeStruct, frozen=True):
    """An expression over `device`."""

    expression: str


class DeviceSelector(KubeStruct, frozen=True):
    """One way to select devices; one without a known way cannot be understood."""

    cel: CELDeviceSelector | None = None


class OpaqueDeviceConfiguration(KubeStruct, frozen=True):
    """Settings for one driver, passed on as they are."""

    driver: str
    parameters: JsonMap = EMPTY


class DeviceToleration(KubeStruct, frozen=True):
    """Which device taints are accepted; operator Exists or Equal, empty means Equal."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class DeviceTaint(KubeStruct, frozen=True):
    """A reason not to use a device; effect None, NoSchedule or NoExecute."""

    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


# --- slices ---------------------------------------------------------------------------------------


class ResourcePool(KubeStruct, frozen=True):
    """Which pool a slice belongs to; only slices of the newest generation count."""

    name: str
    generation: int = 0
    #: how many slices the pool has in this generation
    resource_slice_count: int = 0


class Counter(KubeStruct, frozen=True):
    """A quantity that devices of a pool share."""

    value: str


CounterMap = FrozenMap[str, Counter]


class CounterSet(KubeStruct, frozen=True):
    """What the partitions of one physical device share."""

    name: str
    counters: CounterMap = EMPTY


class DeviceCounterConsumption(KubeStruct, frozen=True):
    """What a device takes out of a counter set while it is allocated."""

    counter_set: str = ""
    counters: CounterMap = EMPTY
    #: alpha (DRADeviceCompatibilityGroups); slices that use them are passed over
    compatibility_groups: tuple[str, ...] = ()


class DeviceAttribute(KubeStruct, frozen=True):
    """A typed value; exactly one field is set."""

    int_value: int | None = msgspec.field(default=None, name="int")
    bool_value: bool | None = msgspec.field(default=None, name="bool")
    string_value: str | None = msgspec.field(default=None, name="string")
    version_value: str | None = msgspec.field(default=None, name="version")


class CapacityRequestPolicyRange(KubeStruct, frozen=True):
    """Requests from `min` to `max` in steps; `max` absent: the whole capacity."""

    min: str | None = None
    max: str | None = None
    step: str | None = None


class CapacityRequestPolicy(KubeStruct, frozen=True):
    """What one request may consume of a capacity; `default` if it says nothing."""

    default: str | None = None
    valid_values: tuple[str, ...] = ()
    valid_range: CapacityRequestPolicyRange | None = None


class DeviceCapacity(KubeStruct, frozen=True):
    """How much a device has, and how it may be shared out."""

    value: str
    request_policy: CapacityRequestPolicy | None = None


AttributeMap = FrozenMap[str, DeviceAttribute]
CapacityMap = FrozenMap[str, DeviceCapacity]


class Device(KubeStruct, frozen=True):
    """One device of a slice."""

    name: str
    attributes: AttributeMap = EMPTY
    capacity: CapacityMap = EMPTY
    consumes_counters: tuple[DeviceCounterConsumption, ...] = ()
    #: where it can be used, in slices with `per_device_node_selection`; else unset
    node_name: str | None = None
    node_selector: NodeSelector | None = None
    all_nodes: bool = False
    taints: tuple[DeviceTaint, ...] = ()
    #: an allocation of the device is for the chosen node alone
    binds_to_node: bool = False
    #: conditions that must become true before the pod is bound
    binding_conditions: tuple[str, ...] = ()
    #: conditions any of which means that the allocation is of no use
    binding_failure_conditions: tuple[str, ...] = ()
    #: several claims may share it, as far as its capacity goes
    allow_multiple_allocations: bool = False


class ResourceSliceSpec(KubeStruct, frozen=True):
    """A part of a driver's pool; where it is used is said by exactly one of four fields."""

    driver: str
    pool: ResourcePool
    node_name: str | None = None
    node_selector: NodeSelector | None = None
    all_nodes: bool = False
    per_device_node_selection: bool = False
    devices: tuple[Device, ...] = ()
    shared_counters: tuple[CounterSet, ...] = ()


class ResourceSlice(KubeStruct, frozen=True):
    """Devices that a driver offers."""

    metadata: ObjectMeta
    spec: ResourceSliceSpec


# --- taint rules ----------------------------------------------------------------------------------


class DeviceTaintSelector(KubeStruct, frozen=True):
    """All that are set must match; none set: every device."""

    driver: str | None = None
    pool: str | None = None
    device: str | None = None


class DeviceTaintRuleSpec(KubeStruct, frozen=True):
    """A taint, and the devices that have it; without a selector: none."""

    taint: DeviceTaint
    device_selector: DeviceTaintSelector | None = None


class DeviceTaintRule(KubeStruct, frozen=True):
    """An administrator's taint, which devices have besides those in their slices."""

    metadata: ObjectMeta
    spec: DeviceTaintRuleSpec


# --- classes --------------------------------------------------------------------------------------


class DeviceClassConfiguration(KubeStruct, frozen=True):
    """Settings for every device that is allocated through the class."""

    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClassSpec(KubeStruct, frozen=True):
    """Which devices belong to the class, and how they are set up."""

    selectors: tuple[DeviceSelector, ...] = ()
    config: tuple[DeviceClassConfiguration, ...] = ()
    extended_resource_name: str | None = None


class DeviceClass(KubeStruct, frozen=True):
    """A named selection of devices, which requests refer to."""

    metadata: ObjectMeta
    spec: DeviceClassSpec = DeviceClassSpec()


# --- claims ---------------------------------------------------------------------------------------


class CapacityRequirements(KubeStruct, frozen=True):
    """How much of a shared device is asked for: qualified name -> quantity."""

    requests: StringMap = EMPTY


class ExactDeviceRequest(KubeStruct, frozen=True):
    """Devices of one class."""

    device_class_name: str
    selectors: tuple[DeviceSelector, ...] = ()
    #: ExactCount or All; empty means ExactCount
    allocation_mode: str = ""
    count: int = 0
    admin_access: bool | None = None
    tolerations: tuple[DeviceToleration, ...] = ()
    capacity: CapacityRequirements | None = None


class DeviceSubRequest(KubeStruct, frozen=True):
    """One alternative of a request."""

    name: str
    device_class_name: str
    selectors: tuple[DeviceSelector, ...] = ()
    allocation_mode: str = ""
    count: int = 0
    tolerations: tuple[DeviceToleration, ...] = ()
    capacity: CapacityRequirements | None = None


class DeviceRequest(KubeStruct, frozen=True):
    """Exactly this, or the first of these that can be had."""

    name: str
    exactly: ExactDeviceRequest | None = None
    first_available: tuple[DeviceSubRequest, ...] = ()


class DeviceConstraint(KubeStruct, frozen=True):
    """What the devices of several requests must have in common, or not; no requests: of all."""

    requests: tuple[str, ...] = ()
    match_attribute: str | None = None
    distinct_attribute: str | None = None


class DeviceClaimConfiguration(KubeStruct, frozen=True):
    """Settings for the devices of some requests; none named: of all."""

    requests: tuple[str, ...] = ()
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClaim(KubeStruct, frozen=True):
    """The devices that are wanted."""

    requests: tuple[DeviceRequest, ...] = ()
    constraints: tuple[DeviceConstraint, ...] = ()
    config: tuple[DeviceClaimConfiguration, ...] = ()


class ResourceClaimSpec(KubeStruct, frozen=True):
    """What a claim asks for; it never changes."""

    devices: DeviceClaim = DeviceClaim()


class DeviceRequestAllocationResult(KubeStruct, frozen=True):
    """One device, and what it was allocated for: `request` or `request/subrequest`."""

    request: str
    driver: str
    pool: str
    device: str
    admin_access: bool | None = None
    tolerations: tuple[DeviceToleration, ...] = ()
    binding_conditions: tuple[str, ...] = ()
    binding_failure_conditions: tuple[str, ...] = ()
    #: tells apart the shares of a device that allows several allocations
    share_id: str | None = msgspec.field(default=None, name="shareID")
    #: qualified name -> quantity
    consumed_capacity: StringMap = EMPTY


class DeviceAllocationConfiguration(KubeStruct, frozen=True):
    """Settings that go with an allocation; source FromClass or FromClaim."""

    source: str
    requests: tuple[str, ...] = ()
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceAllocationResult(KubeStruct, frozen=True):
    """All devices of a claim."""

    results: tuple[DeviceRequestAllocationResult, ...] = ()
    config: tuple[DeviceAllocationConfiguration, ...] = ()


class AllocationResult(KubeStruct, frozen=True):
    """What a claim was given, and where it can be used; no selector: everywhere."""

    devices: DeviceAllocationResult = DeviceAllocationResult()
    node_selector: NodeSelector | None = None
    allocation_timestamp: str | None = None


class ResourceClaimConsumerReference(KubeStruct, frozen=True):
    """Who may use an allocated claim."""

    resource: str
    name: str
    uid: str
    api_group: str = ""


class Condition(KubeStruct, frozen=True):
    """`meta/v1` condition of a device."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class AllocatedDeviceStatus(KubeStruct, frozen=True):
    """What a driver reports of one device of the allocation."""

    driver: str
    pool: str
    device: str
    share_id: str | None = msgspec.field(default=None, name="shareID")
    conditions: tuple[Condition, ...] = ()


class ResourceClaimStatus(KubeStruct, frozen=True):
    """What became of a claim."""

    allocation: AllocationResult | None = None
    reserved_for: tuple[ResourceClaimConsumerReference, ...] = ()
    devices: tuple[AllocatedDeviceStatus, ...] = ()


class ResourceClaim(KubeStruct, frozen=True):
    """A claim for devices."""

    metadata: ObjectMeta
    spec: ResourceClaimSpec = ResourceClaimSpec()
    status: ResourceClaimStatus = ResourceClaimStatus()
