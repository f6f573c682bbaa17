"""With the gate SchedulerPreQueueingHints: which pods a claim's event may concern."""

from __future__ import annotations

from msgspec.structs import replace

from pyscheduler.api.core_v1 import Pod, PodResourceClaim, PodResourceClaimStatus
from pyscheduler.framework import ClusterEventWithHint, EventResource
from pyscheduler.testing import make_pod
from pyscheduler.testing.device_builders import make_resource_claim
from tests.unit.intree.dynamic_resources.rig import Rig

CLAIM = make_resource_claim("c").request("gpu")
GATES = {"SchedulerPreQueueingHints": True}


def _registration(rig: Rig) -> ClusterEventWithHint:
    (found,) = [
        known
        for known in rig.plugin.events_to_register()
        if known.event.resource is EventResource.RESOURCE_CLAIM
    ]
    return found


def _concerned(rig: Rig, old: object, new: object) -> set[str] | None:
    pre_hint = _registration(rig).pre_hint
    assert pre_hint is not None
    pods = pre_hint(old, new)
    return None if pods is None else set(pods)


def _generated(status: PodResourceClaimStatus | None) -> Pod:
    pod = make_pod("generated").obj()
    claims = (PodResourceClaim("gpu", resource_claim_template_name="template"),)
    statuses = () if status is None else (status,)
    return replace(
        pod,
        spec=replace(pod.spec, resource_claims=claims),
        status=replace(pod.status, resource_claim_statuses=statuses),
    )


def test_the_pods_that_name_the_claim() -> None:
    rig = Rig(features=GATES)
    pods = rig.informers.of("pods.v1")
    pods.put(make_pod("a").resource_claim("c").obj())
    pods.put(make_pod("b").resource_claim("c").resource_claim("d").obj())
    pods.put(make_pod("elsewhere").namespace("other").resource_claim("c").obj())
    pods.put(_generated(None))

    assert _concerned(rig, None, CLAIM.obj()) == {"default/a", "default/b"}

    pods.put(_generated(PodResourceClaimStatus("gpu", resource_claim_name="c")))
    pods.remove("default/a")
    assert _concerned(rig, None, CLAIM.obj()) == {"default/b", "default/generated"}
    assert _concerned(rig, CLAIM.obj(), None) == {"default/b", "default/generated"}
    assert _concerned(rig, None, make_resource_claim("e").obj()) == set()


def test_devices_that_became_free_concern_all() -> None:
    rig = Rig(features=GATES)
    allocated = CLAIM.allocated("gpu-0").obj()

    assert _concerned(rig, allocated, CLAIM.obj()) is None
    assert _concerned(rig, allocated, None) is None
    assert _concerned(rig, CLAIM.obj(), allocated) == set()


def test_without_the_gate_pods_are_not_followed() -> None:
    rig = Rig()

    assert "pods.v1" not in rig.informers.followed
    assert _concerned(rig, None, CLAIM.obj()) is None
