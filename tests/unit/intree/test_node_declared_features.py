"""What a pod needs of a kubelet, and which nodes declare it."""

from __future__ import annotations

import msgspec
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Container, ContainerRestartRule, Pod, VolumeMount
from pyscheduler.intree.node_declared_features import NodeDeclaredFeatures
from pyscheduler.testing import PluginHarness, make_node, make_pod

RESTART = "RestartAllContainersOnContainerExits"
USERS = "UserNamespacesHostNetworkSupport"
MOUNTS = "VolumeBindMountOptions"
LACKING = fwk.unresolvable("node(s) didn't match Pod's required features")


def restarting(action: str, *, field: str = "containers") -> Pod:
    rule = ContainerRestartRule(action=action)
    return _with(Container(name="c", restart_policy_rules=(rule,)), field)


def mounting(*options: str, field: str = "containers") -> Pod:
    mount = VolumeMount(name="data", bind_mount_options=options)
    return _with(Container(name="c", volume_mounts=(mount,)), field)


def networked(*, host_network: bool, host_users: bool | None) -> Pod:
    pod = make_pod("p").obj()
    spec = msgspec.structs.replace(pod.spec, host_network=host_network, host_users=host_users)
    return msgspec.structs.replace(pod, spec=spec)


def _with(container: Container, field: str) -> Pod:
    pod = make_pod("p").req({}).obj()
    known = getattr(pod.spec, field)
    spec = msgspec.structs.replace(pod.spec, **{field: (*known, container)})
    return msgspec.structs.replace(pod, spec=spec)


@pytest.mark.parametrize(
    ("pod", "feature"),
    [
        pytest.param(restarting("RestartAllContainers"), RESTART, id="restart-rule"),
        pytest.param(
            restarting("RestartAllContainers", field="init_containers"),
            RESTART,
            id="restart-rule-of-an-init-container",
        ),
        pytest.param(networked(host_network=True, host_users=False), USERS, id="host-network"),
        pytest.param(mounting("noexec"), MOUNTS, id="mount-options"),
        pytest.param(
            mounting("noexec", field="init_containers"), MOUNTS, id="mount-options-of-an-init"
        ),
    ],
)
def test_a_pod_runs_only_where_what_it_needs_is_declared(pod: Pod, feature: str) -> None:
    others = {RESTART, USERS, MOUNTS, "SomethingElse"} - {feature}
    harness = PluginHarness(
        NodeDeclaredFeatures,
        nodes=[
            make_node("all").declared_feature(feature, "SomethingElse").obj(),
            make_node("others").declared_feature(*sorted(others)).obj(),
            make_node("none").obj(),
        ],
    )

    assert harness.pre_filter(pod) is None
    assert harness.filter(pod) == {"all": None, "others": LACKING, "none": LACKING}


def test_all_of_several_features_must_be_declared() -> None:
    pod = networked(host_network=True, host_users=False)
    spec = msgspec.structs.replace(pod.spec, containers=mounting("ro").spec.containers)
    harness = PluginHarness(
        NodeDeclaredFeatures,
        nodes=[
            make_node("both").declared_feature(USERS, MOUNTS).obj(),
            make_node("one").declared_feature(USERS).obj(),
        ],
    )

    assert harness.filter(msgspec.structs.replace(pod, spec=spec)) == {"both": None, "one": LACKING}


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p").req({}).obj(), id="plain"),
        pytest.param(restarting("Restart"), id="restarts-itself-alone"),
        pytest.param(networked(host_network=True, host_users=None), id="users-of-the-host"),
        pytest.param(networked(host_network=True, host_users=True), id="host-users"),
        pytest.param(networked(host_network=False, host_users=False), id="own-network"),
        pytest.param(mounting(), id="mount-without-options"),
    ],
)
def test_a_pod_that_needs_nothing_is_skipped_and_not_signed(pod: Pod) -> None:
    harness = PluginHarness(NodeDeclaredFeatures)

    assert harness.pre_filter(pod) is fwk.SKIP
    assert harness.sign(pod) == ()
