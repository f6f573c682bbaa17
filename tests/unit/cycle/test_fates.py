"""What may happen to a pod at each moment at which its attempt lets others have a turn.

Whatever it is, nothing of the attempt stays behind, and nothing is written to another pod of its
name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.status import PostFilterResult
from pyscheduler.testing import FakeWrites, make_pod
from tests.unit.cycle.rig import Rig, node

#: what happens, told by the watch
Fate = Callable[[], None]


class Moments(
    fwk.PostFilterPlugin,
    fwk.ReservePlugin,
    fwk.PermitPlugin,
    fwk.PreBindPlugin,
    fwk.PostBindPlugin,
    fwk.Plugin[fwk.NoArgs],
):
    """Has the pod's fate happen at the moment that the test names; counts what it reserved."""

    moment: ClassVar[str] = ""
    fate: ClassVar[Fate]
    reserved: ClassVar[set[str]] = set()

    @classmethod
    def at(cls, moment: str) -> None:
        if moment == cls.moment:
            cls.moment = ""  # it happens once
            cls.fate()

    async def post_filter(
        self, state: fwk.CycleState, pod: Pod, statuses: fwk.NodeStatuses
    ) -> tuple[PostFilterResult | None, fwk.Status | None]:
        self.at("PostFilter")
        return PostFilterResult("n"), None

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.reserved.add(pod.uid)

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.reserved.discard(pod.uid)

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        return (fwk.wait(), 60.0) if self.moment == "waiting" else (None, 0.0)

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.at("PreBind")

    async def post_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.at("PostBind")


class Server(FakeWrites):
    """Binds pods that are still there, and have no node."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Pod] = {}

    async def bind(self, pod: Pod, node_name: str) -> None:
        Moments.at("Bind")
        known = self.known.get(pod.key)
        if known is None or known.uid != pod.uid or known.node_name or known.is_terminating:
            raise PySchedulerError("refused")
        await super().bind(pod, node_name)


@pytest.fixture
def rig() -> Rig:
    server = Server()
    rig = Rig(Moments, writes=server)
    server.known = rig.known
    rig.add_node(node("n", cpu="1"))
    rig.add_node(node("elsewhere", cpu="1"))
    Moments.reserved = set()
    return rig


def _pod(uid: str, *, cpu: str = "1") -> Pod:
    return make_pod("p").uid(uid).req({"cpu": cpu}).scheduler_name("pyscheduler").obj()


def _updated(pod: Pod, *, node_name: str = "", deleted_at: str | None = None) -> Pod:
    replace = msgspec.structs.replace
    return replace(
        pod,
        metadata=replace(pod.metadata, resource_version="2", deletion_timestamp=deleted_at),
        spec=replace(pod.spec, node_name=node_name),
    )


MOMENTS = ["filtering", "PostFilter", "decided", "waiting", "PreBind", "Bind", "PostBind"]


async def _live(rig: Rig, moment: str, fate: Fate) -> Pod:
    """One attempt on a pod whose fate comes at that moment."""
    ours = _pod("first", cpu="8" if moment == "PostFilter" else "1")
    Moments.moment, Moments.fate = moment, staticmethod(fate)

    async def checkpoint() -> bool:
        Moments.at("filtering")
        return False

    rig.budget.checkpoint = checkpoint  # type: ignore[method-assign]  # the cycle's one await
    rig.add_pod(ours)
    entity = rig.queue.pop()
    assert entity is not None
    await rig.scheduler.schedule_one(entity)
    Moments.at("decided")
    await rig.turns()
    Moments.at("waiting")
    await rig.turns()
    for wait in rig.waiting_pods:
        wait.allow("Moments")
    await rig.turns()
    assert Moments.moment == "", "the moment came"
    return ours


def _assert_nothing_is_left(rig: Rig) -> None:
    counts = rig.queue.counts()
    assert (counts.in_flight, counts.in_flight_events) == (0, 0)
    assert (len(rig.waiting_pods), len(rig.pods_in_pre_bind)) == (0, 0)
    assert rig.scheduler.binding_count == 0
    rig.queue.validate()
    rig.cache.validate()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_pod_that_is_deleted_leaves_nothing(rig: Rig, moment: str) -> None:
    def fate() -> None:
        rig.delete_pod(rig.known["default/p"])

    await _live(rig, moment, fate)

    _assert_nothing_is_left(rig)
    assert rig.queue.counts().pending == 0
    assert len(rig.queue.nominator) == 0
    assert rig.cache.pod_count == 0
    assert rig.writes.conditions == []
    assert Moments.reserved == ({"first"} if moment == "PostBind" else set())


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_pod_made_again_has_a_life_of_its_own(rig: Rig, moment: str) -> None:
    def fate() -> None:
        rig.delete_pod(rig.known["default/p"])
        rig.add_pod(_pod("second"))

    await _live(rig, moment, fate)
    assert rig.writes.conditions == []
    await rig.settle()

    _assert_nothing_is_left(rig)
    assert rig.writes.bindings[-1][0].uid == "second"
    assert rig.cache.pod_count == 1
    assert "second" in Moments.reserved


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_pod_that_terminates_is_never_bound(rig: Rig, moment: str) -> None:
    def fate() -> None:
        rig.update_pod(_updated(rig.known["default/p"], deleted_at="2026-01-01T00:00:00Z"))

    await _live(rig, moment, fate)
    _assert_nothing_is_left(rig)
    assert len(rig.writes.bindings) == (moment == "PostBind")
    rig.clock.advance(30.0)
    rig.queue.flush_backoff()
    await rig.settle()
    rig.delete_pod(rig.known["default/p"])

    _assert_nothing_is_left(rig)
    assert rig.queue.counts().pending == 0
    assert len(rig.queue.nominator) == 0
    assert rig.cache.pod_count == 0


@pytest.mark.parametrize("moment", MOMENTS[:-1])
async def test_a_pod_that_somebody_else_binds_is_counted_there_alone(rig: Rig, moment: str) -> None:
    def fate() -> None:
        rig.update_pod(_updated(rig.known["default/p"], node_name="elsewhere"))

    await _live(rig, moment, fate)

    _assert_nothing_is_left(rig)
    assert rig.queue.counts().pending == 0
    assert len(rig.queue.nominator) == 0
    assert rig.cache.node_of("first") == "elsewhere"
    assert rig.writes.bindings == []
    assert rig.writes.conditions == []


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_pod_that_changes_otherwise_loses_nothing(rig: Rig, moment: str) -> None:
    def fate() -> None:
        rig.update_pod(_updated(rig.known["default/p"]))

    ours = await _live(rig, moment, fate)

    _assert_nothing_is_left(rig)
    if moment == "PostFilter":
        assert rig.queue.contains(ours.uid)
        assert rig.queue.nominator.nominated_on("n") == (rig.known["default/p"],)
        assert [pod.metadata.resource_version for pod, _, _ in rig.writes.conditions] == ["2"]
    else:
        assert len(rig.writes.bindings) == 1
        assert rig.writes.conditions == []
