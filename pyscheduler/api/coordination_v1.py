"""`coordination.k8s.io/v1`: the Lease that leader election lives on.

Times are RFC 3339 with microseconds (`api.times.format_micro`).
"""

from pyscheduler.api.meta import KubeStruct, ObjectMeta


class LeaseSpec(KubeStruct, frozen=True):
    """Who holds a lease and since when."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None
    strategy: str | None = None
    preferred_holder: str | None = None


class Lease(KubeStruct, frozen=True):
    """A lease."""

    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()
