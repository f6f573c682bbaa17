"""One replica ends, another goes on: what the audit log says of when and how."""

from __future__ import annotations

from dataclasses import dataclass

from tests.controlplane.audit import AuditLog, Entry


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
