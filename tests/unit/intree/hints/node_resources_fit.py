"""NodeResourcesFit: pods that leave or shrink, nodes that join or grow."""

from __future__ import annotations

from pyscheduler.framework import (
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    NODE_ALLOCATABLE_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.framework.extended_resources import DEVICE_CLASSES
from pyscheduler.intree.node_resources import NodeResourcesFit
from pyscheduler.testing import (
    FakeInformers,
    NodeBuilder,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)
from pyscheduler.testing.device_builders import DeviceClassBuilder, make_device_class
from tests.unit.intree.hints.case import HintCase, default

_POD = make_pod("p").req({"cpu": "2"})
_ASKS_NOTHING = make_pod("p")
_OTHER = make_pod("other").node("n")
_SMALL = make_node("n").capacity({"cpu": "1", "memory": "1Gi"})
_BIG = make_node("n").capacity({"cpu": "4", "memory": "1Gi"})
_GPU = "example.com/gpu"
_WANTS_GPU = make_pod("p").req({"cpu": "1", _GPU: "1"})
_GPUS = make_device_class("gpus").extended_resource(_GPU)


def _with_classes() -> NodeResourcesFit:
    """Knows of devices for the extended resource."""
    informers = FakeInformers()
    informers.of(DEVICE_CLASSES).put(_GPUS.obj())
    return make_plugin(NodeResourcesFit, handle=fake_handle(informers=informers))


def _class(
    case_id: str,
    old: DeviceClassBuilder | None,
    new: DeviceClassBuilder,
    *,
    wakes: bool,
    pod: PodBuilder = _WANTS_GPU,
) -> HintCase:
    action = ActionType.ADD if old is None else ActionType.UPDATE
    event = ClusterEvent(EventResource.DEVICE_CLASS, action)
    before = None if old is None else old.obj()
    return HintCase(
        case_id, default("NodeResourcesFit"), event, pod.obj(), before, new.obj(), wakes
    )


def _left(case_id: str, gone: PodBuilder, *, wakes: bool) -> HintCase:
    plugin = default("NodeResourcesFit")
    return HintCase(case_id, plugin, ASSIGNED_POD_DELETED, _POD.obj(), gone.obj(), None, wakes)


def _shrank(case_id: str, old: PodBuilder, new: PodBuilder, *, wakes: bool) -> HintCase:
    event = ClusterEvent(EventResource.ASSIGNED_POD, ActionType.UPDATE_POD_SCALE_DOWN)
    plugin = default("NodeResourcesFit")
    return HintCase(case_id, plugin, event, _POD.obj(), old.obj(), new.obj(), wakes)


def _joined(case_id: str, node: NodeBuilder, *, wakes: bool, pod: PodBuilder = _POD) -> HintCase:
    plugin = default("NodeResourcesFit")
    return HintCase(case_id, plugin, NODE_ADDED, pod.obj(), None, node.obj(), wakes)


def _changed(
    case_id: str, old: NodeBuilder, new: NodeBuilder, *, wakes: bool, pod: PodBuilder = _POD
) -> HintCase:
    plugin = default("NodeResourcesFit")
    return HintCase(
        case_id, plugin, NODE_ALLOCATABLE_CHANGED, pod.obj(), old.obj(), new.obj(), wakes
    )


CASES = (
    _left("held-room", _OTHER.req({"cpu": "1"}), wakes=True),
    _left("asked-for-nothing", _OTHER, wakes=True),
    _left("was-promised-room", make_pod("other").nominated("n"), wakes=True),
    _left("was-pending", make_pod("other").req({"cpu": "1"}), wakes=False),
    _shrank("needed", _OTHER.req({"cpu": "2"}), _OTHER.req({"cpu": "1"}), wakes=True),
    _shrank(
        "not-needed",
        _OTHER.req({"cpu": "1", "memory": "2Gi"}),
        _OTHER.req({"cpu": "1", "memory": "1Gi"}),
        wakes=False,
    ),
    _shrank(
        "without-a-node",
        make_pod("other").req({"cpu": "2"}),
        make_pod("other").req({"cpu": "1"}),
        wakes=False,
    ),
    _shrank(
        "promised-only",
        make_pod("other").nominated("n").req({"cpu": "2"}),
        make_pod("other").nominated("n").req({"cpu": "1"}),
        wakes=False,
    ),
    HintCase(
        id="asks-for-less",
        plugin=default("NodeResourcesFit"),
        event=ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_SCALE_DOWN),
        pod=_POD.obj(),
        old=_POD.obj(),
        new=make_pod("p").req({"cpu": "1"}).obj(),
        wakes=True,
    ),
    _joined("with-room", _BIG, wakes=True),
    _joined("too-small", _SMALL, wakes=False),
    _joined("for-no-pod", _BIG.capacity({"cpu": "4", "pods": "0"}), wakes=False),
    _joined("for-one-that-asks-nothing", _SMALL, wakes=True, pod=_ASKS_NOTHING),
    _changed("grew-enough", _SMALL, _BIG, wakes=True),
    _changed("grew-too-little", _SMALL, _SMALL.capacity({"cpu": "1500m"}), wakes=False),
    _changed(
        "grew-in-something-else", _BIG, _BIG.capacity({"cpu": "4", "memory": "2Gi"}), wakes=False
    ),
    _changed("shrank", _BIG, _BIG.capacity({"cpu": "3", "memory": "1Gi"}), wakes=False),
    _changed(
        "more-pods",
        _BIG.capacity({"cpu": "4", "pods": "1"}),
        _BIG.capacity({"cpu": "4", "pods": "2"}),
        wakes=True,
        pod=_ASKS_NOTHING,
    ),
    HintCase(
        id="with-devices-perhaps",
        plugin=_with_classes,
        event=NODE_ADDED,
        pod=_WANTS_GPU.obj(),
        old=None,
        new=_BIG.obj(),
        wakes=True,
    ),
    HintCase(
        id="with-devices-perhaps-but-too-small",
        plugin=_with_classes,
        event=NODE_ADDED,
        pod=_WANTS_GPU.obj(),
        old=None,
        new=_SMALL.capacity({"cpu": "500m"}).obj(),
        wakes=False,
    ),
    HintCase(
        id="with-devices-perhaps-whatever-changed",
        plugin=_with_classes,
        event=NODE_ALLOCATABLE_CHANGED,
        pod=_WANTS_GPU.obj(),
        old=_BIG.obj(),
        new=_BIG.capacity({"cpu": "3", "memory": "1Gi"}).obj(),
        wakes=True,
    ),
    _class("provides-it", None, _GPUS, wakes=True),
    _class("provides-something-else", None, make_device_class("nics"), wakes=False),
    _class(
        "provides-its-own-name",
        None,
        make_device_class("nics"),
        wakes=True,
        pod=make_pod("p").req({"deviceclass.resource.kubernetes.io/nics": "1"}),
    ),
    _class("provides-it-now", make_device_class("gpus"), _GPUS, wakes=True),
    _class("provided-it-before", _GPUS, _GPUS.selector("true"), wakes=False),
    _class(
        "changed-and-has-its-own-name-as-before",
        make_device_class("nics"),
        make_device_class("nics").extended_resource("example.com/nic"),
        wakes=False,
        pod=make_pod("p").req({"deviceclass.resource.kubernetes.io/nics": "1"}),
    ),
    _changed("grew-for-one-that-asks-nothing", _SMALL, _BIG, wakes=False, pod=_ASKS_NOTHING),
)
