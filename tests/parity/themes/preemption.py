"""Themes of who makes room for whom: preemptors, budgets, and nodes that are promised already."""

from __future__ import annotations

from tests.parity.themes.base import APPS, Draft, Theme
from tests.parity.worlds import Manifest

#: When residents began: seconds matter, ties are common.
_STARTS = (
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:01Z",
    "2026-02-01T10:00:00Z",
    "2026-03-01T10:00:00Z",
)


class DefaultPreemption(Theme):
    """Full nodes of pods of several priorities, and who is worth more than they."""

    name = "DefaultPreemption"
    weight = 4.5

    def node(self, draft: Draft, node: Manifest) -> None:
        rng = draft.rng
        offered = node["status"]["allocatable"]
        offered["cpu"] = rng.choice(("2", "2", "3", "4"))
        offered["memory"] = rng.choice(("4Gi", "8Gi"))
        node["status"]["capacity"] = dict(offered)

    def resident(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        spec = pod["spec"]
        spec["priorityClassName"] = rng.choice(
            ("lowest", "low", "low", "middle", "middle", "high", "polite")
        )
        spec["terminationGracePeriodSeconds"] = rng.choice((0, 0, 0, 30))
        spec["containers"][0]["resources"] = {
            "requests": {"cpu": rng.choice(("500m", "700m", "1")), "memory": "200Mi"}
        }
        if rng.random() < 0.8:
            pod["status"] = {"phase": "Running", "startTime": rng.choice(_STARTS)}

    def furnish(self, draft: Draft) -> None:
        rng = draft.rng
        # few nodes for those who are there: else everybody finds room
        crowded = draft.node_names[: rng.choice((1, 2, 3, 5))]
        for pod in draft.residents:
            pod["spec"]["nodeName"] = rng.choice(crowded)
        for name, node in zip(draft.node_names, draft.nodes, strict=True):
            if name not in crowded and rng.random() < 0.8:
                node["spec"]["unschedulable"] = True
        for name in crowded:  # one on each: see explained.py for ports held twice
            here = [pod for pod in draft.residents if pod["spec"]["nodeName"] == name]
            if here and rng.random() < 0.3:
                _hold_port(rng.choice(here))
        for app in APPS:
            if rng.random() < 0.5:
                selector = {"matchLabels": {"app": app}}
                draft.later.append(_budget(app, selector, rng.choice((0, 0, 1, 2))))
        if rng.random() < 0.15:
            draft.later.append(_budget("everybody", {}, rng.choice((0, 1, 2))))
        if rng.random() < 0.15:
            terms = [{"key": "version", "operator": rng.choice(("Exists", "DoesNotExist"))}]
            draft.later.append(_budget("versions", {"matchExpressions": terms}, rng.choice((0, 1))))

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["spec"]["priorityClassName"] = rng.choice(
            ("low", "middle", "high", "high", "higher", "higher", "polite")
        )
        pod["spec"]["containers"][0]["resources"] = {
            "requests": {"cpu": rng.choice(("500m", "1", "1500m", "2", "3")), "memory": "100Mi"}
        }
        if rng.random() < 0.1:
            _hold_port(pod)


def _hold_port(pod: Manifest) -> None:
    port = {"containerPort": 8080, "hostPort": 8080}
    pod["spec"]["containers"][0].setdefault("ports", []).append(port)


def _budget(name: str, selector: Manifest, allowed: int) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"budget-{name}", "namespace": "alpha"},
        "spec": {"minAvailable": 1, "selector": selector},
        "status": {
            "disruptionsAllowed": allowed,
            "currentHealthy": 1,
            "desiredHealthy": 1,
            "expectedPods": 1,
            "observedGeneration": 1,
        },
    }


class Nominations(Theme):
    """Nodes promised to pods that wait at a gate, of priorities above and below."""

    name = "nominated pods"
    weight = 1.2

    def furnish(self, draft: Draft) -> None:
        rng = draft.rng
        for number in range(rng.choice((1, 2, 4))):
            draft.nominated.append(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": f"promised-{number}",
                        "namespace": "alpha",
                        "labels": {"app": rng.choice(APPS)},
                    },
                    "spec": {
                        "schedulingGates": [{"name": "example.com/later"}],
                        "priorityClassName": rng.choice(("lowest", "low", "higher")),
                        "terminationGracePeriodSeconds": 0,
                        "containers": [
                            {
                                "name": "c",
                                "image": "registry.invalid/none",
                                "ports": rng.choice(([], [{"containerPort": 80, "hostPort": 80}])),
                                "resources": {"requests": {"cpu": rng.choice(("1", "2", "500m"))}},
                            }
                        ],
                        "affinity": rng.choice(
                            (
                                {},
                                {
                                    "podAntiAffinity": {
                                        "requiredDuringSchedulingIgnoredDuringExecution": [
                                            {
                                                "topologyKey": "kubernetes.io/hostname",
                                                "labelSelector": {
                                                    "matchLabels": {"app": rng.choice(APPS)}
                                                },
                                            }
                                        ]
                                    }
                                },
                            )
                        ),
                    },
                    "status": {"nominatedNodeName": rng.choice(draft.node_names)},
                }
            )

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        if rng.random() < 0.3:
            pod["spec"]["containers"][0].setdefault("ports", []).append(
                {"containerPort": 80, "hostPort": 80}
            )
        if rng.random() < 0.5:
            pod["spec"]["priorityClassName"] = rng.choice(("low", "middle", "high"))


PREEMPTION_THEMES = (DefaultPreemption(), Nominations())
