from __future__ import annotations

from random import Random
from typing import ClassVar

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.columns import Aspect, PodColumn
from pyscheduler.framework.cycle_state import CycleState, StateKey
from pyscheduler.framework.nodes import NodeInfo, NodeTable
from pyscheduler.framework.status import Code, Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.rejections import passed_filters
from pyscheduler.runtime.what_if import RowsWhatIf
from pyscheduler.testing import make_node, make_pod
from tests.unit.cycle.rig import Rig, node, pod

COUNT = StateKey["Tally"]("OneApiPerCluster.count")
GIGABYTES = PodColumn("test/gigabytes", "int64", extract=lambda pod: int(pod.annotations["gb"]))


class Tally:
    """Pods labelled ``app=api`` anywhere: what one row's change means for all rows."""

    def __init__(self, pods: int) -> None:
        self.pods = pods

    def clone(self) -> Tally:
        return Tally(self.pods)


class OneApiPerCluster(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    def pre_filter(self, state: CycleState, pod: Pod, nodes: NodeTable) -> None:
        infos = [nodes.node(row) for row in range(len(nodes))]
        found = sum(p.labels.get("app") == "api" for info in infos for p in info.pods.values())
        state.write(COUNT, Tally(found))

    def add_pod(self, state: CycleState, pod: Pod, added: Pod, node: NodeInfo) -> None:
        state.read(COUNT).pods += added.labels.get("app") == "api"

    def remove_pod(self, state: CycleState, pod: Pod, removed: Pod, node: NodeInfo) -> None:
        state.read(COUNT).pods -= removed.labels.get("app") == "api"

    def filter(self, state: CycleState, pod: Pod, node: NodeInfo) -> Status | None:
        return fwk.unschedulable("an api runs already") if state.read(COUNT).pods else None


class NoDarkNodes(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Looks at nothing but the Node."""

    depends_on = (Aspect.LABELS,)
    asked: ClassVar[list[str]] = []

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        return ()

    def filter(self, state: CycleState, pod: Pod, node: NodeInfo) -> Status | None:
        self.asked.append(node.name)
        return fwk.unschedulable("dark") if "dark" in node.node.labels else None


def running(name: str, on: str, *, cpu: str = "1", app: str = "", priority: int = 0) -> Pod:
    builder = make_pod(name).req({"cpu": cpu}).node(on).scheduler_name("other").priority(priority)
    return (builder.label("app", app) if app else builder).obj()


async def what_if(
    rig: Rig, judged: Pod, *names: str, nominator: Nominator | None = None
) -> RowsWhatIf:
    """The what-if over these nodes, with what PreFilter found out about the cluster as it is."""
    rig.snapshot.refresh()
    filtering = Filtering(rig.profile, rig.snapshot, rig.budget)
    entry = await filtering.judge_all(judged)
    rows = [rig.snapshot.nodes.row_of(name) for name in names]
    return RowsWhatIf(
        rig.profile,
        rig.snapshot,
        nominator or Nominator(),
        state=entry.state,
        pod=judged,
        rows=[row for row in rows if row is not None],
        passed=passed_filters(entry),
    )


def codes(statuses: list[Status | None]) -> list[Code]:
    return [Code.SUCCESS if status is None else status.code for status in statuses]


async def test_taking_a_pod_away_makes_room_on_the_copy_alone() -> None:
    rig = Rig()
    for name in ("a", "b"):
        rig.add_node(node(name, cpu="1"))
        rig.add_pod(running(f"on-{name}", name))
    copy = await what_if(rig, pod("p"), "a", "b")
    assert codes(copy.judge()) == [Code.UNSCHEDULABLE, Code.UNSCHEDULABLE]

    copy.remove_pod(0, next(iter(copy.nodes.node(0).pods.values())))

    assert codes(copy.judge()) == [Code.SUCCESS, Code.UNSCHEDULABLE]
    assert [s and (s.plugin, s.reasons) for s in copy.judge([1])] == [
        ("NodeResourcesFit", ("Insufficient cpu",))
    ]
    assert rig.snapshot.nodes.requested("cpu").tolist() == [1000, 1000]
    assert [len(rig.snapshot.nodes.node(row).pods) for row in (0, 1)] == [1, 1]


async def test_columns_follow_and_cannot_be_written() -> None:
    rig = Rig()
    rig.add_node(node("a"))
    rig.add_node(node("b"))
    rig.add_pod(make_pod("old").annotation("gb", "3").node("a").obj())
    copy = await what_if(rig, pod("p"), "b", "a")
    requested, gigabytes = copy.nodes.requested("cpu"), copy.nodes.column(GIGABYTES)
    assert (requested.tolist(), gigabytes.tolist()) == ([0, 0], [0, 3])

    copy.add_pod(1, make_pod("new").annotation("gb", "4").req({"cpu": "2"}).obj())

    assert (requested.tolist(), gigabytes.tolist()) == ([0, 2000], [0, 7])
    assert copy.nodes.pod_count.tolist() == [0, 2]
    assert copy.nodes.row_of("a") == 1
    with pytest.raises(ValueError, match="read-only"):
        requested[0] = 1


async def test_a_plugin_that_follows_pods_has_a_state_per_row() -> None:
    rig = Rig(OneApiPerCluster)
    for name in ("a", "b"):
        rig.add_node(node(name))
    rig.add_pod(api := running("api", "a", app="api"))
    copy = await what_if(rig, pod("p"), "a", "b")
    assert [s and s.plugin for s in copy.judge()] == ["OneApiPerCluster", "OneApiPerCluster"]

    copy.remove_pod(0, api)

    # only the row that was changed knows of it: a what-if asks about each row by itself
    assert [s and s.plugin for s in copy.judge()] == [None, "OneApiPerCluster"]
    copy.add_pod(0, api)
    assert [s and s.plugin for s in copy.judge()] == ["OneApiPerCluster", "OneApiPerCluster"]


async def test_who_looks_at_nothing_but_the_node_is_asked_once_whichever_pods_leave() -> None:
    rig = Rig(NoDarkNodes)
    rig.add_node(node("a", cpu="1"))
    roomy = make_node("b").capacity({"cpu": "1", "memory": "9Gi", "pods": "9"})
    rig.add_node(roomy.label("dark", "").obj())
    for name in ("a", "b"):
        rig.add_pod(running(f"on-{name}", name))
    copy = await what_if(rig, pod("p"), "a", "b")
    NoDarkNodes.asked.clear()
    for row in (0, 1):
        copy.remove_pod(row, next(iter(copy.nodes.node(row).pods.values())))
    assert [s and s.plugin for s in copy.judge()] == [None, "NoDarkNodes"]

    copy.add_pod(0, running("other", "a"))

    assert [s and s.plugin for s in copy.judge([0])] == ["NodeResourcesFit"]
    assert NoDarkNodes.asked == ["a", "b"]


async def test_who_looks_at_nothing_but_the_node_and_rejected_none_is_not_asked_again() -> None:
    rig = Rig(NoDarkNodes)
    rig.add_node(node("a", cpu="1"))
    rig.add_pod(running("on-a", "a"))
    copy = await what_if(rig, pod("p"), "a")
    NoDarkNodes.asked.clear()

    assert [s and s.plugin for s in copy.judge()] == ["NodeResourcesFit"]
    copy.remove_pod(0, next(iter(copy.nodes.node(0).pods.values())))

    assert copy.judge() == [None]
    assert not NoDarkNodes.asked


class Objecting(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Has no Filter, and says no to pods that come."""

    def pre_filter(self, state: CycleState, pod: Pod, nodes: NodeTable) -> None: ...

    def add_pod(self, state: CycleState, pod: Pod, added: Pod, node: NodeInfo) -> Status | None:
        return fwk.unschedulable("not here")

    def remove_pod(self, state: CycleState, pod: Pod, removed: Pod, node: NodeInfo) -> None: ...


@pytest.mark.parametrize(
    ("plugins", "judged", "expected"),
    [
        pytest.param((), pod("p"), True, id="room"),
        pytest.param((), make_pod("p").host_port(80).obj(), True, id="ports"),
        pytest.param((), make_pod("p").spread("zone").obj(), False, id="domains"),
        pytest.param((NoDarkNodes,), pod("p"), True, id="who lets every node pass"),
        pytest.param((OneApiPerCluster,), pod("p"), False, id="who says nothing of itself"),
        pytest.param((Objecting,), pod("p"), False, id="who follows pods"),
    ],
)
async def test_nodes_are_alike_in_sums_for_who_looks_at_nothing_else(
    plugins: tuple[type[fwk.Plugin[fwk.NoArgs]], ...], judged: Pod, expected: bool
) -> None:
    rig = Rig(*plugins)
    rig.add_node(node("a"))
    rig.snapshot.refresh()
    entry = await Filtering(rig.profile, rig.snapshot, rig.budget).judge_all(judged)

    judges = rig.profile.judges(entry.state.skipped_filters)

    assert judges.look_at_sums_alone(passed_filters(entry)) == expected


async def test_a_row_must_do_with_and_without_the_pods_nominated_to_it() -> None:
    rig = Rig(OneApiPerCluster)
    for name in ("a", "b", "c", "d"):
        rig.add_node(node(name, cpu="1"))
    nominator = Nominator()
    nominator.add(make_pod("equal").req({"cpu": "1"}).priority(5).obj(), node_name="a")
    nominator.add(make_pod("lower").req({"cpu": "1"}).priority(4).obj(), node_name="b")
    nominator.add(make_pod("api").priority(9).label("app", "api").obj(), node_name="c")
    judged = make_pod("p").req({"cpu": "1"}).priority(5).scheduler_name("pyscheduler").obj()
    nominator.add(judged, node_name="d")
    copy = await what_if(rig, judged, "a", "b", "c", "d", nominator=nominator)

    answers = copy.judge()

    assert [s and s.plugin for s in answers] == [
        "NodeResourcesFit", None, "OneApiPerCluster", None
    ]  # fmt: skip
    assert copy.judge() == answers, "judging leaves nothing behind"


@pytest.mark.parametrize("seed", range(20))
async def test_a_what_if_answers_as_the_cluster_would(seed: int) -> None:
    rng = Random(seed)
    rig = Rig(OneApiPerCluster)
    names = [f"n{i}" for i in range(4)]
    for name in names:
        rig.add_node(node(name, cpu=str(rng.randint(1, 3))))
    here = [
        running(f"p{i}", rng.choice(names), cpu=rng.choice(("500m", "1")), app=rng.choice(("", "")))
        for i in range(6)
    ]
    for known in here:
        rig.add_pod(known)
    judged = pod("p", cpu=rng.choice(("1", "2")))
    row = rng.randrange(4)
    copy = await what_if(rig, judged, *names)
    on_row = [known for known in here if known.spec.node_name == names[row]]
    added = running("added", names[row], cpu="1", app=rng.choice(("", "api")))

    for known in on_row:
        copy.remove_pod(row, known)
        rig.delete_pod(known)
    copy.add_pod(row, added)
    rig.add_pod(added)

    after = await what_if(rig, judged, *names)
    assert copy.judge([row]) == after.judge([row])
