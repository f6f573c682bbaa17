"""What is read of services and workloads: whose pods are theirs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyscheduler.api.codec import BUILT_IN, Interner, decoder
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement

METADATA = {"name": "web", "namespace": "shop"}
WEB = FrozenMap({"app": "web"})
NOT_OLD = {"key": "track", "operator": "NotIn", "values": ["old"]}
BY_LABELS = {"app": "web"}
BY_SELECTOR = {"matchLabels": BY_LABELS, "matchExpressions": [NOT_OLD]}
SELECTOR = LabelSelector(
    match_labels=WEB,
    match_expressions=(LabelSelectorRequirement("track", "NotIn", ("old",)),),
)


def decoded(resource: str, spec: dict[str, Any]) -> Any:
    body = msgspec.json.encode({"metadata": METADATA, "spec": {**spec, "replicas": 3}})
    return decoder(BUILT_IN[resource], Interner()).object(body)


@pytest.mark.parametrize(
    ("resource", "spec", "selector"),
    [
        pytest.param("services.v1", {"selector": BY_LABELS}, WEB, id="service"),
        pytest.param("services.v1", {"selector": None}, FrozenMap(), id="service-of-nobody"),
        pytest.param("replicationcontrollers.v1", {"selector": BY_LABELS}, WEB, id="controller"),
        pytest.param("replicasets.v1.apps", {"selector": BY_SELECTOR}, SELECTOR, id="replica-set"),
        pytest.param(
            "statefulsets.v1.apps", {"selector": BY_SELECTOR}, SELECTOR, id="stateful-set"
        ),
        pytest.param("statefulsets.v1.apps", {}, None, id="no-selector"),
    ],
)
def test_the_selector_is_read(resource: str, spec: dict[str, Any], selector: object) -> None:
    workload = decoded(resource, spec)

    assert workload.spec.selector == selector
    assert (workload.metadata.namespace, workload.metadata.name) == ("shop", "web")
