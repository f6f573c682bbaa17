"""`apps/v1`: the workloads whose selectors say which pods belong together.

Apart from `core_v1` because they are another group, and read for nothing but the default spreading
of pods.
"""

from pyscheduler.api.meta import KubeStruct, LabelSelector, ObjectMeta


class ReplicaSetSpec(KubeStruct, frozen=True):
    """Which pods are the set's."""

    selector: LabelSelector | None = None


class ReplicaSet(KubeStruct, frozen=True):
    """So many equal pods, usually on behalf of a Deployment."""

    metadata: ObjectMeta
    spec: ReplicaSetSpec = ReplicaSetSpec()


class StatefulSetSpec(KubeStruct, frozen=True):
    """Which pods are the set's."""

    selector: LabelSelector | None = None


class StatefulSet(KubeStruct, frozen=True):
    """Pods with a number and storage of their own."""

    metadata: ObjectMeta
    spec: StatefulSetSpec = StatefulSetSpec()
