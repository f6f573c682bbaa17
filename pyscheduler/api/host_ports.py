"""The ports of the node that a pod takes, and when two of them exclude each other.

Source: `pkg/scheduler/framework/types.go` (HostPortInfo) and `util.GetHostPorts`, 1.37.
"""

from collections.abc import Iterable
from functools import lru_cache

from pyscheduler.api.core_v1 import Container, Pod

#: The address that means every address of the node.
ANY_IP = "0.0.0.0"  # noqa: S104  # nothing is bound here; it is compared

#: (ip, protocol, port)
HostPort = tuple[str, str, int]


def host_ports(pod: Pod) -> tuple[HostPort, ...]:
    """Returns the host ports of containers and sidecars, in order, each once."""
    return _container_host_ports(pod.spec.containers, pod.spec.init_containers)


def conflicts(a: HostPort, b: HostPort) -> bool:
    """Whether no node can give both: same protocol and port, and same or any address."""
    return a[2] == b[2] and a[1] == b[1] and (a[0] == b[0] or ANY_IP in (a[0], b[0]))


def any_conflict(wanted: Iterable[HostPort], used: Iterable[HostPort]) -> bool:
    """Whether one of the wanted ports excludes one of the used ones."""
    used = tuple(used)
    return any(conflicts(a, b) for a in wanted for b in used)


@lru_cache(maxsize=2048)
def _container_host_ports(
    containers: tuple[Container, ...], init_containers: tuple[Container, ...]
) -> tuple[HostPort, ...]:
    sidecars = tuple(c for c in init_containers if c.restart_policy == "Always")
    ports = {
        (port.host_ip or ANY_IP, port.protocol or "TCP", port.host_port): None
        for container in containers + sidecars
        for port in container.ports
        if port.host_port > 0
    }
    return tuple(ports)
