"""The real place: etcd and kube-apiserver, with ServiceAccount admission and an audit log.

Nodes are plain objects that nobody looks after: without a controller-manager they stay Ready, and
with no kubelet or controller beside it, the machine's cores go to the servers and to whoever is
measured. Pods that are deleted with no grace period are gone at once, victims of preemption too.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from benchmarks.places.place import Access, Place
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.identities import KUBE_SCHEDULER

REAL = "real"

#: The processes whose CPU time is the servers'.
_SERVERS = ("etcd", "kube-apiserver")


@contextlib.asynccontextmanager
async def real_place(*, feature_gates: Mapping[str, bool] | None = None) -> AsyncIterator[Place]:
    """Yields an empty control plane; it is gone afterwards.

    Args:
        feature_gates: of kube-apiserver, so that it stores the fields that a workload is about.
    """
    async with ControlPlane.start(controller_manager=False, feature_gates=feature_gates) as plane:
        yield place_of(plane)


def place_of(plane: ControlPlane) -> Place:
    """Returns a control plane as a place to measure on."""
    return Place(
        REAL,
        plane.api,
        plane.folder,
        plane.audit_path,
        access_to(plane),
        tuple(process for process in plane.processes if process.name in _SERVERS),
    )


def access_to(plane: ControlPlane) -> Access:
    """Returns how a scheduler gets to it."""
    return Access(
        plane.server,
        plane.kubeconfig(KUBE_SCHEDULER),
        plane.identities.tokens[KUBE_SCHEDULER],
        plane.identities.certificate_authority,
    )
