"""What nominated pods take from a class is the same, kept from pod to pod or found out afresh."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.framework.status import Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.narrowing import Narrowing
from pyscheduler.runtime.scoring import Scoring
from pyscheduler.runtime.what_if import RowsWhatIf
from pyscheduler.testing import fake_handle, make_node, make_pod
from pyscheduler.testing.profiles import default_profile

#: Nodes beyond the first few come and go, so that rows move.
NODES = 7
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["pod", "unpod", "node", "unnode", "nominate", "nominate", "withdraw", "judge", "judge"]
        ),
        st.integers(0, NODES - 1),
        st.integers(0, 3),
    ),
    min_size=8,
    max_size=60,
)
PRIORITIES = (0, 10, 20, 20)
DB = LabelSelector(match_labels=FrozenMap({"app": "db"}))


def _node(i: int) -> Node:
    builder = make_node(f"n{i}").capacity({"cpu": str(1 + i % 3), "pods": str(2 + i % 2)})
    return builder.label("zone", f"z{i % 2}").obj()


def _pending(variant: int) -> Pod:
    builder = make_pod(f"waiting-{variant}").label("app", "web").req({"cpu": "600m"})
    builder = builder.priority(PRIORITIES[variant])
    if variant == 1:
        builder = builder.anti_affinity("zone", {"app": "db"})
    if variant == 2:
        builder = builder.spread("zone", when_unsatisfiable="ScheduleAnyway", selector=DB)
    if variant == 3:
        builder = builder.spread("zone", selector=DB).host_port(8080)
    return builder.obj()


def _promised(i: int, variant: int) -> Pod:
    builder = make_pod(f"promised-{i}").label("app", ("web", "db")[variant % 2])
    builder = builder.req({"cpu": ("500m", "1")[variant % 2]}).priority(PRIORITIES[variant])
    return (builder.host_port(8080) if variant == 3 else builder).obj()


class Rig:
    """The default profile over one cache, with nominations."""

    def __init__(self) -> None:
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        self.nominator = Nominator()
        self.profile = default_profile(fake_handle(self.snapshot))
        budget = Budget(FakeClock())
        self.filtering = Filtering(self.profile, self.snapshot, budget)
        self.scoring = Scoring(self.profile, self.snapshot, budget)
        self.narrowing = Narrowing(
            self.profile, self.snapshot, self.nominator, budget, classes=self.filtering.classes
        )
        self.nodes: set[str] = set()
        self.pods: dict[str, Pod] = {}
        for i in range(NODES):
            self.step("node", i, 0)

    def step(self, action: str, i: int, variant: int) -> None:
        name = f"n{i}"
        if action == "node" and name not in self.nodes:
            self.cache.add_node(_node(i))
            self.nodes.add(name)
        elif action == "unnode" and i >= 2 and name in self.nodes:
            self.cache.remove_node(name)
            self.nodes.discard(name)
        elif action == "nominate":
            # one of the pods that are judged, or another
            pod = _pending(variant) if i % 3 == 0 else _promised(i, variant)
            self.nominator.add(pod, node_name=f"n{(i + variant) % NODES}")
        elif action == "withdraw":
            self.nominator.delete(_promised(i, variant).uid)
        elif action == "pod":
            builder = make_pod(f"p{i}-{variant}").req({"cpu": "300m"}).label("app", "db")
            pod = (builder.host_port(8080) if variant == 3 else builder).node(name).obj()
            self.cache.add_pod(pod)
            self.pods[pod.uid] = pod
        elif action == "unpod" and self.pods:
            uid = sorted(self.pods)[(i * 4 + variant) % len(self.pods)]
            self.cache.remove_pod(self.pods.pop(uid))

    async def kept(self, pod: Pod) -> ClassEntry:
        self.snapshot.refresh()
        entry = await self.filtering.evaluate(pod, self.profile.sign(pod))
        return self.narrowing.respect_nominations(entry, pod)

    async def plain(self, pod: Pod) -> ClassEntry:
        """Row by row, of nothing that anybody knew before."""
        entry = await self.filtering.judge_all(pod)
        if entry.pre_filter_status is not None:
            return entry
        crowded = {row: self._crowded(entry, pod, row) for row in range(entry.n)}
        failing = {row: status for row, status in crowded.items() if status is not None}
        lost = {row: status for row, status in failing.items() if entry.feasible[row]}
        return entry.overridden(failing if len(lost) == entry.feasible_count else lost)

    def _crowded(self, entry: ClassEntry, pod: Pod, row: int) -> Status | None:
        others = self.nominator.respected_by(pod, self.snapshot.nodes.node(row).name)
        if not others:
            return None
        what_if = RowsWhatIf(
            self.profile, self.snapshot, self.nominator, state=entry.state, pod=pod, rows=[row]
        )
        return what_if.judge_crowded([others])[0]

    async def assert_alike(self, pod: Pod) -> None:
        kept, plain = await self.kept(pod), await self.plain(pod)
        n = plain.n
        assert kept.feasible[:n].tolist() == plain.feasible[:n].tolist()
        assert kept.feasible_count == plain.feasible_count
        if kept.feasible_count == 0:
            diagnoses = [self.filtering.diagnose(entry) for entry in (kept, plain)]
            assert diagnoses[0].message == diagnoses[1].message
            assert diagnoses[0].unschedulable_plugins == diagnoses[1].unschedulable_plugins
            statuses = [dict(self.filtering.statuses(entry)) for entry in (kept, plain)]
            assert statuses[0] == statuses[1]
        if kept.feasible_count > 1:
            for entry in (kept, plain):
                await self.scoring.score(entry, pod)
            assert kept.totals[:n].tolist() == plain.totals[:n].tolist()


def test_of_crowded_rows_that_are_alike_one_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    judged: list[int] = []
    judge_crowded = RowsWhatIf.judge_crowded

    def noting(what_if: RowsWhatIf, nominated: Sequence[Sequence[Pod]]) -> Sequence[Status | None]:
        judged.append(len(nominated))
        return judge_crowded(what_if, nominated)

    monkeypatch.setattr(RowsWhatIf, "judge_crowded", noting)
    for i in (0, 1, 6):  # of which two have as much room, and as many pods are allowed there
        rig.nominator.add(_promised(i + 1, 2), node_name=f"n{i}")

    asyncio.run(rig.kept(_pending(0)))

    assert judged == [2]
    asyncio.run(rig.assert_alike(_pending(0)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_is_kept_of_nominations_is_what_a_fresh_look_says(
    steps: list[tuple[str, int, int]],
) -> None:
    rig = Rig()

    async def run() -> None:
        for action, i, variant in steps:
            if action == "judge":
                await rig.assert_alike(_pending(variant))
            else:
                rig.step(action, i, variant)
        for variant in range(len(PRIORITIES)):
            await rig.assert_alike(_pending(variant))

    asyncio.run(run())
