"""One replica ends, another goes on: what the audit log says of when and how."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tests.controlplane.audit import AuditLog, Entry
from tests.e2e.claims import assert_nothing_forbidden, scheduler_audit
from tests.e2e.providers.base import Provider

#: Of a request whose client went away. It may have been carried out all the same.
GATEWAY_TIMEOUT = 504


@dataclass(frozen=True, slots=True)
class Takeover:
    """When the Lease changed hands, as the API server saw it; unix seconds.

    Attributes:
        last_renewal_s: when the old leader's last successful write of the Lease arrived.
        taken_s: when the new leader's first one was answered.
        first_binding_s: when the new leader's first binding request arrived.
    """

    last_renewal_s: float
    taken_s: float
    first_binding_s: float

    @classmethod
    def between(cls, audit: AuditLog, *, old: str, new: str) -> Takeover:
        """Returns the takeover of one pod's Lease by another pod; both have bound pods."""
        return cls(
            last_renewal_s=lease_writes(audit.of_pod(old))[-1].received_s,
            taken_s=lease_writes(audit.of_pod(new))[0].time_s,
            first_binding_s=audit.of_pod(new).binding_attempts()[0].received_s,
        )


def lease_writes(audit: AuditLog) -> list[Entry]:
    """Returns the successful writes of a Lease, oldest first."""
    return [
        entry
        for entry in audit.completed
        if entry.resource == "leases"
        and entry.verb in ("create", "update", "patch")
        and entry.status in (200, 201)
    ]


async def assert_bound_once_though_killed(provider: Provider, *, killed: str, pods: int) -> None:
    """So many pods are bound, each by one binding; those that a kill cut off may count.

    The server answers 504 to nobody when the one who asked is gone, and binds the pod or does not.
    Who comes after cannot bind it again, and no other binding of it is asked for with success.
    """
    audit = await scheduler_audit(provider)
    attempts: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in audit.binding_attempts():
        cut_off = entry.status == GATEWAY_TIMEOUT and entry.user_pod == killed
        if entry.status == 201 or cut_off:
            attempts[entry.name].append(entry)
    bound = {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in await provider.pods()
        if pod["spec"].get("nodeName")
    }
    assert len(bound) == pods
    for name, node in bound.items():
        successful = [entry for entry in attempts[name] if entry.status == 201]
        deciding = successful or attempts[name]
        assert [entry.target_node for entry in deciding] == [node], name
    assert_nothing_forbidden(audit)
