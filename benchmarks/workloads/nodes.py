"""``createNodes``: plain objects, no kubelet behind them.

Upstream makes nodes first and then patches them; here they are made as they shall be, except for
what is another object.

Called by: ``workloads.execution``.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.workloads.operations import CreateNodes, NodeAllocatable
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.templates import template_at
from tests.controlplane.api_client import Manifest

_HOSTNAME = "kubernetes.io/hostname"
_MIGRATED_PLUGINS = "storage.alpha.kubernetes.io/migrated-plugins"

#: Upstream's node, if no template says otherwise.
_CAPACITY = {"pods": "110", "cpu": "4", "memory": "32Gi"}


async def create_nodes(operation: CreateNodes, stage: Stage) -> None:
    """The nodes exist, and the CSINodes that go with them."""
    nodes = list(node_manifests(operation))
    stage.progress(f"{len(nodes)} nodes")
    await stage.objects.create_all(nodes)
    if strategy := operation.node_allocatable_strategy:
        await stage.objects.create_all(
            _csi_node(node["metadata"]["name"], strategy) for node in nodes
        )


def node_manifests(operation: CreateNodes) -> Iterator[Manifest]:
    """Yields the nodes, ready to be created; names are the same in every run."""
    for index in range(operation.count):
        node = _rendered(operation, index)
        metadata = node.setdefault("metadata", {})
        base = metadata.pop("generateName", "node-")
        name = metadata.setdefault("name", f"{base}{operation.position}-{index}")
        labels = metadata["labels"] = dict(metadata.get("labels") or {})
        labels[_HOSTNAME] = name
        if label := operation.label_node_prepare_strategy:
            labels[label.label_key] = label.label_values[index % len(label.label_values)]
        if unique := operation.unique_node_label_strategy:
            labels[unique.label_key] = name
        status = node.setdefault("status", {})
        # kube-apiserver takes it from the capacity, too
        status.setdefault("allocatable", dict(status.get("capacity") or {}))
        if strategy := operation.node_allocatable_strategy:
            status["allocatable"].update(strategy.node_allocatable)
        if operation.declared_features:
            features = (f"Feature{number + 1}" for number in range(operation.declared_features))
            status["declaredFeatures"] = sorted(features)
        yield node


def _rendered(operation: CreateNodes, index: int) -> Manifest:
    if operation.node_template_path is not None:
        values = {**operation.template_params, "Index": index, "Count": operation.count}
        return template_at(operation.node_template_path).render(values)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "status": {
            "capacity": dict(_CAPACITY),
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _csi_node(name: str, strategy: NodeAllocatable) -> Manifest:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": {
            "name": name,
            "annotations": {_MIGRATED_PLUGINS: ",".join(strategy.migrated_plugins)},
        },
        "spec": {
            "drivers": [
                {"name": driver, "nodeID": name, "allocatable": dict(allocatable)}
                for driver, allocatable in strategy.csi_node_allocatable.items()
            ]
        },
    }
