from __future__ import annotations

from decimal import Decimal

import pytest
from kubernetes import client

from tests.controlplane.witness import effective_requests


def container(cpu: str, *, restart_policy: str | None = None) -> client.V1Container:
    return client.V1Container(
        name="c",
        resources=client.V1ResourceRequirements(requests={"cpu": cpu}),
        restart_policy=restart_policy,
    )


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        pytest.param({"containers": ["1", "500m"]}, "1.5", id="containers add up"),
        pytest.param({"containers": ["1"], "init": ["3", "2"]}, "3", id="largest init counts"),
        pytest.param({"containers": ["1"], "init": ["+1"]}, "2", id="sidecar runs beside"),
        pytest.param(
            {"containers": ["1"], "init": ["+1", "4"]}, "5", id="init runs beside earlier sidecar"
        ),
        pytest.param(
            {"containers": ["1"], "init": ["4", "+1"]}, "4", id="init before sidecar is alone"
        ),
        pytest.param(
            {"containers": ["1"], "overhead": {"cpu": "250m"}}, "1.25", id="overhead on top"
        ),
        pytest.param(
            {"containers": ["1"], "pod": {"cpu": "3"}, "overhead": {"cpu": "1"}},
            "4",
            id="pod level in place of the sum",
        ),
    ],
)
def test_effective_cpu(spec: dict[str, object], cpu: str) -> None:
    init = [
        container(text.lstrip("+"), restart_policy="Always" if text.startswith("+") else None)
        for text in _texts(spec.get("init"))
    ]
    pod = client.V1Pod(
        spec=client.V1PodSpec(
            containers=[container(text) for text in _texts(spec["containers"])],
            init_containers=init or None,
            overhead=spec.get("overhead"),
            resources=client.V1ResourceRequirements(requests=spec.get("pod")),
        )
    )

    assert effective_requests(pod)["cpu"] == Decimal(cpu)


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []
