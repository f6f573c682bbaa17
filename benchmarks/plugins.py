"""What each in-tree plugin costs a pod that concerns it, over a whole cluster at once.

    python -m benchmarks.plugins [--nodes 5000] [--write]

Every plugin is measured alone: PreFilter, Filter, PreScore, and Score with its normalization, over
a snapshot of the nodes with two pods each. Those are the costs of a pod of a class that nothing is
known of; of a known class only rows that changed are judged again, which costs a small part of it.
What is kept from pod to pod (label codes, counts of pods) is warm. Filter and Score run in the
whole-cluster form; a plugin that has only the form per node is marked so.

A plugin of the registry appears by itself, with a pod that has something of everything. One that
needs another pod gets a line in `_PODS`, and what its listers know, one in `_objects`.

`--write` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.document import markdown_table, write_between
from benchmarks.figures import percentile, save, table
from pyscheduler.api.core_v1 import GCEPersistentDiskVolumeSource, Node, Pod, Volume
from pyscheduler.cache import Snapshot
from pyscheduler.framework import (
    CycleState,
    FilterPlugin,
    NodeTable,
    Plugin,
    PreFilterPlugin,
    PreScorePlugin,
    ScorePlugin,
    Status,
)
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import (
    PodBuilder,
    fake_handle,
    make_claim,
    make_csi_node,
    make_node,
    make_plugin,
    make_pod,
    make_volume,
    snapshot_of,
)
from pyscheduler.testing.answers import Form, filter_forms, score_forms
from pyscheduler.testing.resources import FakeInformers

_DOCUMENT: Final = Path("docs/performance.md")

#: So long a hook is repeated; the median counts.
_SECONDS: Final = 0.5
_REPEATS: Final = 200
_MIB: Final = 1024**2
_ZONE: Final = "topology.kubernetes.io/zone"
_HOST: Final = "kubernetes.io/hostname"
_DRIVER: Final = "csi.example.com"
_POINTS: Final = ("PreFilter", "Filter", "PreScore", "Score")


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one plugin."""

    plugin: str
    #: median microseconds by extension point; absent: no such hook, or the pod was skipped
    by_point: Mapping[str, float]
    #: points at which it has no whole-cluster form
    per_node: frozenset[str]

    def cells(self) -> list[str]:
        """Its row of the table."""
        return [self.plugin, *map(self._cell, _POINTS)]

    def _cell(self, point: str) -> str:
        cost = self.by_point.get(point)
        if cost is None:
            return ""
        return f"{cost:,.0f}{' (per node)' if point in self.per_node else ''}"


def _nodes(count: int) -> list[Node]:
    """Three zones; of every ten nodes one is tainted, one cordoned, one avoided."""
    nodes = []
    for number in range(count):
        node = (
            make_node(f"n{number}")
            .capacity({"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi"})
            .label(_ZONE, "abc"[number % 3])
            .label("disk", "ssd" if number % 2 else "hdd")
        )
        if number % 10 == 0:
            node = node.taint("dedicated", "batch")
        if number % 10 == 1:
            node = node.unschedulable()
        if number % 10 == 2:
            node = node.taint("old", effect="PreferNoSchedule")
        if number % 4 == 0:
            node = node.image("web:1", size_bytes=400 * _MIB)
        if number % 2 == 0:
            node = node.declared_feature("UserNamespacesHostNetworkSupport")
        nodes.append(node.obj())
    return nodes


def _pods(nodes: Sequence[Node]) -> Iterator[Pod]:
    """Two on each node; every tenth keeps others of its kind away."""
    for number, node in enumerate(nodes):
        web = make_pod(f"web-{number}").label("app", "web").req({"cpu": "1", "memory": "2Gi"})
        if number % 10 == 0:
            web = web.anti_affinity(_HOST, {"app": "web"})
        if number % 10 == 3:
            web = web.host_port(8080).claim(f"claim-{number}")
        yield web.node(node.name).obj()
        db = make_pod(f"db-{number}").label("app", "db").req({"cpu": "2", "memory": "8Gi"})
        yield db.node(node.name).obj()


_EVERYTHING: Final = (
    make_pod("p")
    .label("app", "web")
    .req({"cpu": "500m", "memory": "1Gi"}, image="web:1")
    .toleration("dedicated", "batch", "NoSchedule")
    .required_affinity((_ZONE, "In", ["a", "b"]))
    .preferred_affinity(10, ("disk", "In", ["ssd"]))
    .preferred_affinity(5, (_ZONE, "In", ["a"]))
    .host_port(8080)
    .own_users_on_host_network()
    .spread(_ZONE)
    .spread(_HOST, when_unsatisfiable="ScheduleAnyway")
    .affinity(_ZONE, {"app": "db"})
    .anti_affinity(_HOST, {"app": "cache"})
    .affinity(_ZONE, {"app": "web"}, weight=10)
    .claim("data")
)

#: For plugins that need another pod than the one with everything.
_PODS: Final[Mapping[str, PodBuilder]] = {
    "NodeName": _EVERYTHING.node("n17"),
    "VolumeRestrictions": _EVERYTHING.volume(
        Volume("disk", gce_persistent_disk=GCEPersistentDiskVolumeSource("disk"))
    ),
}


def _objects(nodes: Sequence[Node]) -> Mapping[str, Sequence[object]]:
    """What listers know, by resource."""
    bound = [f"claim-{number}" for number in range(len(nodes)) if number % 10 == 3]
    names = ["data", *bound]
    return {
        "persistentvolumeclaims.v1": [make_claim(n).bound_to(f"pv-{n}").obj() for n in names],
        "persistentvolumes.v1": [
            make_volume(f"pv-{n}").csi(_DRIVER, n).zone("a").bound_to(f"default/{n}").obj()
            for n in names
        ],
        "csinodes.v1.storage.k8s.io": [
            make_csi_node(node.name).driver(_DRIVER, limit=20).obj() for node in nodes
        ],
    }


def measure(plugin: Plugin[Any], pod: Pod, nodes: NodeTable) -> Costs:
    """Each hook is called until its time is up."""
    state = CycleState()
    found: dict[str, float] = {}
    per_node = frozenset(
        point
        for point, forms in (("Filter", filter_forms(plugin)), ("Score", score_forms(plugin)))
        if forms == [Form.PER_NODE]
    )
    skips = False
    if isinstance(plugin, PreFilterPlugin):
        answer = plugin.pre_filter(state, pod, nodes)
        skips = isinstance(answer, Status) and not answer.is_success
        found["PreFilter"] = _median_us(lambda: plugin.pre_filter(CycleState(), pod, nodes))
    if isinstance(plugin, FilterPlugin) and not skips:
        found["Filter"] = _median_us(_filter_call(plugin, state, pod, nodes))
    skips = False
    if isinstance(plugin, PreScorePlugin):
        skips = plugin.pre_score(state, pod, nodes) is not None
        found["PreScore"] = _median_us(lambda: plugin.pre_score(state, pod, nodes))
    if isinstance(plugin, ScorePlugin) and not skips:
        found["Score"] = _median_us(
            lambda: plugin.normalize(state, pod, plugin.score_nodes(state, pod, nodes))
        )
    return Costs(plugin.name, found, per_node)


def _filter_call(
    plugin: FilterPlugin, state: CycleState, pod: Pod, nodes: NodeTable
) -> Callable[[], object]:
    if Form.WHOLE_CLUSTER in filter_forms(plugin):  # type: ignore[arg-type]  # a role of a plugin
        return lambda: plugin.filter_nodes(state, pod, nodes)
    return lambda: [plugin.filter(state, pod, nodes.node(row)) for row in range(len(nodes))]


def _median_us(call: Callable[[], object]) -> float:
    call()  # what is kept from pod to pod is made now
    times: list[float] = []
    until = time.perf_counter() + _SECONDS
    while not times or (len(times) < _REPEATS and time.perf_counter() < until):
        begin = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - begin) / 1000)
    return percentile(times, 0.5)


def measure_all(count: int) -> list[Costs]:
    """Every plugin of the registry that filters or scores, in its order."""
    nodes = _nodes(count)
    snapshot = snapshot_of(nodes, _pods(nodes))
    objects = _objects(nodes)
    return [
        measure(plugin, _PODS.get(name, _EVERYTHING).obj(), snapshot.nodes)
        for name in IN_TREE
        if isinstance(plugin := _made(name, snapshot, objects), FilterPlugin | ScorePlugin)
    ]


def _made(name: str, snapshot: Snapshot, objects: Mapping[str, Sequence[object]]) -> Plugin[Any]:
    informers = FakeInformers()
    for resource, known in objects.items():
        for each in known:
            informers.of(resource).put(each)
    return make_plugin(IN_TREE[name], handle=fake_handle(snapshot, informers=informers))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, saves, and writes the document if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--write", action="store_true", help=f"put the table into {_DOCUMENT}")
    options = parser.parse_args(arguments)
    costs = measure_all(options.nodes)
    print(f"microseconds over {options.nodes:,} nodes, medians\n")
    rows = [cost.cells() for cost in costs]
    print(table(["plugin", *_POINTS], rows))
    path = save("plugins", {cost.plugin: dict(cost.by_point) for cost in costs})
    print(f"\nresults: {path}")
    if options.write:
        write_between(_DOCUMENT, "bench-plugins", markdown_table(["Plugin", *_POINTS], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
