"""Well-known names: labels, taints and the `namespace/name` key."""

from pyscheduler.api.meta import HasMetadata

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"

#: Labels that differ between the pods of one StatefulSet or indexed Job.
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
COMPLETION_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"

TAINT_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
TAINT_NOT_READY = "node.kubernetes.io/not-ready"
TAINT_UNREACHABLE = "node.kubernetes.io/unreachable"

NO_SCHEDULE = "NoSchedule"
PREFER_NO_SCHEDULE = "PreferNoSchedule"
NO_EXECUTE = "NoExecute"


def object_key(namespace: str, name: str) -> str:
    """Returns `namespace/name`, or `name` for an object without a namespace."""
    return f"{namespace}/{name}" if namespace else name


def key_of(subject: HasMetadata) -> str:
    """Returns the `namespace/name` of an object, or its `name` if it has no namespace."""
    return object_key(subject.metadata.namespace, subject.metadata.name)


def split_key(key: str) -> tuple[str, str]:
    """Returns (namespace, name); the namespace is "" when the key has none."""
    namespace, _, name = key.rpartition("/")
    return namespace, name
