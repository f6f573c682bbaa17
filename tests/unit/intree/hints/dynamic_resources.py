"""DynamicResources: claims that come, change and go; what else may give devices."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from pyscheduler.api.core_v1 import Pod, PodResourceClaim, PodResourceClaimStatus
from pyscheduler.api.resource_v1 import EXTENDED_RESOURCE_CLAIM_ANNOTATION, ResourceClaim
from pyscheduler.framework import (
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    NODE_ALLOCATABLE_CHANGED,
    NODE_LABELS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.intree.dynamic_resources import DynamicResources
from pyscheduler.intree.dynamic_resources.claim_tracker import RESOURCE_CLAIMS
from pyscheduler.intree.dynamic_resources.cluster_devices import DEVICE_TAINT_RULES
from pyscheduler.testing import FakeInformers, fake_handle, make_node, make_plugin, make_pod
from pyscheduler.testing.device_builders import (
    make_device_class,
    make_resource_claim,
    make_slice,
    make_taint_rule,
)
from tests.unit.intree.hints.case import HintCase

_POD = make_pod("p").resource_claim("c").obj()
_CLAIM = make_resource_claim("c").request("gpu")
_OTHER = make_resource_claim("other").request("gpu")
_USER = make_pod("user").obj()


def _knowing(*claims: ResourceClaim) -> Callable[[], DynamicResources]:
    """Makes the plugin, which knows these claims."""

    def make() -> DynamicResources:
        informers = FakeInformers()
        for claim in claims:
            informers.of(RESOURCE_CLAIMS).put(claim)
        return make_plugin(DynamicResources, handle=fake_handle(informers=informers))

    return make


def _claim(
    case_id: str,
    old: ResourceClaim | None,
    new: ResourceClaim | None,
    *,
    wakes: bool,
    known: tuple[ResourceClaim, ...] = (_CLAIM.obj(),),
) -> HintCase:
    action = (
        ActionType.ADD if old is None else ActionType.DELETE if new is None else ActionType.UPDATE
    )
    event = ClusterEvent(EventResource.RESOURCE_CLAIM, action)
    return HintCase(case_id, _knowing(*known), event, _POD, old, new, wakes)


def _always(event: ClusterEvent, new: object) -> HintCase:
    return HintCase("always", _knowing(), event, _POD, None, new, wakes=True)


def _of_template(*statuses: PodResourceClaimStatus) -> Pod:
    claims = (PodResourceClaim("gpu", resource_claim_template_name="template"),)
    pod = make_pod("p").obj()
    return replace(
        pod,
        spec=replace(pod.spec, resource_claims=claims),
        status=replace(pod.status, resource_claim_statuses=statuses),
    )


_MADE = _of_template(PodResourceClaimStatus("gpu", resource_claim_name="made"))


def _own(case_id: str, new: Pod, *known: ResourceClaim, wakes: bool) -> HintCase:
    event = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_GENERATED_RESOURCE_CLAIM)
    return HintCase(case_id, _knowing(*known), event, _of_template(), _of_template(), new, wakes)


def _rule(case_id: str, old: str | None, new: str | None, *, wakes: bool) -> HintCase:
    action = (
        ActionType.ADD if old is None else ActionType.DELETE if new is None else ActionType.UPDATE
    )
    before, after = (None if key is None else make_taint_rule("r", key=key) for key in (old, new))
    event = ClusterEvent(DEVICE_TAINT_RULES, action)
    return HintCase(case_id, _knowing(), event, _POD, before, after, wakes)


def _beside_one_that_failed() -> DynamicResources:
    """Makes the plugin, with which a pod failed whose claim was in memory alone."""
    plugin = _knowing(_CLAIM.obj())()
    plugin._tracker.give_up({_CLAIM.obj().metadata.uid}, _USER)
    return plugin


def _left(case_id: str, pod: Pod, *, wakes: bool) -> HintCase:
    return HintCase(case_id, _beside_one_that_failed, ASSIGNED_POD_DELETED, _POD, pod, None, wakes)


CASES = (
    _left("failed-with-devices-in-memory", _USER, wakes=True),
    _left("was-bound", make_pod("another").obj(), wakes=False),
    _claim("is-there", None, _CLAIM.obj(), wakes=True),
    _claim("is-there-another", None, _OTHER.obj(), wakes=False),
    _claim("is-there-and-one-is-missing", None, _OTHER.obj(), wakes=False, known=()),
    _claim("was-allocated", _CLAIM.obj(), _CLAIM.allocated("a").obj(), wakes=True),
    _claim(
        "changed-in-its-labels", _CLAIM.obj(), _CLAIM.label("touched", "yes").obj(), wakes=False
    ),
    _claim("another-was-allocated", _OTHER.obj(), _OTHER.allocated("a").obj(), wakes=False),
    _claim("another-gave-its-devices-back", _OTHER.allocated("a").obj(), _OTHER.obj(), wakes=True),
    _claim(
        "gave-devices-back-and-the-own-is-missing",
        _OTHER.allocated("a").obj(),
        _OTHER.obj(),
        wakes=False,
        known=(),
    ),
    _claim(
        "others-may-use-it",
        _CLAIM.allocated("a").obj(),
        _CLAIM.allocated("a").reserved_for(_USER).obj(),
        wakes=True,
    ),
    _claim("went-with-its-devices", _OTHER.allocated("a").obj(), None, wakes=True),
    _claim("went-without-devices", _OTHER.obj(), None, wakes=False),
    _claim(
        "made-for-the-pod-and-went",
        _OTHER.owner(_POD).annotation(EXTENDED_RESOURCE_CLAIM_ANNOTATION, "true").obj(),
        None,
        wakes=True,
    ),
    _own("all-were-made", _MADE, make_resource_claim("made").owner(_MADE).obj(), wakes=True),
    _own("made-but-not-told-of", _MADE, wakes=False),
    _rule("new-rule", None, "broken", wakes=True),
    _rule("same-rule", "broken", "broken", wakes=False),
    _rule("other-taint", "broken", "mended", wakes=True),
    _rule("rule-gone", "broken", None, wakes=True),
    _always(NODE_ADDED, make_node("n").obj()),
    _always(NODE_LABELS_CHANGED, make_node("n").obj()),
    _always(NODE_ALLOCATABLE_CHANGED, make_node("n").obj()),
    _always(ClusterEvent(EventResource.DEVICE_CLASS, ActionType.ADD), make_device_class().obj()),
    _always(ClusterEvent(EventResource.DEVICE_CLASS, ActionType.UPDATE), make_device_class().obj()),
    _always(ClusterEvent(EventResource.RESOURCE_SLICE, ActionType.ADD), make_slice("n").obj()),
    _always(ClusterEvent(EventResource.RESOURCE_SLICE, ActionType.UPDATE), make_slice("n").obj()),
)
