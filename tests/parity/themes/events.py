"""A theme of what happens while a pod waits: who is woken by it, and who is left to sleep."""

from __future__ import annotations

from tests.parity.themes.base import APPS, HOSTNAME, REGION, VERSIONS, ZONE, ZONES, Draft, Theme
from tests.parity.worlds import Event, Manifest, duplicate


class Events(Theme):
    """Nodes that come and change, pods that come, change and go; one for each waiting pod."""

    name = "events"
    weight = 1.5

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        if rng.random() < 0.4:  # not everybody finds room
            pod["spec"]["containers"][0]["resources"] = {
                "requests": {"cpu": rng.choice(("15", "40"))}
            }
        kinds = [self._new_node, self._changed_node, self._changed_node]
        if draft.residents:
            kinds += [self._left, self._arrived, self._relabelled]
        draft.events[pod["metadata"]["name"]] = rng.choice(kinds)(draft, pod)

    @staticmethod
    def _new_node(draft: Draft, pod: Manifest) -> Event:
        rng = draft.rng
        node = duplicate(rng.choice(draft.nodes))
        name = f"{draft.name}-new-{pod['metadata']['name']}"
        node["metadata"]["name"] = name
        node["metadata"]["labels"][HOSTNAME] = name
        offered = node["status"]["allocatable"]
        offered["cpu"] = rng.choice(("1", "20", "100"))
        node["status"]["capacity"] = dict(offered)
        if rng.random() < 0.5:
            node["spec"] = {}
        return Event("create", node)

    @staticmethod
    def _changed_node(draft: Draft, pod: Manifest) -> Event:
        rng = draft.rng
        node = duplicate(rng.choice(draft.nodes))
        labels, spec = node["metadata"]["labels"], node["spec"]
        match rng.choice(("labels", "labels", "taints", "unschedulable", "allocatable", "nothing")):
            case "labels":
                key = rng.choice((ZONE, REGION, "disk", "rack"))
                labels[key] = rng.choice((*ZONES, "ra", "ssd", "k1", "7"))
            case "taints":
                spec["taints"] = (
                    []
                    if rng.random() < 0.6
                    else [{"key": "dedicated", "value": "b", "effect": "NoSchedule"}]
                )
            case "unschedulable":
                spec["unschedulable"] = not spec.get("unschedulable", False)
            case "allocatable":
                node["status"]["allocatable"]["cpu"] = rng.choice(("50", "1m", "16"))
                node["status"]["capacity"] = dict(node["status"]["allocatable"])
            case _:
                node["metadata"]["annotations"] = {"example.com/seen": "yes"}
        return Event("change", node)

    @staticmethod
    def _left(draft: Draft, pod: Manifest) -> Event:
        return Event("delete", draft.rng.choice(draft.residents))

    @staticmethod
    def _arrived(draft: Draft, pod: Manifest) -> Event:
        arrived = duplicate(draft.rng.choice(draft.residents))
        arrived["metadata"]["name"] = f"new-{pod['metadata']['name']}"
        arrived["metadata"]["labels"] = {"app": draft.rng.choice(APPS)}
        for container in arrived["spec"]["containers"]:
            # no kubelet would let two of them have one; what upstream makes of it is in `explained`
            container.pop("ports", None)
        return Event("create", arrived)

    @staticmethod
    def _relabelled(draft: Draft, pod: Manifest) -> Event:
        changed = duplicate(draft.rng.choice(draft.residents))
        changed["metadata"]["labels"] = {
            "app": draft.rng.choice(APPS),
            "version": draft.rng.choice(VERSIONS),
        }
        return Event("change", changed)


EVENT_THEMES = (Events(),)
