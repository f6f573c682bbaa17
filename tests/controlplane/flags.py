"""The command lines of the control plane's programs: what each is told, and why.

Pure functions from a control plane's addresses and files to flags; `ControlPlane` starts the
programs with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.controlplane import load
from tests.controlplane.identities import Identities
from tests.controlplane.ports import free_port

#: What kube-apiserver's audit log keeps.
AUDIT_POLICY: Mapping[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        # A binding's body is the only place that says which node.
        {
            "level": "Request",
            "verbs": ["create"],
            "resources": [{"group": "", "resources": ["pods/binding", "bindings"]}],
        },
        {"level": "Metadata"},
    ],
}


def etcd(data_folder: Path, *, port: int) -> list[str]:
    """Returns etcd's flags: one member, for clients on this machine, nothing kept for a crash."""
    client_url = f"http://127.0.0.1:{port}"
    peer_url = f"http://127.0.0.1:{free_port()}"
    return [
        f"--data-dir={data_folder}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
    ]


def kube_apiserver(
    keys: Identities,
    *,
    etcd_port: int,
    port: str,
    controller_manager: bool,
    audit_log: Path | None,
    audit_policy: Path,
    feature_gates: Mapping[str, bool],
    further: Sequence[str],
) -> list[str]:
    """Returns kube-apiserver's flags: RBAC, default admission, service accounts with tokens.

    Args:
        controller_manager: kube-controller-manager will run, too.
        audit_log: None for none.
        further: flags after ours.
    """
    flags = [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={keys.certificate_authority.parent}",
        # Else it refuses to advertise 127.0.0.1.
        "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys.signing_key_file}",
        f"--service-account-signing-key-file={keys.signing_key_file}",
        "--service-cluster-ip-range=10.0.0.0/20",
        # Without it a clean stop waits a minute for watches that never end by themselves.
        "--shutdown-watch-termination-grace-period=3s",
        "--authorization-mode=RBAC",
        "--delete-collection-workers=8",
        f"--token-auth-file={keys.token_file}",
    ]
    if audit_log is not None:
        # One file for good: at 100 MB, its default, it would be rotated away from its readers.
        flags += [
            f"--audit-policy-file={audit_policy}",
            f"--audit-log-path={audit_log}",
            "--audit-log-maxsize=100000",
        ]
    if not controller_manager:
        # Nobody would take the taint off again that it gives to new nodes.
        flags.append("--disable-admission-plugins=TaintNodesByCondition")
    if feature_gates:
        gates = ",".join(f"{name}={str(is_on).lower()}" for name, is_on in feature_gates.items())
        flags.append(f"--feature-gates={gates}")
    return [*flags, *further]


def kube_controller_manager(keys: Identities, *, kubeconfig: Path) -> list[str]:
    """Returns kube-controller-manager's flags: all controllers, no election, no slow-down."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={keys.signing_key_file}",
        f"--root-ca-file={keys.certificate_authority}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def kwok(*, kubeconfig: Path, stages: Path) -> list[str]:
    """Returns kwok's flags: it looks after nodes with its annotation, and after no others."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        f"--manage-nodes-with-annotation-selector={load.KWOK_ANNOTATION}=fake",
        "--node-lease-duration-seconds=40",
        "--v=WARN",
    ]


def kube_scheduler_configuration(
    *,
    scheduler_name: str,
    kubeconfig: Path,
    qps: float,
    profile: Mapping[str, object],
    extenders: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    """Returns a KubeSchedulerConfiguration with one profile and no election.

    Args:
        qps: client-side limit, as `qps` and `burst`; upstream's 50 would be the bottleneck.
        profile: further fields of the profile.
        extenders: as the file has them.
    """
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": qps, "burst": int(qps)},
        "profiles": [{"schedulerName": scheduler_name, **profile}],
        "extenders": [*map(dict, extenders)],
    }


def hollow_kubelet(
    name: str,
    *,
    kubeconfig: Path,
    folder: Path,
    extended_resources: Mapping[str, str],
    max_pods: int,
) -> list[str]:
    """Returns kubemark's flags for one hollow kubelet."""
    offered = ",".join(f"{key}={value}" for key, value in extended_resources.items())
    return [
        "--morph=kubelet",
        "--use-host-image-service=false",
        f"--name={name}",
        f"--kubeconfig={kubeconfig}",
        f"--kubelet-port={free_port()}",
        f"--kubelet-read-only-port={free_port()}",
        f"--cert-dir={folder}",
        f"--max-pods={max_pods}",
        *([f"--extended-resources={offered}"] if offered else []),
    ]
