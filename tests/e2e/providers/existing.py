"""A cluster that is there already, given by a kubeconfig; nothing outside our namespaces changes.

The scheduler goes into a namespace of its own with its own cluster role bindings, the tests' pods
into a second one; both are deleted at the end. Nodes are left as they are.

    KUBECONFIG          the cluster (default `~/.kube/config`); the user must be allowed to bind the
                        role `system:kube-scheduler`
    PYSCHEDULER_IMAGE   an image of this scheduler that the cluster's nodes can run; required
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from tests.controlplane.api_client import ApiClient, ApiError, Manifest
from tests.e2e.providers.base import (
    DEPLOYMENT,
    NAMESPACE,
    SCHEDULER_NAME,
    Capability,
    Release,
    eventually,
)
from tests.e2e.providers.in_pods import InPodsProvider


class UnsuitableClusterError(Exception):
    """The suite cannot, or must not, run on the cluster it was given."""


class ExistingProvider(InPodsProvider):
    """Borrows a cluster and leaves nothing behind."""

    name: ClassVar[str] = "existing"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.REAL_KUBELETS, Capability.REAL_CONTAINERS}
    )
    namespace = "pyscheduler-e2e"
    test_namespace = "pyscheduler-e2e-pods"

    def __init__(self) -> None:
        image = os.environ.get("PYSCHEDULER_IMAGE")
        if not image:
            raise UnsuitableClusterError(
                "PYSCHEDULER_IMAGE must name an image that the cluster can run"
            )
        self.workload_image = image
        default = Path.home() / ".kube" / "config"
        self._kubeconfig = Path(os.environ.get("KUBECONFIG") or default)
        self._open = contextlib.AsyncExitStack()
        #: Whether there is something of ours in the cluster.
        self._is_borrowed = False

    @property
    def kubeconfig(self) -> Path:
        return self._kubeconfig

    async def start(self) -> None:
        self.api = await self._open.enter_async_context(ApiClient.connect(self.kubeconfig))
        deployments = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        if await self._exists(f"{deployments}/{DEPLOYMENT}"):
            raise UnsuitableClusterError(
                f"the cluster runs a scheduler named {SCHEDULER_NAME} already, "
                f"deployment {NAMESPACE}/{DEPLOYMENT}: it would take the tests' pods"
            )
        self._is_borrowed = True
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.test_namespace},
        }
        await self.apply([manifest])
        account = f"/api/v1/namespaces/{self.test_namespace}/serviceaccounts/default"

        async def ready() -> bool:
            return await self._exists(account)

        await eventually(ready, what="the default ServiceAccount")

    async def stop(self) -> None:
        if self._is_borrowed:
            bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
            for binding in await self.api.list(bindings):
                name = binding["metadata"]["name"]
                if name.startswith("pyscheduler-") and name.endswith("-e2e"):
                    await self.api.delete(f"{bindings}/{name}")
            for namespace in (self.test_namespace, self.namespace):
                await self.api.delete(f"/api/v1/namespaces/{namespace}")
            self._is_borrowed = False
        await self._open.aclose()

    async def render(self, release: Release) -> list[Manifest]:
        """Returns the release's objects, moved into our namespace."""
        image = release.image or self.workload_image
        objects = await super().render(replace(release, image=image))
        return [self._moved(manifest) for manifest in objects]

    def _moved(self, manifest: Manifest) -> Manifest:
        kind, metadata = manifest["kind"], manifest["metadata"]
        if kind == "Namespace":
            metadata["name"] = self.namespace
        elif kind == "ClusterRoleBinding":
            metadata["name"] += "-e2e"
        else:
            metadata["namespace"] = self.namespace
        for subject in manifest.get("subjects", []):
            subject["namespace"] = self.namespace
        if kind == "ConfigMap":
            ours, theirs = f"resourceNamespace: {self.namespace}", f"resourceNamespace: {NAMESPACE}"
            manifest["data"] = {
                key: text.replace(theirs, ours) for key, text in manifest["data"].items()
            }
        return manifest

    async def _exists(self, path: str) -> bool:
        try:
            await self.api.get(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True
