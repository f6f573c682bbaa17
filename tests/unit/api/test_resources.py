from collections.abc import Sequence

import pytest

from pyscheduler.api.core_v1 import (
    Container,
    ContainerStatus,
    Node,
    NodeStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    ResourceRequirements,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.quantity import INT64_MAX, InvalidQuantity
from pyscheduler.api.resources import node_allocatable, pod_requests

MIB = 1024**2


def asks(**requests: str) -> ResourceRequirements:
    return ResourceRequirements(
        requests=FrozenMap({k.replace("_", "-"): v for k, v in requests.items()})
    )


def container(name: str = "c", restart_policy: str = "", **requests: str) -> Container:
    return Container(name, resources=asks(**requests), restart_policy=restart_policy)


def sidecar(name: str = "s", **requests: str) -> Container:
    return container(name, "Always", **requests)


def pod(
    *containers: Container,
    init: Sequence[Container] = (),
    overhead: dict[str, str] | None = None,
    resources: ResourceRequirements | None = None,
    status: PodStatus | None = None,
) -> Pod:
    spec = PodSpec(
        containers=containers,
        init_containers=tuple(init),
        overhead=FrozenMap(overhead or {}),
        resources=resources,
    )
    return Pod(ObjectMeta(name="p"), spec, status or PodStatus())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(pod(container()), {}, id="nothing"),
        pytest.param(
            pod(container(cpu="100m", memory="1Mi"), container(cpu="1", memory="1Mi")),
            {"cpu": 1100, "memory": 2 * MIB},
            id="containers add up",
        ),
        pytest.param(
            pod(container(cpu="1"), init=[container(cpu="3"), container(cpu="2", memory="5")]),
            {"cpu": 3000, "memory": 5},
            id="the largest init container where it is more",
        ),
        pytest.param(
            pod(container(cpu="1"), init=[sidecar(cpu="500m")]),
            {"cpu": 1500},
            id="sidecars add to containers",
        ),
        pytest.param(
            pod(
                container(cpu="1"),
                init=[
                    sidecar("a", cpu="1"),
                    container("i", cpu="2"),
                    sidecar("b", cpu="1"),
                    container("j", cpu="500m"),
                ],
            ),
            {"cpu": 3000},
            id="an init container runs beside the sidecars before it",
        ),
        pytest.param(
            pod(container(cpu="1"), init=[container("i", cpu="2"), sidecar("a", cpu="500m")]),
            {"cpu": 2000},
            id="not beside those after it",
        ),
        pytest.param(
            pod(container(cpu="1"), init=[container(cpu="2")], overhead={"cpu": "10m"}),
            {"cpu": 2010},
            id="overhead comes on top",
        ),
        pytest.param(
            pod(container(cpu="1", memory="5"), resources=asks(cpu="3"), overhead={"cpu": "1"}),
            {"cpu": 4000, "memory": 5},
            id="pod level replaces what it names",
        ),
        pytest.param(
            pod(container(cpu="2"), resources=asks(cpu="1", ephemeral_storage="7")),
            {"cpu": 1000},
            id="pod level may be less and knows only some resources",
        ),
        pytest.param(
            pod(
                Container(
                    "c",
                    resources=ResourceRequirements(
                        requests=FrozenMap(
                            {
                                "example.com/gpu": "2",
                                "hugepages-2Mi": "4Mi",
                                "ephemeral-storage": "1k",
                                "nobody-knows": "1",
                                "requests.example.com/x": "1",
                                "example.com/none": "0",
                            }
                        )
                    ),
                )
            ),
            {"example.com/gpu": 2, "hugepages-2Mi": 4 * MIB, "ephemeral-storage": 1000},
            id="extended resources, no zeros, no unknown names",
        ),
        pytest.param(
            pod(container(cpu="100u"), container(cpu="100u")),
            {"cpu": 1},
            id="fractions are added before rounding up",
        ),
        pytest.param(
            pod(container(memory="7Ei"), container(memory="7Ei")),
            {"memory": INT64_MAX},
            id="sums stay within int64",
        ),
    ],
)
def test_pod_requests(given: Pod, expected: dict[str, int]) -> None:
    assert pod_requests(given).requests == expected


@pytest.mark.parametrize(
    ("given", "cpu", "memory"),
    [
        pytest.param(pod(container()), 100, 200 * MIB, id="nothing asked"),
        pytest.param(pod(container(), container()), 200, 400 * MIB, id="for each container"),
        pytest.param(pod(container(cpu="0", memory="0")), 0, 0, id="an explicit zero stays"),
        pytest.param(pod(container(cpu="1")), 1000, 200 * MIB, id="only what is missing"),
        pytest.param(
            pod(container(cpu="1", memory="1Mi"), container()),
            1100,
            201 * MIB,
            id="for the container that asks for none",
        ),
        pytest.param(
            pod(container(cpu="10m", memory="1Mi"), init=(container(),)),
            100,
            200 * MIB,
            id="for an init container, too",
        ),
        pytest.param(
            pod(container(), resources=asks(cpu="2")), 2000, 200 * MIB, id="pod level given"
        ),
        pytest.param(
            pod(container(memory="1Mi"), container(), resources=asks(cpu="2")),
            2000,
            1 * MIB,
            id="with pod level, containers that ask make the rest count",
        ),
    ],
)
def test_non_zero_requests(given: Pod, cpu: int, memory: int) -> None:
    requests = pod_requests(given)
    assert (requests.non_zero_cpu, requests.non_zero_memory) == (cpu, memory)


def status_of(
    name: str, resources: dict[str, str] | None = None, **allocated: str
) -> ContainerStatus:
    return ContainerStatus(
        name,
        resources=None if resources is None else asks(**resources),
        allocated_resources=FrozenMap(allocated),
    )


RESIZE_INFEASIBLE = PodCondition("PodResizePending", "True", "Infeasible")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(PodStatus(), {"cpu": 1000}, id="no status yet"),
        pytest.param(
            PodStatus(container_statuses=(status_of("c", {"cpu": "3"}, cpu="2"),)),
            {"cpu": 3000},
            id="actuated is largest",
        ),
        pytest.param(
            PodStatus(container_statuses=(status_of("c", {"cpu": "100m"}, cpu="2"),)),
            {"cpu": 2000},
            id="allocated is largest",
        ),
        pytest.param(
            PodStatus(container_statuses=(status_of("c", {"cpu": "100m"}, cpu="200m"),)),
            {"cpu": 1000},
            id="spec is largest",
        ),
        pytest.param(
            PodStatus(
                container_statuses=(status_of("c", {"cpu": "100m"}, cpu="200m"),),
                conditions=(RESIZE_INFEASIBLE,),
            ),
            {"cpu": 200},
            id="an infeasible resize does not count the spec",
        ),
        pytest.param(
            PodStatus(
                container_statuses=(status_of("c", {"cpu": "100m"}, cpu="200m"),),
                conditions=(PodCondition("PodResizePending", "True", "Deferred"),),
            ),
            {"cpu": 1000},
            id="a deferred one does",
        ),
    ],
)
def test_status_counts_when_asked(status: PodStatus, expected: dict[str, int]) -> None:
    given = pod(container(cpu="1"), status=status)
    assert pod_requests(given, use_status=True).requests == expected
    assert pod_requests(given).requests == {"cpu": 1000}


def test_the_largest_of_sums_counts_and_not_the_sum_of_the_largest() -> None:
    status = PodStatus(
        container_statuses=(
            status_of("a", {"cpu": "1"}, cpu="1"),
            status_of("b", {"cpu": "3"}, cpu="3"),
        )
    )
    given = pod(container("a", cpu="3"), container("b", cpu="1"), status=status)
    assert pod_requests(given, use_status=True).requests == {"cpu": 4000}


def test_pod_level_status_counts_against_the_pod_level_spec() -> None:
    status = PodStatus(
        container_statuses=(status_of("c"),),
        resources=asks(cpu="3"),
        allocated_resources=FrozenMap({"cpu": "2"}),
    )
    given = pod(container(), resources=asks(cpu="1"), status=status)
    assert pod_requests(given, use_status=True).requests == {"cpu": 3000}
    assert pod_requests(given).requests == {"cpu": 1000}


def test_a_bad_quantity_is_refused_with_its_resource() -> None:
    with pytest.raises(InvalidQuantity, match="invalid quantity '1x' for memory"):
        pod_requests(pod(container(memory="1x")))


def test_pods_of_one_template_share_the_result() -> None:
    first, second = (pod(container(cpu="123m")) for _ in range(2))
    assert pod_requests(first) is pod_requests(second)


def node(**allocatable: str) -> Node:
    quantities = {k.replace("_", "-"): v for k, v in allocatable.items()}
    return Node(ObjectMeta(name="n"), status=NodeStatus(allocatable=FrozenMap(quantities)))


def test_node_allocatable_has_cpu_in_thousandths_and_pods() -> None:
    given = node(cpu="940m", memory="2701500Ki", pods="110", ephemeral_storage="1Gi", storage="1")
    assert node_allocatable(given) == {
        "cpu": 940,
        "memory": 2701500 * 1024,
        "pods": 110,
        "ephemeral-storage": 1024**3,
    }


def test_node_allocatable_refuses_a_bad_quantity() -> None:
    with pytest.raises(InvalidQuantity, match="for pods"):
        node_allocatable(node(pods="many"))
