"""The ``binding`` subresource: a pod gets its node, once.

Refusals are conflicts. Capacity is not looked at: that is the scheduler's affair, and the
kubelet's.

Source: k8s.io/kubernetes 1.37 pkg/registry/core/pod/storage BindingREST; the admission plugin
PodTopologyLabels.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyscheduler.sim.api_errors import ApiError, FieldProblem, bad_request, conflict
from pyscheduler.sim.json_objects import JsonObject, JsonView, with_condition
from pyscheduler.sim.preconditions import check_preconditions

#: Node labels a pod takes over when it is bound.
_TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


def binding_node(binding: JsonView, pod_name: str) -> str:
    """The node a Binding names.

    Raises:
        ApiError: the Binding is for another pod, or its target is no node.
    """
    if (binding.get("metadata") or {}).get("name") != pod_name:
        raise bad_request("name in URL does not match name in Binding object")
    target = binding.get("target") or {}
    kind, name = target.get("kind") or "", target.get("name") or ""
    problems = []
    if kind not in ("", "Node"):
        text = f'Unsupported value: "{kind}": supported values: "Node", "<empty>"'
        problems.append(FieldProblem("target.kind", "FieldValueNotSupported", text))
    if not name:
        problems.append(FieldProblem("target.name", "FieldValueRequired", "Required value"))
    if problems:
        # kube-apiserver forgets to make this a 422.
        texts = [f"{problem.field}: {problem.message}" for problem in problems]
        text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        raise ApiError(500, "", text)
    return str(name)


def bind(
    pod: JsonObject, binding: JsonView, node_labels: Mapping[str, str], *, timestamp: str
) -> JsonObject:
    """The pod, bound.

    Raises:
        ApiError: 409, the pod is another one, is going away, is gated or has a node.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    name = metadata["name"]
    check_preconditions("pods", "", metadata, binding["metadata"])
    if "deletionTimestamp" in metadata:
        raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refused(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    metadata = {**metadata}
    if annotations := binding["metadata"].get("annotations"):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    labels = {key: node_labels[key] for key in _TOPOLOGY_LABELS if key in node_labels}
    labels |= binding["metadata"].get("labels") or {}
    if labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    condition: JsonObject = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": timestamp,
    }
    status = with_condition(pod["status"], condition)
    status.pop("nominatedNodeName", None)
    spec = {**spec, "nodeName": binding["target"]["name"]}
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def _refused(pod_name: str, text: str) -> ApiError:
    return conflict("pods/binding", "", pod_name, text)
