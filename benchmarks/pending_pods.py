"""Plain pods that wait on a real control plane: what benchmarks other than workloads begin with.

The nodes are plain objects that nobody looks after: without a controller-manager they stay Ready,
and with no kwok, hollow kubelet or controller beside it, the machine's cores go to etcd, the API
server and whoever is measured. Called by: `latency.py`, `memory.py`, `startup.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from benchmarks.places import contestants
from benchmarks.places.real import access_to
from tests.controlplane import load
from tests.controlplane.api_client import Manifest, Manifests
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.process import Process

#: schedulerName of the pods, whoever binds them.
SCHEDULER_NAME = "bench"


@contextlib.asynccontextmanager
async def nodes_and_no_more(nodes: int) -> AsyncIterator[ControlPlane]:
    """Yields a control plane of etcd and kube-apiserver with that many Ready nodes."""
    async with ControlPlane.start(controller_manager=False) as plane:
        await plane.create_nodes(nodes)
        yield plane


def pod_template(name: str) -> Manifest:
    return load.pod_manifest(name, scheduler_name=SCHEDULER_NAME)


@contextlib.asynccontextmanager
async def pending_pods(plane: ControlPlane, namespace: str, count: int) -> AsyncIterator[Manifests]:
    """Yields that many pending pods in a namespace of their own; afterwards the pods are gone."""
    await plane.create_namespace(namespace)
    try:
        yield await plane.create_pods(count, namespace=namespace, template=pod_template)
    finally:
        await plane.api.delete_collection(f"/api/v1/namespaces/{namespace}/pods", grace_period_s=0)


def start_pyscheduler(
    plane: ControlPlane, *, port: int = 0, program: Sequence[str] = ("-m", "pyscheduler")
) -> Process:
    """Returns this scheduler, started as a user would start it."""
    return contestants.start_pyscheduler(
        access_to(plane), plane.folder, scheduler_name=SCHEDULER_NAME, port=port, program=program
    )
