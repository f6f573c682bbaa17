"""Themes of claims for devices, and of what a kubelet declares.

Claims that a verdict changes belong to one pod and come and go with it.
"""

from __future__ import annotations

from typing import Any

from tests.parity.themes.base import ZONE, ZONES, Draft, Rng, Theme
from tests.parity.worlds import Manifest

DRIVER = "gpu.example.com"
_API = "resource.k8s.io/v1"

_SELECTORS = (
    f"device.driver == '{DRIVER}'",
    f"device.attributes['{DRIVER}'].model == 'a'",
    f"device.attributes['{DRIVER}'].speed > 5",
    f"device.capacity['{DRIVER}'].memory.compareTo(quantity('20Gi')) >= 0",
    f"'numa' in device.attributes['{DRIVER}'] && device.attributes['{DRIVER}'].numa == 0",
    f"device.attributes['{DRIVER}'].model in ['a', 'b']",
)


def _device_class(name: str, *selectors: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": [{"cel": {"expression": one}} for one in selectors], **spec},
    }


class DynamicResources(Theme):
    """Devices of nodes, zones and everybody; claims with counts, choices, constraints, taints."""

    name = "DynamicResources"
    weight = 2.0

    def furnish(self, draft: Draft) -> None:
        rng = draft.rng
        draft.add_other(_device_class("gpu", _SELECTORS[0]))
        draft.add_other(_device_class("fast", _SELECTORS[0], _SELECTORS[2]))
        draft.add_other(_device_class("any"))
        for name in draft.node_names:
            if rng.random() < 0.75:
                draft.add_other(self._slice(rng, name, {"nodeName": name}))
        if rng.random() < 0.4:
            term = {
                "matchExpressions": [{"key": ZONE, "operator": "In", "values": [rng.choice(ZONES)]}]
            }
            where = {"nodeSelector": {"nodeSelectorTerms": [term]}}
            draft.add_other(self._slice(rng, f"{draft.name}-zone", where))
        if rng.random() < 0.2:
            draft.add_other(self._slice(rng, f"{draft.name}-everywhere", {"allNodes": True}))
        self._allocate_some(draft)

    @staticmethod
    def _slice(rng: Rng, pool: str, where: Manifest) -> Manifest:
        devices = []
        for number in range(rng.choice((1, 2, 2, 4))):
            device: Manifest = {
                "name": f"d{number}",
                "attributes": {
                    "model": {"string": rng.choice("aab")},
                    "speed": {"int": rng.choice((1, 5, 6, 9))},
                },
                "capacity": {"memory": {"value": rng.choice(("10Gi", "20Gi", "40Gi"))}},
            }
            if rng.random() < 0.7:
                device["attributes"]["numa"] = {"int": rng.choice((0, 1))}
            if rng.random() < 0.15:
                effect = rng.choice(("NoSchedule", "NoExecute"))
                device["taints"] = [{"key": "sick", "value": "x", "effect": effect}]
            devices.append(device)
        return {
            "apiVersion": _API,
            "kind": "ResourceSlice",
            "metadata": {"name": f"{pool}-devices"},
            "spec": {
                "driver": DRIVER,
                "pool": {"name": pool, "generation": 1, "resourceSliceCount": 1},
                "devices": devices,
                **where,
            },
        }

    @staticmethod
    def _allocate_some(draft: Draft) -> None:
        """Some devices are taken, by claims that no pod here refers to."""
        slices = [
            one
            for one in draft.others
            if one["kind"] == "ResourceSlice" and one["spec"]["driver"] == DRIVER
        ]
        for number, one in enumerate(slices):
            if draft.rng.random() < 0.4:
                device = draft.rng.choice(one["spec"]["devices"])["name"]
                taken = claim(f"taken-{number}", [{"exactly": {"deviceClassName": "any"}}])
                taken["status"] = {
                    "allocation": {
                        "devices": {
                            "results": [
                                {
                                    "request": "r0",
                                    "driver": DRIVER,
                                    "pool": one["spec"]["pool"]["name"],
                                    "device": device,
                                }
                            ]
                        }
                    }
                }
                draft.add_other(taken)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["metadata"]["namespace"] = "alpha"
        name = pod["metadata"]["name"]
        own = draft.companions.setdefault(name, [])
        used = pod["spec"].setdefault("resourceClaims", [])
        if rng.random() < 0.08:
            used.append({"name": "missing", "resourceClaimName": "no-such-claim"})
        for number in range(rng.choice((1, 1, 1, 2))):
            of_pod = f"{name}-d{number}"
            own.append(self._claim(rng, of_pod))
            used.append({"name": f"claim-{number}", "resourceClaimName": of_pod})
        pod["spec"]["containers"][0].setdefault("resources", {})["claims"] = [
            {"name": one["name"]} for one in used
        ]

    def _claim(self, rng: Rng, name: str) -> Manifest:
        requests = [self._request(rng) for _ in range(rng.choice((1, 1, 2)))]
        made = claim(name, requests)
        devices = made["spec"]["devices"]
        if rng.random() < 0.25:
            attribute = rng.choice(("numa", "model", "absent"))
            devices["constraints"] = [{"matchAttribute": f"{DRIVER}/{attribute}"}]
        return made

    def _request(self, rng: Rng) -> Manifest:
        if rng.random() < 0.2:
            return {
                "firstAvailable": [
                    {"name": f"s{number}", **self._exactly(rng)} for number in range(2)
                ]
            }
        exactly = self._exactly(rng)
        return {"exactly": exactly}

    @staticmethod
    def _exactly(rng: Rng) -> Manifest:
        exactly: Manifest = {
            "deviceClassName": rng.choice(("gpu", "gpu", "fast", "any", "no-such-class"))
            if rng.random() < 0.3
            else rng.choice(("gpu", "fast", "any"))
        }
        how = rng.random()
        if how < 0.15:
            exactly["allocationMode"] = "All"
        elif how < 0.5:
            exactly["count"] = rng.choice((1, 2, 3))
        if rng.random() < 0.4:
            exactly["selectors"] = [{"cel": {"expression": rng.choice(_SELECTORS)}}]
        if rng.random() < 0.2:
            exactly["tolerations"] = [
                rng.choice(
                    (
                        {"operator": "Exists"},
                        {"key": "sick", "operator": "Equal", "value": "x", "effect": "NoSchedule"},
                    )
                )
            ]
        return exactly


def claim(name: str, requests: list[Manifest]) -> dict[str, Any]:
    """A claim of namespace alpha for these requests, named r0, r1 and so on."""
    return {
        "apiVersion": _API,
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "alpha"},
        "spec": {
            "devices": {
                "requests": [
                    {"name": f"r{number}", **request} for number, request in enumerate(requests)
                ]
            }
        },
    }


class SharedDevices(Theme):
    """Devices cut from one budget, devices for several claims, and claims that only look."""

    name = "shared devices"
    weight = 1.2

    def furnish(self, draft: Draft) -> None:
        rng = draft.rng
        draft.add_other(_device_class("share", f"device.driver == '{_SHARED}'"))
        for name in draft.node_names:
            if rng.random() < 0.6:
                self._parts(draft, name)
            if rng.random() < 0.6:
                self._wide(draft, name)

    @staticmethod
    def _parts(draft: Draft, node: str) -> None:
        """Devices that take from counters: together they want more than there is."""
        rng, pool = draft.rng, f"{node}-parts"
        counters = {"memory": {"value": rng.choice(("20Gi", "40Gi"))}, "engines": {"value": "3"}}
        devices: list[Manifest] = [
            {
                "name": f"part{number}",
                "attributes": {"kind": {"string": "part"}, "bank": {"int": rng.choice((0, 1))}},
                "consumesCounters": [
                    {
                        "counterSet": "board",
                        "counters": {
                            "memory": {"value": rng.choice(("5Gi", "10Gi", "20Gi"))},
                            "engines": {"value": rng.choice(("1", "2"))},
                        },
                    }
                ],
            }
            for number in range(rng.choice((2, 3, 4)))
        ]
        where = {"nodeName": node}
        sets = [{"name": "board", "counters": counters}]
        draft.add_other(_shared_slice(pool, "board", {"sharedCounters": sets, **where}, count=2))
        draft.add_other(_shared_slice(pool, "parts", {"devices": devices, **where}, count=2))
        if rng.random() < 0.4:
            draft.add_other(_taken(pool, rng.choice(devices)["name"]))

    @staticmethod
    def _wide(draft: Draft, node: str) -> None:
        """A device that gives its bandwidth to several claims."""
        rng, pool = draft.rng, f"{node}-wide"
        policy = rng.choice(
            (
                {"default": "2", "validRange": {"min": "1", "max": "8", "step": "1"}},
                {"default": "2", "validValues": ["2", "4", "8"]},
                None,
            )
        )
        bandwidth: Manifest = {"value": "10"}
        if policy:
            bandwidth["requestPolicy"] = policy
        device = {
            "name": "wide",
            "attributes": {"kind": {"string": "wide"}, "bank": {"int": rng.choice((0, 1))}},
            "allowMultipleAllocations": True,
            "capacity": {"bandwidth": bandwidth},
        }
        draft.add_other(
            _shared_slice(pool, "wide", {"devices": [device], "nodeName": node}, count=1)
        )
        if rng.random() < 0.5:
            share = {
                "shareID": f"00000000-0000-4000-8000-{rng.randrange(1 << 48):012x}",
                "consumedCapacity": {"bandwidth": rng.choice(("2", "4", "8"))},
            }
            draft.add_other(_taken(pool, "wide", **share))

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["metadata"]["namespace"] = "alpha"
        name = pod["metadata"]["name"]
        of_pod = f"{name}-share"
        made = claim(of_pod, [self._request(rng) for _ in range(rng.choice((1, 1, 2)))])
        if rng.random() < 0.2:
            kind = rng.choice(("matchAttribute", "distinctAttribute"))
            made["spec"]["devices"]["constraints"] = [{kind: f"{_SHARED}/bank"}]
        draft.companions.setdefault(name, []).append(made)
        pod["spec"].setdefault("resourceClaims", []).append(
            {"name": "share", "resourceClaimName": of_pod}
        )
        resources = pod["spec"]["containers"][0].setdefault("resources", {})
        resources.setdefault("claims", []).append({"name": "share"})

    @staticmethod
    def _request(rng: Rng) -> Manifest:
        exactly: Manifest = {"deviceClassName": "share"}
        kind = rng.choice(("part", "part", "wide", "wide", ""))
        if kind:
            expression = f"device.attributes['{_SHARED}'].kind == '{kind}'"
            exactly["selectors"] = [{"cel": {"expression": expression}}]
        if rng.random() < 0.3:
            exactly["count"] = rng.choice((2, 3))
        if kind == "wide" and rng.random() < 0.8:
            wanted = rng.choice(("1", "3", "4", "8", "9", "2500m"))
            exactly["capacity"] = {"requests": {"bandwidth": wanted}}
        if rng.random() < 0.2:
            exactly["adminAccess"] = True
        return {"exactly": exactly}


_SHARED = "share.example.com"


def _shared_slice(pool: str, name: str, content: Manifest, *, count: int) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "ResourceSlice",
        "metadata": {"name": f"{pool}-{name}"},
        "spec": {
            "driver": _SHARED,
            "pool": {"name": pool, "generation": 1, "resourceSliceCount": count},
            **content,
        },
    }


def _taken(pool: str, device: str, **share: Any) -> Manifest:
    """A claim that holds the device already; no pod here refers to it."""
    made = claim(f"{pool}-taken", [{"exactly": {"deviceClassName": "share"}}])
    result = {"request": "r0", "driver": _SHARED, "pool": pool, "device": device, **share}
    made["status"] = {"allocation": {"devices": {"results": [result]}}}
    return made


class NodeDeclaredFeatures(Theme):
    """Pods that need what only some kubelets declare."""

    name = "NodeDeclaredFeatures"
    weight = 3.5

    def node(self, draft: Draft, node: Manifest) -> None:
        rng = draft.rng
        declared = [one for one in _FEATURES if rng.random() < 0.5]
        if declared:
            node["status"]["declaredFeatures"] = sorted(declared)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        spec = pod["spec"]
        needed = rng.choice((*_FEATURES, *_FEATURES, ""))
        first = spec["containers"][0]
        if needed == "RestartAllContainersOnContainerExits":
            first["restartPolicy"] = "Never"
            first["restartPolicyRules"] = [
                {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}
            ]
        elif needed == "UserNamespacesHostNetworkSupport":
            spec["hostNetwork"], spec["hostUsers"] = True, False
        elif needed == "VolumeBindMountOptions":
            spec.setdefault("volumes", []).append({"name": "scratch", "emptyDir": {}})
            first["volumeMounts"] = [
                {"name": "scratch", "mountPath": "/scratch", "bindMountOptions": ["noexec"]}
            ]


#: What kubelets declare and a pod's spec may need.
_FEATURES = (
    "RestartAllContainersOnContainerExits",
    "UserNamespacesHostNetworkSupport",
    "VolumeBindMountOptions",
)

DEVICE_THEMES = (DynamicResources(), SharedDevices(), NodeDeclaredFeatures())
