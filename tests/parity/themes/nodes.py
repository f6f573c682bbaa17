"""Themes of the plugins that look at a node alone."""

from __future__ import annotations

from typing import Any

from tests.parity.themes.base import REGION, ZONE, ZONES, Draft, Rng, Theme, container
from tests.parity.worlds import Manifest

_TAINT_KEYS = ("dedicated", "gpu", "example.com/special", "node.kubernetes.io/unreachable")
_TAINT_VALUES = ("", "a", "b")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute")


class TaintToleration(Theme):
    """Taints of all effects, tolerations that fit, nearly fit, and fit everything."""

    name = "TaintToleration"
    weight = 1.0

    def node(self, draft: Draft, node: Manifest) -> None:
        rng = draft.rng
        taints = {}
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            key, effect = rng.choice(_TAINT_KEYS), rng.choice(_EFFECTS)
            taints[key, effect] = {
                "key": key,
                "value": rng.choice(_TAINT_VALUES),
                "effect": effect,
            }
        node["spec"].setdefault("taints", []).extend(taints.values())

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        tolerations = pod["spec"].setdefault("tolerations", [])
        for _ in range(rng.choice((0, 1, 2, 3))):
            tolerations.append(self._toleration(rng))

    @staticmethod
    def _toleration(rng: Rng) -> Manifest:
        if rng.random() < 0.1:
            return rng.choice(
                ({"operator": "Exists"}, {"operator": "Exists", "effect": rng.choice(_EFFECTS)})
            )
        toleration: Manifest = {"key": rng.choice(_TAINT_KEYS)}
        if rng.random() < 0.4:
            toleration["operator"] = "Exists"
        else:
            toleration["value"] = rng.choice(_TAINT_VALUES)
            if rng.random() < 0.5:
                toleration["operator"] = "Equal"
        if rng.random() < 0.7:
            toleration["effect"] = rng.choice(_EFFECTS)
        if toleration.get("effect") == "NoExecute" and rng.random() < 0.5:
            toleration["tolerationSeconds"] = rng.choice((0, 30, 3600))
        return toleration


class NodeUnschedulable(Theme):
    """Nodes that are cordoned, and pods that do not mind."""

    name = "NodeUnschedulable"
    weight = 0.5

    def node(self, draft: Draft, node: Manifest) -> None:
        if draft.rng.random() < 0.4:
            node["spec"]["unschedulable"] = True

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        if rng.random() < 0.3:
            pod["spec"].setdefault("tolerations", []).append(
                rng.choice(
                    (
                        {
                            "key": "node.kubernetes.io/unschedulable",
                            "operator": "Exists",
                            "effect": "NoSchedule",
                        },
                        {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
                        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
                        {
                            "key": "node.kubernetes.io/unschedulable",
                            "operator": "Exists",
                            "effect": "NoExecute",
                        },
                        {"operator": "Exists"},
                    )
                )
            )


class NodeName(Theme):
    """Nodes by name, through affinity on the field; ``spec.nodeName`` itself needs no scheduler."""

    name = "NodeName"
    weight = 0.5

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        names = [*draft.node_names, "no-such-node"]
        terms = []
        for _ in range(rng.choice((1, 1, 2))):
            term: Manifest = {
                "matchFields": [
                    {
                        "key": "metadata.name",
                        "operator": rng.choice(("In", "In", "NotIn")),
                        "values": [rng.choice(names)],
                    }
                ]
            }
            if rng.random() < 0.3:
                term["matchFields"].append(
                    {"key": "metadata.name", "operator": "In", "values": [rng.choice(names)]}
                )
            if rng.random() < 0.3:
                term["matchExpressions"] = [_expression(rng)]
            terms.append(term)
        _require_nodes(pod, terms)


_LABELS: dict[str, tuple[str, ...]] = {
    "disk": ("ssd", "hdd", ""),
    "rack": ("1", "7", "12", "007", "x", "9223372036854775807", "99999999999999999999"),
    "cpu-generation": ("5", "6"),
    REGION: ("ra", "rb"),
}


def _expression(rng: Rng) -> Manifest:
    key = rng.choice((*_LABELS, ZONE, "absent"))
    operator = rng.choice(("In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
    if operator in ("Gt", "Lt"):
        return {
            "key": rng.choice(("rack", "cpu-generation", "disk")),
            "operator": operator,
            "values": [rng.choice(("5", "6", "0", "10", "9223372036854775806"))],
        }
    if operator in ("Exists", "DoesNotExist"):
        return {"key": key, "operator": operator}
    known = ZONES if key == ZONE else _LABELS.get(key, ("y",))
    return {
        "key": key,
        "operator": operator,
        "values": rng.sample(known, k=rng.randint(1, min(2, len(known)))),
    }


def _require_nodes(pod: Manifest, terms: list[Manifest]) -> None:
    affinity = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    required.setdefault("nodeSelectorTerms", []).extend(terms)


class NodeAffinity(Theme):
    """Selectors, and terms with every operator, required and preferred."""

    name = "NodeAffinity"
    weight = 1.2

    def node(self, draft: Draft, node: Manifest) -> None:
        rng = draft.rng
        for key, values in _LABELS.items():
            if rng.random() < 0.7:
                node["metadata"]["labels"][key] = rng.choice(values)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        if rng.random() < 0.3:
            pod["spec"]["nodeSelector"] = rng.choice(
                ({"disk": "ssd"}, {ZONE: rng.choice(ZONES)}, {"disk": ""}, {"rack": "7"})
            )
        if rng.random() < 0.5:
            _require_nodes(
                pod,
                [
                    {"matchExpressions": [_expression(rng) for _ in range(rng.randint(1, 2))]}
                    if rng.random() < 0.95
                    else {}
                    for _ in range(rng.randint(1, 3))
                ],
            )
        if rng.random() < 0.6:
            affinity = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
            affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {
                    "weight": rng.choice((1, 2, 10, 50, 100)),
                    "preference": {
                        "matchExpressions": [_expression(rng) for _ in range(rng.choice((1, 1, 2)))]
                    }
                    if rng.random() < 0.95
                    else {},
                }
                for _ in range(rng.randint(1, 3))
            ]


_ADDRESSES = ("", "", "0.0.0.0", "127.0.0.1", "10.0.0.1", "::")


class NodePorts(Theme):
    """Host ports of few numbers on few addresses."""

    name = "NodePorts"
    weight = 2.0

    def resident(self, draft: Draft, pod: Manifest) -> None:
        if draft.rng.random() < 0.4:
            self.incoming(draft, pod)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        for number in rng.sample((80, 81, 443), k=rng.choice((1, 1, 2))):
            port: Manifest = {"containerPort": number, "hostPort": number}
            if rng.random() < 0.5:
                port["protocol"] = rng.choice(("TCP", "UDP", "SCTP"))
            address = rng.choice(_ADDRESSES)
            if address:
                port["hostIP"] = address
            chosen = rng.choice(pod["spec"]["containers"])
            chosen.setdefault("ports", []).append(port)


_IMAGES = {
    "registry.example.com/small:1": 5 << 20,
    "registry.example.com/middle:1": 200 << 20,
    "registry.example.com/large:1": 900 << 20,
    "registry.example.com/huge": 5 << 30,
    "docker.io/library/busybox:latest": 30 << 20,
}

#: What a node offers on which a few small pods leave no trace in scores.
_ROOMY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "50Gi", "pods": "110"}


class ImageLocality(Theme):
    """Images that some nodes have, under all of their names; often nothing else matters."""

    name = "ImageLocality"
    weight = 3.0

    def furnish(self, draft: Draft) -> None:
        if draft.rng.random() < 0.7:
            for node in draft.nodes:
                node["status"]["allocatable"] = dict(_ROOMY)
                node["status"]["capacity"] = dict(_ROOMY)
            for pod in draft.residents:
                for one in pod["spec"]["containers"]:
                    one["resources"] = {}

    def node(self, draft: Draft, node: Manifest) -> None:
        rng = draft.rng
        images = []
        for name, size in _IMAGES.items():
            if rng.random() < 0.5:
                names = [name]
                if rng.random() < 0.3:
                    names.append(f"{name.partition(':')[0]}@sha256:{'0' * 64}")
                images.append({"names": names, "sizeBytes": size})
        node["status"]["images"] = images

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        spec = pod["spec"]
        if rng.random() < 0.3:
            spec.setdefault("initContainers", []).append(container(rng, "prepare"))
        if rng.random() < 0.7:  # else what the pod asks for decides
            for one in spec["containers"]:
                one["resources"] = {}
        for one in [*spec["containers"], *spec.get("initContainers", ())]:
            one["image"] = rng.choice(
                (*_IMAGES, "registry.example.com/huge:latest", "busybox", "unknown:1")
            )
        if rng.random() < 0.15:
            spec.setdefault("volumes", []).append(
                {
                    "name": "of-an-image",
                    "image": {"reference": "registry.example.com/large:1", "pullPolicy": "Always"},
                }
            )


#: What a sandbox takes for itself, by RuntimeClass.
_OVERHEADS = {
    "light": {"cpu": "10m", "memory": "20Mi"},
    "heavy": {"cpu": "1500m", "memory": "2Gi"},
    "odd": {"example.com/gpu": "1", "cpu": "0"},
}


class NodeResourcesFit(Theme):
    """Odd, huge, missing and zero quantities; init containers, sidecars, overhead, pod level."""

    name = "NodeResourcesFit"
    weight = 0.8

    def furnish(self, draft: Draft) -> None:
        for name, overhead in _OVERHEADS.items():
            draft.add_other(
                {
                    "apiVersion": "node.k8s.io/v1",
                    "kind": "RuntimeClass",
                    "metadata": {"name": f"{draft.name}-{name}"},
                    "handler": name,
                    "overhead": {"podFixed": overhead},
                    "scheduling": {"tolerations": [{"key": "dedicated", "operator": "Exists"}]},
                }
            )

    def node(self, draft: Draft, node: Manifest) -> None:
        rng = draft.rng
        allocatable = node["status"]["allocatable"]
        if rng.random() < 0.5:
            allocatable["example.com/gpu"] = rng.choice(("1", "4", "0", "8"))
        if rng.random() < 0.2:
            allocatable["example.com/huge"] = rng.choice(("9223372036854775807", "1"))
        if rng.random() < 0.3:
            allocatable["hugepages-2Mi"] = rng.choice(("4Mi", "64Mi", "0"))
        if rng.random() < 0.15:
            allocatable[rng.choice(("cpu", "memory", "pods", "ephemeral-storage"))] = "0"
        if rng.random() < 0.1:
            allocatable["memory"] = rng.choice(("7Ei", "9223372036854775807", "1"))
        if rng.random() < 0.1:
            allocatable.pop(rng.choice(("cpu", "memory", "ephemeral-storage")))
        node["status"]["capacity"] = dict(allocatable)

    def resident(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        if rng.random() < 0.5:
            self._more(rng, pod["spec"]["containers"][0], is_huge=False)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        spec = pod["spec"]
        if rng.random() < 0.1:
            for one in spec["containers"]:
                one["resources"] = {}
            return
        is_of_the_pod = rng.random() < 0.2
        for one in spec["containers"]:
            self._more(rng, one, is_huge=not is_of_the_pod)
        if rng.random() < 0.35:
            spec["initContainers"] = [
                self._init(rng, number) for number in range(rng.choice((1, 2, 3)))
            ]
        if is_of_the_pod:
            spec["resources"] = {"requests": self._of_the_pod(rng)}
        if rng.random() < 0.25:  # the API server copies the overhead into the pod
            spec["runtimeClassName"] = f"{draft.name}-{rng.choice(list(_OVERHEADS))}"

    @staticmethod
    def _more(rng: Rng, one: dict[str, Any], *, is_huge: bool) -> None:
        resources = one["resources"]
        requests = resources.setdefault("requests", {})
        if rng.random() < 0.3:
            name = rng.choice(("example.com/gpu", "example.com/gpu", "example.com/huge"))
            amount = rng.choice(("1", "2", "4", "0"))
            if is_huge and name.endswith("huge") and rng.random() < 0.5:
                amount = rng.choice(("9223372036854775807", "4611686018427387904"))
            requests[name] = amount
            resources.setdefault("limits", {})[name] = amount
        if rng.random() < 0.15:
            requests.setdefault("cpu", "1m")
            requests["hugepages-2Mi"] = rng.choice(("2Mi", "4Mi", "32Mi"))
            resources.setdefault("limits", {})["hugepages-2Mi"] = requests["hugepages-2Mi"]
        if rng.random() < 0.2:
            requests["ephemeral-storage"] = rng.choice(("1Gi", "20Gi", "0.5", "1"))
        if is_huge and rng.random() < 0.08:
            requests["memory"] = rng.choice(("8Ei", "9223372036854775807", "9Ei", "1500m"))
        if is_huge and rng.random() < 0.05:
            requests["cpu"] = rng.choice(("9223372036854775807", "9223372036854775", "0.0001"))
        if rng.random() < 0.1:
            resources.setdefault("limits", {})["cpu"] = "20"

    @staticmethod
    def _init(rng: Rng, number: int) -> dict[str, Any]:
        one = container(rng, f"i{number}")
        if rng.random() < 0.4:
            one["restartPolicy"] = "Always"
        return one

    @staticmethod
    def _of_the_pod(rng: Rng) -> dict[str, str]:
        """More than the containers ask for together; the API server insists on that."""
        return {"cpu": rng.choice(("8", "20", "60")), "memory": rng.choice(("9Gi", "40Gi"))}


class NodeResourcesBalancedAllocation(Theme):
    """Nodes used lopsidedly, pods that even out or make it worse."""

    name = "NodeResourcesBalancedAllocation"
    weight = 0.8

    def node(self, draft: Draft, node: Manifest) -> None:
        node["status"]["allocatable"]["cpu"] = draft.rng.choice(("4", "8", "16"))
        node["status"]["capacity"] = dict(node["status"]["allocatable"])

    def resident(self, draft: Draft, pod: Manifest) -> None:
        self._lopsided(draft.rng, pod)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        self._lopsided(draft.rng, pod)

    @staticmethod
    def _lopsided(rng: Rng, pod: Manifest) -> None:
        pod["spec"]["containers"][0]["resources"] = {
            "requests": rng.choice(
                (
                    {"cpu": rng.choice(("1", "700m", "1300m"))},
                    {"memory": rng.choice(("1Gi", "700Mi", "1999999999"))},
                    {"cpu": "900m", "memory": "100Mi"},
                    {"cpu": "10m", "memory": "2Gi"},
                )
            )
        }


class SchedulingGates(Theme):
    """Pods with gates."""

    name = "SchedulingGates"
    weight = 1.2

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        if draft.rng.random() < 0.7:
            names = draft.rng.sample(("a.example.com/x", "wait", "b.example.com/y"), k=2)
            pod["spec"]["schedulingGates"] = [
                {"name": name} for name in names[: draft.rng.randint(1, 2)]
            ]


NODE_THEMES = (
    TaintToleration(),
    NodeUnschedulable(),
    NodeName(),
    NodeAffinity(),
    NodePorts(),
    ImageLocality(),
    NodeResourcesFit(),
    NodeResourcesBalancedAllocation(),
    SchedulingGates(),
)
