"""`core/v1`: pods, nodes, namespaces and bindings as the scheduler sees them.

Declarations only; decoding and sharing is `codec`'s, rules live in `resources`, `selectors`,
`taints`, `host_ports` and `images`. Kubernetes' field names in snake_case.

Dropped on decode, because neither scheduling nor a plugin is expected to ask for it:

* metadata: managedFields, finalizers, selfLink, deletionGracePeriodSeconds, and the annotation
  `kubectl.kubernetes.io/last-applied-configuration`
* containers: probes, env, envFrom, lifecycle, command, args, workingDir, volumeMounts,
  volumeDevices, securityContext, imagePullPolicy, resizePolicy, terminationMessage*, stdin, tty
* pods: ephemeralContainers, securityContext, imagePullSecrets, hostAliases, dnsPolicy, dnsConfig,
  readinessGates, enableServiceLinks, setHostnameAsFQDN, automountServiceAccountToken,
  shareProcessNamespace, hostPID, hostIPC
* volumes whose source decides nothing (configMap, secret, projected, emptyDir, hostPath, ...), so
  also the `kube-api-access-<random>` volume that admission adds to every pod
* pod status: IPs, QoS class, messages, container states, ids and images
* node status: addresses, nodeInfo, daemonEndpoints, volumesAttached, volumesInUse, config

Source: `k8s.io/api/core/v1/types.go`, 1.37.
"""

import msgspec

from pyscheduler.api.frozen_map import EMPTY, StringMap
from pyscheduler.api.meta import KubeStruct, LabelSelector, ObjectMeta

# --- affinity -----------------------------------------------------------------------------------


class NodeSelectorRequirement(KubeStruct, frozen=True):
    """In, NotIn, Exists, DoesNotExist, Gt or Lt on a node's label or field."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(KubeStruct, frozen=True):
    """All requirements must hold; a term without any matches no node."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(KubeStruct, frozen=True):
    """One of the terms must match."""

    node_selector_terms: tuple[NodeSelectorTerm, ...]


class PreferredSchedulingTerm(KubeStruct, frozen=True):
    """A node that matches `preference` gains `weight` (1-100)."""

    weight: int
    preference: NodeSelectorTerm


class NodeAffinity(KubeStruct, frozen=True):
    """Which nodes a pod must and would like to run on."""

    required: NodeSelector | None = msgspec.field(
        default=None, name="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: tuple[PreferredSchedulingTerm, ...] = msgspec.field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class PodAffinityTerm(KubeStruct, frozen=True):
    """Pods selected by labels and namespaces, co-located by `topology_key`."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(KubeStruct, frozen=True):
    """A preferred term with its weight (1-100)."""

    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(KubeStruct, frozen=True):
    """Pods to be near."""

    required: tuple[PodAffinityTerm, ...] = msgspec.field(
        default=(), name="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: tuple[WeightedPodAffinityTerm, ...] = msgspec.field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class PodAntiAffinity(KubeStruct, frozen=True):
    """Pods to be away from."""

    required: tuple[PodAffinityTerm, ...] = msgspec.field(
        default=(), name="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: tuple[WeightedPodAffinityTerm, ...] = msgspec.field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(KubeStruct, frozen=True):
    """A pod's affinities."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class TopologySpreadConstraint(KubeStruct, frozen=True):
    """How evenly matching pods spread over the domains of `topology_key`."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: tuple[str, ...] = ()


class Toleration(KubeStruct, frozen=True):
    """Which taints a pod accepts; operator Exists, Equal, and (alpha) Gt, Lt."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


# --- containers ---------------------------------------------------------------------------------


class ResourceClaim(KubeStruct, frozen=True):
    """A container's use of one of the pod's claims."""

    name: str
    request: str = ""


class ResourceRequirements(KubeStruct, frozen=True):
    """Quantities by resource name, as written."""

    requests: StringMap = EMPTY
    limits: StringMap = EMPTY
    claims: tuple[ResourceClaim, ...] = ()


NO_RESOURCES = ResourceRequirements()


class ContainerPort(KubeStruct, frozen=True):
    """A port a container listens on; `host_port` 0 means none."""

    container_port: int = 0
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"
    name: str = ""


class ContainerRestartRule(KubeStruct, frozen=True):
    """What is done when a container ends in a certain way."""

    action: str = ""


class VolumeMount(KubeStruct, frozen=True):
    """A mount, as far as it asks something of the node."""

    name: str = ""
    bind_mount_options: tuple[str, ...] = ()


class Container(KubeStruct, frozen=True):
    """A container; `restart_policy` Always makes an init container a sidecar."""

    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = NO_RESOURCES
    restart_policy: str = ""
    restart_policy_rules: tuple[ContainerRestartRule, ...] = ()
    #: those that ask something of the node; the others are dropped
    volume_mounts: tuple[VolumeMount, ...] = ()


# --- volumes ------------------------------------------------------------------------------------


class PersistentVolumeClaimVolumeSource(KubeStruct, frozen=True):
    """A claim in the pod's namespace."""

    claim_name: str
    read_only: bool = False


class PersistentVolumeClaimSpec(KubeStruct, frozen=True):
    """What a claim asks for; also in the claim templates of ephemeral volumes."""

    access_modes: tuple[str, ...] = ()
    resources: ResourceRequirements = NO_RESOURCES
    #: None: what the default class is when the claim is made; "": only volumes without a class
    storage_class_name: str | None = None
    volume_name: str = ""
    volume_mode: str | None = None
    selector: LabelSelector | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimTemplate(KubeStruct, frozen=True):
    """The claim that will be made for an ephemeral volume."""

    spec: PersistentVolumeClaimSpec
    metadata: ObjectMeta = ObjectMeta()


class EphemeralVolumeSource(KubeStruct, frozen=True):
    """A claim named `<pod>-<volume>`, made by a controller."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class GCEPersistentDiskVolumeSource(KubeStruct, frozen=True):
    """A GCE disk."""

    pd_name: str
    read_only: bool = False


class AWSElasticBlockStoreVolumeSource(KubeStruct, frozen=True):
    """An EBS volume."""

    volume_id: str = msgspec.field(name="volumeID")
    read_only: bool = False


class ISCSIVolumeSource(KubeStruct, frozen=True):
    """An iSCSI disk."""

    target_portal: str
    iqn: str
    lun: int = 0
    read_only: bool = False


class RBDVolumeSource(KubeStruct, frozen=True):
    """A Ceph block device."""

    monitors: tuple[str, ...]
    image: str
    pool: str = "rbd"
    read_only: bool = False


class CinderVolumeSource(KubeStruct, frozen=True):
    """An OpenStack volume."""

    volume_id: str = msgspec.field(name="volumeID")
    read_only: bool = False


class AzureDiskVolumeSource(KubeStruct, frozen=True):
    """An Azure disk; only the kind Managed has a CSI driver."""

    disk_uri: str = msgspec.field(name="diskURI")
    kind: str | None = None
    read_only: bool | None = None


class AzureFileVolumeSource(KubeStruct, frozen=True):
    """An Azure file share; the namespace is that of the secret, for persistent volumes alone."""

    secret_name: str
    share_name: str
    secret_namespace: str | None = None
    read_only: bool = False


class VsphereVirtualDiskVolumeSource(KubeStruct, frozen=True):
    """A vSphere disk."""

    volume_path: str


class PortworxVolumeSource(KubeStruct, frozen=True):
    """A Portworx volume."""

    volume_id: str = msgspec.field(name="volumeID")
    read_only: bool = False


class CSIVolumeSource(KubeStruct, frozen=True):
    """An inline CSI volume."""

    driver: str
    read_only: bool = False


class ImageVolumeSource(KubeStruct, frozen=True):
    """An image mounted as a volume."""

    reference: str = ""


class Volume(KubeStruct, frozen=True):
    """A volume whose source may decide where the pod can run."""

    name: str
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    image: ImageVolumeSource | None = None

    @property
    def decides_nothing(self) -> bool:
        """Whether no source is left that a scheduler would look at."""
        return (
            self.persistent_volume_claim is None
            and self.ephemeral is None
            and self.csi is None
            and self.image is None
            and self.gce_persistent_disk is None
            and self.aws_elastic_block_store is None
            and self.iscsi is None
            and self.rbd is None
            and self.cinder is None
            and self.azure_disk is None
            and self.azure_file is None
            and self.vsphere_volume is None
            and self.portworx_volume is None
        )


# --- pods ---------------------------------------------------------------------------------------


class PodSchedulingGate(KubeStruct, frozen=True):
    """Something that must be removed before the pod may be scheduled."""

    name: str


class PodResourceClaim(KubeStruct, frozen=True):
    """A claim of the pod: an existing one, or one made from a template."""

    name: str
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodOS(KubeStruct, frozen=True):
    """The pod's operating system."""

    name: str


class PodSpec(KubeStruct, frozen=True):
    """What a pod wants; see the module for what is dropped."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    node_name: str = ""
    scheduler_name: str = "default-scheduler"
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    node_selector: StringMap = EMPTY
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    resource_claims: tuple[PodResourceClaim, ...] = ()
    resources: ResourceRequirements | None = None
    overhead: StringMap = EMPTY
    host_network: bool = False
    host_users: bool | None = None
    hostname: str = ""
    subdomain: str = ""
    os: PodOS | None = None
    runtime_class_name: str | None = None
    service_account_name: str = ""
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None


class PodCondition(KubeStruct, frozen=True):
    """One condition of a pod; times as the API writes them."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class ContainerStatus(KubeStruct, frozen=True):
    """What the kubelet allocated and actuated for one container."""

    name: str
    resources: ResourceRequirements | None = None
    allocated_resources: StringMap = EMPTY


class PodResourceClaimStatus(KubeStruct, frozen=True):
    """Which claim was made for one of the pod's claim templates."""

    name: str
    resource_claim_name: str | None = None


class PodStatus(KubeStruct, frozen=True):
    """What became of a pod, as far as scheduling asks."""

    phase: str = ""
    nominated_node_name: str = ""
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    resource_claim_statuses: tuple[PodResourceClaimStatus, ...] = ()
    #: Pod-level: what the kubelet actuated and allocated.
    resources: ResourceRequirements | None = None
    allocated_resources: StringMap = EMPTY
    start_time: str | None = None
    reason: str = ""
    observed_generation: int = 0


class Pod(KubeStruct, frozen=True):
    """A pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
    #: The JSON it was read from, complete, where extenders need it; else empty.
    raw: bytes = b""

    @property
    def name(self) -> str:
        """The name within the namespace."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """The identity; a pod made again under the same name has another."""
        return self.metadata.uid

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def labels(self) -> StringMap:
        """The labels."""
        return self.metadata.labels

    @property
    def annotations(self) -> StringMap:
        """The annotations."""
        return self.metadata.annotations

    @property
    def node_name(self) -> str:
        """The node it is bound to, or ""."""
        return self.spec.node_name

    @property
    def priority(self) -> int:
        """The priority; 0 when admission set none."""
        return self.spec.priority or 0

    @property
    def scheduler_name(self) -> str:
        """The scheduler that is to place it."""
        return self.spec.scheduler_name

    @property
    def is_terminating(self) -> bool:
        """Whether deletion was asked for."""
        return self.metadata.deletion_timestamp is not None

    def condition(self, condition_type: str) -> PodCondition | None:
        """Returns the condition of that type, if it is set."""
        for condition in self.status.conditions:
            if condition.type == condition_type:
                return condition
        return None


# --- nodes --------------------------------------------------------------------------------------


class Taint(KubeStruct, frozen=True):
    """What keeps pods that do not tolerate it away."""

    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(KubeStruct, frozen=True):
    """What an administrator or a controller set on a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    provider_id: str = msgspec.field(default="", name="providerID")
    pod_cidr: str = msgspec.field(default="", name="podCIDR")


class NodeCondition(KubeStruct, frozen=True):
    """One condition of a node, without the heartbeat."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class ContainerImage(KubeStruct, frozen=True):
    """An image on a node; absent names are possible."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeStatus(KubeStruct, frozen=True):
    """What the kubelet reports of a node."""

    capacity: StringMap = EMPTY
    allocatable: StringMap = EMPTY
    conditions: tuple[NodeCondition, ...] = ()
    images: tuple[ContainerImage, ...] = ()
    declared_features: tuple[str, ...] = ()


class Node(KubeStruct, frozen=True):
    """A node."""

    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
    #: The JSON it was read from, complete, where extenders need it; else empty.
    raw: bytes = b""

    @property
    def name(self) -> str:
        """The name."""
        return self.metadata.name

    @property
    def uid(self) -> str:
        """The identity; a node made again under the same name has another."""
        return self.metadata.uid

    @property
    def labels(self) -> StringMap:
        """The labels."""
        return self.metadata.labels

    @property
    def annotations(self) -> StringMap:
        """The annotations."""
        return self.metadata.annotations

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The taints; `spec.unschedulable` is not among them unless a controller added it."""
        return self.spec.taints


# --- others -------------------------------------------------------------------------------------


class ServiceSpec(KubeStruct, frozen=True):
    """Which pods are behind the service; none selects no pods rather than all."""

    selector: StringMap = EMPTY


class Service(KubeStruct, frozen=True):
    """A name for the pods that its selector finds."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class ReplicationControllerSpec(KubeStruct, frozen=True):
    """Which pods are the controller's."""

    selector: StringMap = EMPTY


class ReplicationController(KubeStruct, frozen=True):
    """So many equal pods, as they were kept before there were ReplicaSets."""

    metadata: ObjectMeta
    spec: ReplicationControllerSpec = ReplicationControllerSpec()


class NamespaceStatus(KubeStruct, frozen=True):
    """Active or Terminating."""

    phase: str = ""


class Namespace(KubeStruct, frozen=True):
    """A namespace; its labels matter to namespace selectors."""

    metadata: ObjectMeta
    status: NamespaceStatus = NamespaceStatus()

    @property
    def name(self) -> str:
        """The name."""
        return self.metadata.name

    @property
    def labels(self) -> StringMap:
        """The labels."""
        return self.metadata.labels


class ObjectReference(KubeStruct, frozen=True):
    """Names an object; used as a binding's target and by events."""

    kind: str = ""
    api_version: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class Binding(KubeStruct, frozen=True):
    """The body of `POST pods/<name>/binding`; `metadata.uid` guards against a namesake."""

    metadata: ObjectMeta
    target: ObjectReference
