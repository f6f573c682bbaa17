"""Themes of what happens while a pod waits: who is woken by it, and who is left to sleep."""

from __future__ import annotations

from tests.parity.themes.base import APPS, HOSTNAME, REGION, VERSIONS, ZONE, ZONES, Draft, Theme
from tests.parity.themes.volumes import DRIVER, claim, storage_class, use, volume
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


class StorageEvents(Theme):
    """What a pod waits for to be stored comes to be: the claim, the class, a volume, capacity."""

    name = "storage events"
    weight = 1.0

    def furnish(self, draft: Draft) -> None:
        for name in ("now", "later", "local"):
            draft.add_other(storage_class(name))
        draft.add_other(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSIDriver",
                "metadata": {"name": DRIVER},
                "spec": {"attachRequired": True, "storageCapacity": True},
            }
        )

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        pod["metadata"]["namespace"] = "alpha"
        kinds = (self._claim, self._class, self._volume, self._lost_volume, self._capacity)
        draft.events[pod["metadata"]["name"]] = draft.rng.choice(kinds)(draft, pod)

    @staticmethod
    def _wanted(draft: Draft, pod: Manifest, *, storage: str, bound_to: str = "") -> Manifest:
        """The claim that the pod uses."""
        name = f"{pod['metadata']['name']}-late"
        use(pod, name)
        return claim(name, storage=storage, size="2Gi", modes=["ReadWriteOnce"], volume=bound_to)

    def _claim(self, draft: Draft, pod: Manifest) -> Event:
        return Event("create", self._wanted(draft, pod, storage=draft.rng.choice(("now", "later"))))

    def _class(self, draft: Draft, pod: Manifest) -> Event:
        made = storage_class(f"{draft.name}-{pod['metadata']['name']}-late")
        own = self._wanted(draft, pod, storage=made["metadata"]["name"])
        self._keep(draft, pod, own)
        if draft.rng.random() < 0.2:  # another one
            made["metadata"]["name"] += "-other"
        return Event("create", made)

    def _volume(self, draft: Draft, pod: Manifest) -> Event:
        self._keep(draft, pod, self._wanted(draft, pod, storage="local"))
        return self._new_volume(draft, pod)

    def _lost_volume(self, draft: Draft, pod: Manifest) -> Event:
        event = self._new_volume(draft, pod)
        made = event.manifest
        own = self._wanted(
            draft,
            pod,
            storage=made["spec"]["storageClassName"],
            bound_to=made["metadata"]["name"],
        )
        self._keep(draft, pod, own)
        return event

    @staticmethod
    def _new_volume(draft: Draft, pod: Manifest) -> Event:
        rng = draft.rng
        made = volume(
            rng,
            draft,
            f"{draft.name}-{pod['metadata']['name']}-late",
            storage=rng.choice(("local", "local", "later")),
            size=rng.choice(("1Gi", "2Gi", "9Gi")),
            modes=["ReadWriteOnce"],
        )
        return Event("create", made)

    def _capacity(self, draft: Draft, pod: Manifest) -> Event:
        rng = draft.rng
        self._keep(draft, pod, self._wanted(draft, pod, storage="later"))
        return Event(
            "create",
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSIStorageCapacity",
                "metadata": {
                    "name": f"late-{pod['metadata']['name']}",
                    "namespace": "alpha",
                },
                "storageClassName": rng.choice(("later", "later", "now")),
                "capacity": rng.choice(("1Gi", "5Gi")),
                "nodeTopology": {"matchLabels": {ZONE: rng.choice(ZONES)}},
            },
        )

    @staticmethod
    def _keep(draft: Draft, pod: Manifest, own: Manifest) -> None:
        draft.companions.setdefault(pod["metadata"]["name"], []).append(own)


EVENT_THEMES = (Events(), StorageEvents())
