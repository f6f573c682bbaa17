"""Themes of the plugins that look at other pods: spread, affinity, and who serves whom."""

from __future__ import annotations

from typing import Any

from tests.parity.themes.base import (
    APPS,
    HOSTNAME,
    REGION,
    VERSIONS,
    ZONE,
    Draft,
    Rng,
    Theme,
)
from tests.parity.worlds import NAMESPACES, Manifest

_TOPOLOGIES = (ZONE, ZONE, HOSTNAME, HOSTNAME, REGION, "rack", "absent")


def label_selector(rng: Rng) -> Manifest | None:
    """A selector of pods: by app, by set, of everything, of nothing."""
    kind = rng.random()
    if kind < 0.5:
        return {"matchLabels": {"app": rng.choice(APPS)}}
    if kind < 0.6:
        return {"matchLabels": {"app": rng.choice(APPS), "version": rng.choice(VERSIONS)}}
    if kind < 0.85:
        return {"matchExpressions": [_expression(rng)]}
    if kind < 0.95:
        return {}
    return None


def _expression(rng: Rng) -> Manifest:
    operator = rng.choice(("In", "In", "NotIn", "Exists", "DoesNotExist"))
    key = rng.choice(("app", "version"))
    if operator in ("Exists", "DoesNotExist"):
        return {"key": key, "operator": operator}
    values = APPS if key == "app" else VERSIONS
    return {"key": key, "operator": operator, "values": rng.sample(values, k=rng.choice((1, 2)))}


def add_topology(draft: Draft, node: Manifest) -> None:
    """The node is in a region and a rack, or is not; some have no zone."""
    rng = draft.rng
    labels = node["metadata"]["labels"]
    if rng.random() < 0.8:
        labels[REGION] = rng.choice(("ra", "rb"))
    if rng.random() < 0.6:
        labels["rack"] = rng.choice(("k1", "k2", "k3"))
    if rng.random() < 0.15:
        labels.pop(ZONE, None)
    if rng.random() < 0.05:
        labels.pop(HOSTNAME, None)


class PodTopologySpread(Theme):
    """Hard and soft constraints over labels that are partly missing, with every policy."""

    name = "PodTopologySpread"
    weight = 2.0

    def node(self, draft: Draft, node: Manifest) -> None:
        add_topology(draft, node)
        if draft.rng.random() < 0.3:
            node["spec"].setdefault("taints", []).append(
                {"key": "spread", "value": "x", "effect": "NoSchedule"}
            )

    def resident(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["metadata"]["namespace"] = rng.choice(("alpha", "alpha", "alpha", "beta"))
        if rng.random() < 0.1:
            pod["status"] = {"phase": rng.choice(("Running", "Running", "Failed"))}

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["metadata"]["namespace"] = rng.choice(("alpha", "alpha", "alpha", "beta"))
        constraints: dict[tuple[str, str], Manifest] = {}
        for _ in range(rng.choice((1, 1, 2, 3))):
            one = self._constraint(rng)
            constraints[one["topologyKey"], one["whenUnsatisfiable"]] = one
        pod["spec"]["topologySpreadConstraints"] = list(constraints.values())
        if rng.random() < 0.3:
            pod["spec"].setdefault("tolerations", []).append(
                {"key": "spread", "operator": "Exists"}
            )
        if rng.random() < 0.25:
            pod["spec"]["nodeSelector"] = rng.choice(
                ({REGION: "ra"}, {"rack": "k1"}, {ZONE: "za"}, {ZONE: "zb"})
            )

    @staticmethod
    def _constraint(rng: Rng) -> Manifest:
        one: Manifest = {
            "maxSkew": rng.choice((1, 1, 2, 5)),
            "topologyKey": rng.choice(_TOPOLOGIES),
            "whenUnsatisfiable": rng.choice(("DoNotSchedule", "ScheduleAnyway")),
        }
        selector = label_selector(rng)
        if selector is not None:
            one["labelSelector"] = selector
            if rng.random() < 0.2:
                one["matchLabelKeys"] = ["version"]
                if "version" in str(selector):
                    del one["matchLabelKeys"]
        if one["whenUnsatisfiable"] == "DoNotSchedule" and rng.random() < 0.3:
            one["minDomains"] = rng.choice((1, 2, 3, 5))
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if rng.random() < 0.4:
                one[policy] = rng.choice(("Honor", "Ignore"))
        return one


class DefaultSpread(Theme):
    """Pods without constraints, whose Services, ReplicaSets and others spread them anyway."""

    name = "PodTopologySpread by default"
    weight = 1.2

    def node(self, draft: Draft, node: Manifest) -> None:
        add_topology(draft, node)

    def resident(self, draft: Draft, pod: Manifest) -> None:
        pod["metadata"]["namespace"] = "alpha"

    def furnish(self, draft: Draft) -> None:
        for app in APPS:
            if draft.rng.random() < 0.6:
                draft.others.append(_service(app))
            if draft.rng.random() < 0.6:
                draft.others.append(_replica_set(draft.rng, app))
            if draft.rng.random() < 0.4:
                draft.others.append(_stateful_set(app))
            if draft.rng.random() < 0.4:
                draft.others.append(_replication_controller(app))

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["metadata"]["namespace"] = "alpha"
        pod["spec"].pop("topologySpreadConstraints", None)
        kind, version = rng.choice(
            (
                ("ReplicaSet", "apps/v1"),
                ("StatefulSet", "apps/v1"),
                ("ReplicationController", "v1"),
                ("Job", "batch/v1"),
                ("", ""),
            )
        )
        if kind:
            app = pod["metadata"]["labels"]["app"]
            pod["metadata"]["ownerReferences"] = [
                {
                    "apiVersion": version,
                    "kind": kind,
                    "name": f"{kind.lower()}-{app}",
                    "uid": "00000000-0000-0000-0000-000000000001",
                    "controller": True,
                }
            ]


def _service(app: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"service-{app}", "namespace": "alpha"},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80}], "clusterIP": "None"},
    }


def _template(labels: Manifest) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "registry.invalid/none"}]},
    }


def _replica_set(rng: Rng, app: str) -> Manifest:
    labels = {"app": app, **({"version": rng.choice(VERSIONS)} if rng.random() < 0.5 else {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": f"replicaset-{app}", "namespace": "alpha"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": _template(labels)},
    }


def _stateful_set(app: str) -> Manifest:
    labels = {"app": app}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"statefulset-{app}", "namespace": "alpha"},
        "spec": {
            "replicas": 1,
            "serviceName": f"service-{app}",
            "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": [app]}]},
            "template": _template(labels),
        },
    }


def _replication_controller(app: str) -> Manifest:
    labels = {"app": app}
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": f"replicationcontroller-{app}", "namespace": "alpha"},
        "spec": {"replicas": 1, "selector": labels, "template": _template(labels)},
    }


class InterPodAffinity(Theme):
    """Affinity and anti-affinity of both sides, over namespaces named, selected or meant."""

    name = "InterPodAffinity"
    weight = 2.5

    def node(self, draft: Draft, node: Manifest) -> None:
        add_topology(draft, node)

    def resident(self, draft: Draft, pod: Manifest) -> None:
        if draft.rng.random() < 0.5:
            self.incoming(draft, pod)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        affinity = pod["spec"].setdefault("affinity", {})
        for kind, required, preferred in (
            ("podAffinity", 0.35, 0.5),
            ("podAntiAffinity", 0.35, 0.5),
        ):
            terms: Manifest = {}
            if rng.random() < required:
                terms["requiredDuringSchedulingIgnoredDuringExecution"] = [
                    self._term(rng) for _ in range(rng.choice((1, 1, 2)))
                ]
            if rng.random() < preferred:
                terms["preferredDuringSchedulingIgnoredDuringExecution"] = [
                    {"weight": rng.choice((1, 10, 50, 100)), "podAffinityTerm": self._term(rng)}
                    for _ in range(rng.choice((1, 1, 2)))
                ]
            if terms:
                affinity[kind] = terms

    @staticmethod
    def _term(rng: Rng) -> Manifest:
        term: Manifest = {"topologyKey": rng.choice(_TOPOLOGIES)}
        selector = label_selector(rng)
        if selector is not None:
            term["labelSelector"] = selector
            if rng.random() < 0.2 and "version" not in str(selector):
                term[rng.choice(("matchLabelKeys", "mismatchLabelKeys"))] = ["version"]
        whose = rng.random()
        if whose < 0.2:
            term["namespaces"] = rng.sample(list(NAMESPACES), k=rng.choice((1, 2)))
        if 0.1 < whose < 0.4:
            term["namespaceSelector"] = rng.choice(
                (
                    {},
                    {"matchLabels": {"team": "red"}},
                    {"matchLabels": {"team": "blue"}},
                    {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
                )
            )
        return term


POD_THEMES = (PodTopologySpread(), DefaultSpread(), InterPodAffinity())
