"""NearWeb: a pod with the annotation ``example.com/near-web`` runs only in zones with a web pod.

A whole plugin in one file: mounted from a ConfigMap, named in the profile's ``pluginFiles``.
"""

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import ZONE

WANTS_WEB = "example.com/near-web"
ZONES = fwk.StateKey[frozenset[str]]("NearWeb.zones")


def is_web(pod: object) -> bool:
    """A pod on a node that others want to be near to."""
    return isinstance(pod, Pod) and bool(pod.node_name) and pod.labels.get("app") == "web"


class NearWeb(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Rejects nodes of zones in which no pod labelled ``app=web`` runs."""

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Finds the zones with a web pod, once for all nodes."""
        if WANTS_WEB not in pod.annotations:
            return fwk.SKIP
        infos = map(nodes.node, range(len(nodes)))
        zones = (i.labels.get(ZONE, "") for i in infos if any(map(is_web, i.pods.values())))
        state.write(ZONES, frozenset(zones))
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Looks the node's zone up."""
        if node.labels.get(ZONE, "") in state.read(ZONES):
            return None
        return fwk.unschedulable("node(s) had no web pod in their zone")

    def events_to_register(self) -> list[fwk.ClusterEventWithHint]:
        """A pod that comes to a node or is relabelled there; a node that joins or moves."""
        pods = fwk.ClusterEvent(
            fwk.EventResource.ASSIGNED_POD, fwk.ActionType.ADD | fwk.ActionType.UPDATE_POD_LABEL
        )
        return [
            fwk.ClusterEventWithHint(pods, self.after_pod_change),
            fwk.ClusterEventWithHint(fwk.NODE_ADDED | fwk.NODE_LABELS_CHANGED),
        ]

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a pod is a web pod now and was none before."""
        becomes_web = is_web(new) and not is_web(old)
        return fwk.QueueingHint.QUEUE if becomes_web else fwk.QueueingHint.SKIP
