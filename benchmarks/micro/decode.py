"""Prints what decoding pods costs: microseconds per watch line and bytes per stored pod.

The pods are as an API server sends them: managedFields, environment, probes, the service account
volume under a random name; one template, once pending and once running.

    python benchmarks/micro/decode.py [PODS]
"""

import gc
import json
import random
import string
import sys
import time
import tracemalloc
from typing import Any

from pyscheduler.api.codec import PODS, Interner, decoder
from pyscheduler.api.resources import pod_requests

RNG = random.Random(1)


def _token(length: int) -> str:
    return "".join(RNG.choices(string.ascii_lowercase + string.digits, k=length))


def _uid() -> str:
    return "-".join(_token(n) for n in (8, 4, 4, 4, 12))


def _container(name: str, mount: str) -> dict[str, Any]:
    probe = {
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    return {
        "name": name,
        "image": f"registry.example.com/shop/{name}:v1.2.3",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{i}", "value": f"some value {i}"} for i in range(12)]
        + [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/config"},
            {
                "name": mount,
                "readOnly": True,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            },
        ],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _condition(kind: str, moment: str) -> dict[str, Any]:
    return {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": moment}


def pod_json(number: int, *, running: bool) -> dict[str, Any]:
    """Returns a pod of the one template."""
    moment = f"2026-03-01T10:{number // 60 % 60:02}:{number % 60:02}Z"
    mount = f"kube-api-access-{_token(5)}"
    spec: dict[str, Any] = {
        "volumes": [
            {"name": "config", "configMap": {"name": "web", "defaultMode": 420}},
            {
                "name": mount,
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                    ],
                    "defaultMode": 420,
                },
            },
        ],
        "containers": [_container("web", mount), _container("proxy", mount)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "web",
        "serviceAccount": "web",
        "securityContext": {},
        "schedulerName": "pyscheduler",
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}
                            ]
                        }
                    ]
                }
            }
        },
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{key}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for key in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    status: dict[str, Any] = {"phase": "Pending", "qosClass": "Burstable"}
    if running:
        spec["nodeName"] = f"node-{number % 500:04}"
        kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
        status = {
            "phase": "Running",
            "conditions": [_condition(k, moment) for k in (*kinds, "PodScheduled")],
            "hostIP": "10.0.0.1",
            "podIP": f"10.{number % 250}.0.7",
            "podIPs": [{"ip": f"10.{number % 250}.0.7"}],
            "startTime": moment,
            "containerStatuses": [
                {
                    "name": name,
                    "state": {"running": {"startedAt": moment}},
                    "lastState": {},
                    "ready": True,
                    "restartCount": 0,
                    "image": f"registry.example.com/shop/{name}:v1.2.3",
                    "imageID": f"registry.example.com/shop/{name}@sha256:{'0' * 64}",
                    "containerID": f"containerd://{_token(64)}",
                    "started": True,
                    "allocatedResources": {"cpu": "100m", "memory": "128Mi"},
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"cpu": "1", "memory": "256Mi"},
                    },
                }
                for name in ("web", "proxy")
            ],
            "qosClass": "Burstable",
        }
    fields: dict[str, Any] = {f"f:{name}": {".": {}, "f:x": {}} for name in string.ascii_lowercase}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"web-6d4b75cb6d-{_token(5)}",
            "generateName": "web-6d4b75cb6d-",
            "namespace": "shop",
            "uid": _uid(),
            "resourceVersion": str(1_000_000 + number),
            "creationTimestamp": moment,
            "labels": {"app": "web", "pod-template-hash": "6d4b75cb6d", "tier": "front"},
            "annotations": {"example.com/team": "checkout"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-6d4b75cb6d",
                    "uid": "9f0c9b1e-8a4c-4d5e-9b0a-000000000001",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": fields}
            ],
        },
        "spec": spec,
        "status": status,
    }


def watch_line(number: int, *, running: bool) -> bytes:
    """Returns the watch line an API server would send."""
    event = {"type": "MODIFIED", "object": pod_json(number, running=running)}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for running in (False, True):
        lines = [watch_line(n, running=running) for n in range(count)]
        decode = decoder(PODS, Interner()).watch_event
        best = float("inf")
        for _ in range(5):
            started = time.process_time()
            for line in lines:
                decode(line)
            best = min(best, time.process_time() - started)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        pods = [decode(line).object for line in lines]
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        first = pods[0]
        started = time.process_time()
        for pod in pods:
            pod_requests(pod, use_status=True)  # type: ignore[arg-type]  # all lines are pods
        requests_us = (time.process_time() - started) / count * 1e6
        print(
            f"{'running' if running else 'pending'}: line {len(lines[0])} B, "
            f"decode {best / count * 1e6:.1f} us, stored {memory / count:.0f} B, "
            f"pod_requests {requests_us:.2f} us"
        )
        del first, pods


if __name__ == "__main__":
    main()
