"""The example plugin `plugins/maintenance`: a custom resource decides, and its change wakes.

The resource's definition comes from the plugin's folder; the scheduler is given the right to read
it, as the plugin's README says.
"""

from __future__ import annotations

import json

import pytest
import yaml

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.e2e import sleepers
from tests.e2e.claims import (
    assert_nothing_forbidden,
    failed_attempts,
    hinted,
    is_asleep,
    metric,
    scheduler_audit,
)
from tests.e2e.providers.base import REPOSITORY, Provider, Release, eventually

FOLDER = REPOSITORY / "plugins/maintenance"
WINDOWS = "/apis/example.com/v1alpha1/maintenancewindows"
RACK = "example.com/rack"
#: Seconds from the closing of the window to the binding; the queue's own timers take minutes.
PROMPTLY_S = 5

PERMISSIONS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: pyscheduler-maintenance}
rules:
  - apiGroups: [example.com]
    resources: [maintenancewindows]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: pyscheduler-maintenance}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pyscheduler-maintenance}
subjects: [{kind: ServiceAccount, name: pyscheduler, namespace: pyscheduler}]
"""


@pytest.mark.needs("fake_nodes", "installed_plugins", "audit_log", "disposable")
async def test_a_window_keeps_pods_away_and_its_end_wakes_them(provider: Provider) -> None:
    await provider.create_nodes(2, labels={RACK: "7"})
    crd = yaml.safe_load((FOLDER / "crd.yaml").read_text())
    await provider.apply([crd, *yaml.safe_load_all(PERMISSIONS)])
    name = crd["metadata"]["name"]
    try:
        await provider.kubectl("wait", "--for=condition=Established", f"crd/{name}")
        await provider.api.create(WINDOWS, _window("rack-7", "7"))
        configuration = yaml.safe_load((FOLDER / "scheduler-config.yaml").read_text())
        lease = {"resourceNamespace": "pyscheduler", "resourceName": "pyscheduler"}
        configuration["leaderElection"] = lease
        await provider.deploy(Release(configuration=yaml.safe_dump(configuration)))
        replica = await provider.leader()

        await load.create_pods(provider.api, 1, namespace=provider.test_namespace, prefix="late")
        message = await sleepers.waits_saying(provider, "late-0")
        assert message.startswith("0/2 nodes are available: 2 node(s) were under maintenance.")
        await is_asleep(replica)

        # what lets go of no node wakes nobody
        await provider.api.create(WINDOWS, _window("rack-8", "8"))
        await _change(provider, {"metadata": {"labels": {"a": "b"}}})
        await hinted(replica, "Maintenance", "QueueSkip")
        assert await failed_attempts(replica) == 1

        await _change(provider, {"spec": {"open": False}})

        async def bound() -> bool:
            return all(pod["spec"].get("nodeName") for pod in await provider.pods())

        await eventually(bound, what="the pod to be bound", timeout_s=PROMPTLY_S)
        assert metric(await replica.metrics(), "scheduler_pod_scheduled_after_flush_total") == 0
        assert_nothing_forbidden(await scheduler_audit(provider))
    finally:
        await provider.undeploy()
        await provider.api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")


def _window(name: str, rack: str) -> Manifest:
    return {
        "apiVersion": "example.com/v1alpha1",
        "kind": "MaintenanceWindow",
        "metadata": {"name": name},
        "spec": {"nodeSelector": {RACK: rack}, "open": True},
    }


async def _change(provider: Provider, change: Manifest) -> None:
    """The window of rack 7 is changed; custom resources know no strategic merge patch."""
    arguments = ("patch", "maintenancewindow", "rack-7", "--type=merge")
    await provider.kubectl(*arguments, "-p", json.dumps(change))
