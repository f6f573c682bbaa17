"""NodePorts: pods that give up a port."""

from __future__ import annotations

from pyscheduler.framework import ASSIGNED_POD_DELETED, NODE_ADDED
from pyscheduler.testing import PodBuilder, make_node, make_pod
from tests.unit.intree.hints.case import HintCase, default

_POD = make_pod("p").host_port(80)
_OTHER = make_pod("other").node("n")


def _left(case_id: str, gone: PodBuilder, *, wakes: bool, pod: PodBuilder = _POD) -> HintCase:
    plugin = default("NodePorts")
    return HintCase(case_id, plugin, ASSIGNED_POD_DELETED, pod.obj(), gone.obj(), None, wakes)


CASES = (
    _left("held-the-port", _OTHER.host_port(80), wakes=True),
    _left("was-promised-it", make_pod("other").nominated("n").host_port(80), wakes=True),
    _left("held-another", _OTHER.host_port(81), wakes=False),
    _left("held-none", _OTHER, wakes=False),
    _left("was-pending", make_pod("other").host_port(80), wakes=False),
    _left("another-protocol", _OTHER.host_port(80, protocol="UDP"), wakes=False),
    _left("one-address-of-all", _OTHER.host_port(80, ip="10.0.0.1"), wakes=True),
    _left(
        "another-address",
        _OTHER.host_port(80, ip="10.0.0.1"),
        wakes=False,
        pod=make_pod("p").host_port(80, ip="10.0.0.2"),
    ),
    HintCase(
        id="any-node",
        plugin=default("NodePorts"),
        event=NODE_ADDED,
        pod=_POD.obj(),
        old=None,
        new=make_node("n").obj(),
        wakes=True,
    ),
)
