import pytest

from pyscheduler.api.core_v1 import Container, ContainerPort, Pod, PodSpec
from pyscheduler.api.host_ports import HostPort, any_conflict, conflicts, host_ports
from pyscheduler.api.meta import ObjectMeta


def test_ports_of_containers_and_sidecars_are_taken_each_once() -> None:
    pod = Pod(
        ObjectMeta(name="a"),
        PodSpec(
            containers=(
                Container("web", ports=(ContainerPort(80, 8080), ContainerPort(81))),
                Container("dup", ports=(ContainerPort(80, 8080),)),
                Container("udp", ports=(ContainerPort(53, 53, "10.0.0.1", "UDP"),)),
            ),
            init_containers=(
                Container("setup", ports=(ContainerPort(1, 1),)),
                Container("side", ports=(ContainerPort(2, 2),), restart_policy="Always"),
            ),
        ),
    )
    assert set(host_ports(pod)) == {
        ("0.0.0.0", "TCP", 8080),
        ("10.0.0.1", "UDP", 53),
        ("0.0.0.0", "TCP", 2),
    }
    assert len(host_ports(pod)) == 3


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "TCP", 80), True),
        (("0.0.0.0", "TCP", 80), ("10.0.0.1", "TCP", 80), True),
        (("10.0.0.1", "TCP", 80), ("0.0.0.0", "TCP", 80), True),
        (("10.0.0.1", "TCP", 80), ("10.0.0.2", "TCP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "UDP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "TCP", 81), False),
    ],
)
def test_conflicts(a: HostPort, b: HostPort, expected: bool) -> None:
    assert conflicts(a, b) is expected
    assert any_conflict([a], iter([b])) is expected
