"""Gangs on an embedded cluster that come, compete, shrink, lose members and go, at random.

Whoever has room and members enough is bound sooner or later, all of it; and nothing is left of
gangs that are gone.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from pyscheduler_coscheduling import Coscheduling
from pyscheduler_coscheduling.pod_groups import POD_GROUP_LABEL

from pyscheduler.api.core_v1 import Pod
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.cluster import LiveCluster, embedded_cluster

_HERE = Path(__file__).parents[1]
_CONFIG = (_HERE / "scheduler-config.yaml").read_text()
_CRD = yaml.safe_load((_HERE.parents[1] / "manifests/crds/podgroups.yaml").read_text())
_GROUPS = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups"
_GATE = "example.com/later"
#: of the cluster; a member takes one of them
_CPUS = 12


class Life:
    """A cluster of three nodes with gangs on it."""

    def __init__(self, cluster: LiveCluster, rng: Random) -> None:
        self._cluster = cluster
        self._rng = rng
        #: gang -> how many members it needs
        self._needed: dict[str, int] = {}
        self._made = 0

    async def go_on(self) -> None:
        """Something happens to one of the gangs, and some time passes."""
        happens = [self._come, self._come, self._lose, self._shrink, self._forget, self._ungate]
        await self._rng.choice(happens)()
        await self._cluster.run_for(self._rng.choice([0.05, 0.5, 3.0, 20.0]))

    async def finish(self) -> None:
        """Nothing more happens; gangs that are complete go, until nobody waits who has members."""
        await self._ungate()
        while True:
            await self._cluster.run_for(60.0)
            members = self._members()
            waiting = {
                gang: self._needed[gang] - self._bound(names)
                for gang, names in members.items()
                if len(names) >= self._needed[gang] > self._bound(names)
            }
            free = _CPUS - sum(map(self._bound, members.values()))
            for gang, missing in waiting.items():
                assert missing > free, f"{gang} needs {missing} of {free} CPUs: {self._said(gang)}"
            if not waiting:
                break
            done = next(gang for gang in members if gang not in waiting)
            self._delete(members[done])
        for names in self._members().values():
            self._delete(names)
        await self._cluster.run_for(60.0)

    # --- what may happen ---

    async def _come(self) -> None:
        if len(self._needed) == 6:
            return
        gang, needed = f"gang{len(self._needed)}", self._rng.randint(2, 8)
        self._needed[gang] = needed
        names = ["", *(self._name(gang) for _ in range(needed + self._rng.randint(0, 1)))]
        self._rng.shuffle(names)
        for name in names:
            if name:
                self._cluster.create(self._member(name))
            else:
                self._create_group(gang)
            await self._cluster.run_for(self._rng.choice([0.0, 0.0, 0.1, 1.0]))

    async def _lose(self) -> None:
        names = self._cluster.pod_names()
        if names:
            name = self._rng.choice(names).removeprefix("default/")
            self._delete([name])
            if self._rng.random() < 0.7:
                self._cluster.create(self._member(self._name(name.partition("-")[0])))

    async def _shrink(self) -> None:
        gang = self._any_gang()
        if gang and self._needed[gang] > 1:
            self._needed[gang] -= 1
            self._cluster.patch(f"{_GROUPS}/{gang}", {"spec": {"minMember": self._needed[gang]}})

    async def _forget(self) -> None:
        gang = self._any_gang()
        if gang:
            self._cluster.delete(f"{_GROUPS}/{gang}")
            await self._cluster.run_for(self._rng.choice([0.0, 0.1, 5.0]))
            self._create_group(gang)

    async def _ungate(self) -> None:
        for name in self._cluster.pod_names():
            if self._cluster.pod(name)["spec"].get("schedulingGates"):
                pod = f"pods/{name.removeprefix('default/')}"
                self._cluster.patch(pod, {"spec": {"schedulingGates": None}})

    # --- inside ---

    def _any_gang(self) -> str:
        return self._rng.choice([*self._needed]) if self._needed else ""

    def _name(self, gang: str) -> str:
        self._made += 1
        return f"{gang}-{self._made}"

    def _member(self, name: str) -> Pod:
        builder = make_pod(name).req({"cpu": "1"}).label(POD_GROUP_LABEL, name.partition("-")[0])
        return (builder.gate(_GATE) if self._rng.random() < 0.1 else builder).obj()

    def _create_group(self, gang: str) -> None:
        group: dict[str, Any] = {
            "apiVersion": "scheduling.x-k8s.io/v1alpha1",
            "kind": "PodGroup",
            "metadata": {"name": gang, "namespace": "default"},
            "spec": {
                "minMember": self._needed[gang],
                "scheduleTimeoutSeconds": self._rng.choice([5, 60]),
            },
        }
        self._cluster.create(group)

    def _members(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for name in self._cluster.pod_names():
            name = name.removeprefix("default/")
            found[name.partition("-")[0]].append(name)
        return found

    def _bound(self, names: list[str]) -> int:
        return sum(bool(self._cluster.node_of(name)) for name in names)

    def _said(self, gang: str) -> str:
        return "; ".join(f"{name}: {self._cluster.message(name)}" for name in self._members()[gang])

    def _delete(self, names: list[str]) -> None:
        for name in names:
            self._cluster.delete(f"pods/{name}")


@pytest.mark.parametrize("seed", [3, 7, 14, 23])
async def test_gangs_that_have_room_are_bound_and_leave_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Coscheduling] = []
    original = Coscheduling.__init__

    def remember(self: Coscheduling, *args: Any) -> None:
        original(self, *args)
        made.append(self)

    monkeypatch.setattr(Coscheduling, "__init__", remember)
    nodes = [make_node(f"n{i}").capacity({"cpu": "4", "pods": "110"}).obj() for i in range(3)]
    async with embedded_cluster(
        Coscheduling, nodes=[_CRD, *nodes], config=_CONFIG, seed=seed
    ) as cluster:
        life = Life(cluster, Random(seed))
        for _ in range(14):
            await life.go_on()
        await life.finish()

        assert [len(plugin.gangs) for plugin in made] == [0]
        assert list(made[0].handle.waiting_pods) == []
