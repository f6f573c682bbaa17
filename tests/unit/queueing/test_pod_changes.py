from __future__ import annotations

import msgspec
import pytest

from pyscheduler.api.core_v1 import (
    Container,
    Pod,
    PodCondition,
    PodResourceClaimStatus,
    PodSchedulingGate,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Toleration,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.framework.cluster_events import ActionType, EventResource
from pyscheduler.queueing.pod_changes import pod_change_events

META = ObjectMeta(name="a", namespace="ns", uid="a", resource_version="1")
LATER = msgspec.structs.replace(META, resource_version="2", generation=2)


def sized(cpu: str, meta: ObjectMeta = META) -> Pod:
    requests = ResourceRequirements(requests=FrozenMap({"cpu": cpu}))
    return Pod(meta, PodSpec(containers=(Container(name="c", resources=requests),)))


def pod_level(actuated: str, meta: ObjectMeta = META) -> Pod:
    asked, given = (
        ResourceRequirements(requests=FrozenMap({"cpu": cpu})) for cpu in ("1", actuated)
    )
    return Pod(meta, PodSpec(resources=asked), PodStatus(resources=given))


def annotated(meta: ObjectMeta) -> ObjectMeta:
    return msgspec.structs.replace(meta, annotations=FrozenMap({"a": "b"}))


@pytest.mark.parametrize(
    ("old", "new", "actions"),
    [
        pytest.param(
            Pod(META),
            Pod(msgspec.structs.replace(LATER, labels=FrozenMap({"a": "b"}))),
            [ActionType.UPDATE_POD_LABEL],
            id="label",
        ),
        pytest.param(
            sized("2"), sized("1", LATER), [ActionType.UPDATE_POD_SCALE_DOWN], id="smaller"
        ),
        pytest.param(sized("1"), sized("2", LATER), [ActionType.UPDATE_POD_SCALE_UP], id="larger"),
        pytest.param(
            pod_level("2"),
            pod_level("1", LATER),
            [ActionType.UPDATE_POD_SCALE_DOWN],
            id="pod as a whole actuated smaller",
        ),
        pytest.param(
            Pod(META), Pod(LATER, PodSpec(priority=1)), [ActionType.UPDATE], id="else in the spec"
        ),
        pytest.param(
            Pod(META),
            Pod(LATER, status=PodStatus(phase="Running")),
            [ActionType.UPDATE],
            id="phase",
        ),
        pytest.param(sized("1"), sized("1000m", LATER), [ActionType.UPDATE], id="same size"),
        pytest.param(sized("1"), sized("many", LATER), [ActionType.UPDATE], id="unreadable size"),
        pytest.param(
            Pod(META),
            Pod(LATER, PodSpec(tolerations=(Toleration(key="k"),))),
            [ActionType.UPDATE_POD_TOLERATION],
            id="toleration",
        ),
        pytest.param(
            Pod(META, PodSpec(scheduling_gates=(PodSchedulingGate(name="g"),))),
            Pod(LATER),
            [ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED],
            id="last gate lifted",
        ),
        pytest.param(
            Pod(META),
            Pod(
                LATER, status=PodStatus(resource_claim_statuses=(PodResourceClaimStatus(name="c"),))
            ),
            [ActionType.UPDATE_POD_GENERATED_RESOURCE_CLAIM],
            id="claim made",
        ),
        pytest.param(Pod(META), Pod(annotated(LATER)), [ActionType.UPDATE], id="annotation"),
        pytest.param(
            Pod(META),
            Pod(LATER, status=PodStatus(conditions=(PodCondition(type="x/Ready", status="True"),))),
            [ActionType.UPDATE],
            id="somebody's condition",
        ),
        pytest.param(
            Pod(META),
            Pod(
                LATER,
                status=PodStatus(
                    conditions=(PodCondition(type="PodScheduled", status="False"),),
                    nominated_node_name="n1",
                ),
            ),
            [],
            id="what the scheduler wrote itself",
        ),
        pytest.param(
            Pod(META, raw=b'{"metadata":{"resourceVersion":"1"}}'),
            Pod(LATER, raw=b'{"metadata":{"resourceVersion":"2"}}'),
            [],
            id="bytes kept for extenders",
        ),
    ],
)
def test_each_aspect_is_an_event(old: Pod, new: Pod, actions: list[ActionType]) -> None:
    events = pod_change_events(old, new, resource=EventResource.TARGET_POD)
    assert [event.action for event in events] == actions
    assert all(event.resource is EventResource.TARGET_POD for event in events)


def test_several_aspects_are_several_events() -> None:
    old = Pod(META, PodSpec(scheduling_gates=(PodSchedulingGate(name="g"),)))
    new = Pod(msgspec.structs.replace(LATER, labels=FrozenMap({"a": "b"})))
    assert len(pod_change_events(old, new, resource=EventResource.ASSIGNED_POD)) == 2
