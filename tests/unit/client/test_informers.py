"""Resources that plugins follow: one watch each, in the form asked for, ready when listed."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from pyscheduler.api.codec import NAMESPACES, PODS, Interner
from pyscheduler.api.core_v1 import Namespace, Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.client.errors import Forbidden, ServerUnreachable
from pyscheduler.client.informer import Informer
from pyscheduler.client.informers import SharedInformers
from pyscheduler.clock import FakeClock
from tests.unit.client.scripted import (
    HANG,
    Script,
    ScriptedTransport,
    bookmark,
    cancelled,
    line,
    pod,
    refusal,
    settle,
)

GROUPS = "podgroups.v1alpha1.scheduling.x-k8s.io"


class GroupSpec(msgspec.Struct, frozen=True, rename="camel"):
    min_member: int


class Group(msgspec.Struct, frozen=True):
    spec: GroupSpec


class Told:
    """A handler that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_add(self, added: Any, initial: bool) -> None:
        self.calls.append(("add", added, initial))

    def on_update(self, old: Any, new: Any) -> None:
        self.calls.append(("update", old, new))

    def on_delete(self, deleted: Any) -> None:
        self.calls.append(("delete", deleted))


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport()
        self.shared = SharedInformers(
            self.transport, interner=Interner(), clock=self.clock, rng=Random(1)
        )
        self.gang = self.shared.for_plugin("Coscheduling")
        self._runs: list[asyncio.Task[None]] = []

    def run(self) -> "asyncio.Task[None]":
        self._runs.append(asyncio.ensure_future(self.shared.run()))
        return self._runs[-1]

    def serve(self, *lines: bytes) -> None:
        """Give the next stream these lines, and then nothing more for now."""
        self.transport.streams.append(Script([*lines, HANG]))

    @property
    def paths(self) -> list[str]:
        return [sent.path for sent in self.transport.sent]

    async def stop(self) -> None:
        for run in self._runs:
            await cancelled(run)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.stop()


def group(name: str, version: int, *, members: Any = 3, namespace: str = "shop") -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.x-k8s.io/v1alpha1",
        "kind": "PodGroup",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
        },
        "spec": {"minMember": members, "phases": ["a", {"b": 1}]},
    }


END = bookmark(10, is_end=True)


async def test_only_what_was_asked_for_is_watched(bench: Bench) -> None:
    bench.gang.of(GROUPS)
    bench.run()
    await settle()

    assert bench.paths == ["/apis/scheduling.x-k8s.io/v1alpha1/podgroups"]


async def test_a_resource_is_watched_once_for_all_who_ask(bench: Bench) -> None:
    one = bench.gang.of(GROUPS)
    other = bench.shared.for_plugin("Quota").listers.of(GROUPS)
    bench.run()
    await settle()

    assert one.lister is other
    assert len(bench.paths) == 1


async def test_json_is_read_only_all_the_way_down(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS)
    wire = group("g", 5)
    wire["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    bench.serve(line("ADDED", wire), END)
    bench.run()
    await settle()

    found = groups.lister.get("shop/g")
    assert found == {**group("g", 5), "spec": {"minMember": 3, "phases": ("a", {"b": 1})}}
    with pytest.raises(TypeError, match="does not change"):
        found["spec"]["minMember"] = 4
    with pytest.raises(TypeError, match="does not change"):
        found["spec"]["phases"][1]["b"] = 2


async def test_objects_become_the_struct_asked_for(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS, Group)
    bench.serve(line("ADDED", group("g", 5)), END)
    bench.run()
    await settle()

    assert groups.lister.get("shop/g") == Group(GroupSpec(3))
    assert groups.lister.get("shop/other") is None


async def test_list_gives_all_or_one_namespace(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS, Group)
    bench.serve(
        line("ADDED", group("g", 5)),
        line("ADDED", group("h", 6, members=2, namespace="mine")),
        END,
    )
    bench.run()
    await settle()

    assert groups.lister.list() == [Group(GroupSpec(3)), Group(GroupSpec(2))]
    assert groups.lister.list("mine") == [Group(GroupSpec(2))]


@pytest.mark.parametrize(
    ("model", "three", "four"),
    [
        pytest.param(Group, Group(GroupSpec(3)), Group(GroupSpec(4)), id="struct"),
        pytest.param(None, 3, 4, id="JSON"),
    ],
)
async def test_handlers_are_told_of_each_change(
    bench: Bench, model: type[Any] | None, three: Any, four: Any
) -> None:
    told = Told()
    bench.gang.of(GROUPS, model).add_handler(told)
    bench.serve(
        line("ADDED", group("g", 5)),
        END,
        line("MODIFIED", group("g", 11, members=4)),
        line("DELETED", group("g", 12, members=4)),
    )
    bench.run()
    await settle()

    def seen(value: Any) -> Any:
        return value["spec"]["minMember"] if model is None and isinstance(value, dict) else value

    assert [tuple(seen(value) for value in call) for call in told.calls] == [
        ("add", three, True),
        ("update", three, four),
        ("delete", four),
    ]


async def test_late_handler_is_told_of_what_is_there(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS, Group)
    bench.serve(line("ADDED", group("g", 5)), END)
    bench.run()
    await settle()
    told = Told()
    groups.add_handler(told)

    assert told.calls == [("add", Group(GroupSpec(3)), True)]


class Broken:
    def on_add(self, added: Any, initial: bool) -> None:
        raise RuntimeError("add")

    def on_update(self, old: Any, new: Any) -> None:
        raise RuntimeError("update")

    def on_delete(self, deleted: Any) -> None:
        raise SystemExit("delete")


async def test_handler_that_raises_is_logged_and_the_others_are_told(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS, Group)
    told = Told()
    groups.add_handler(Broken())
    groups.add_handler(told)
    bench.serve(
        END,
        line("ADDED", group("g", 11)),
        line("MODIFIED", group("g", 12)),
        line("DELETED", group("g", 13)),
    )
    with capture_logs() as logged:
        bench.run()
        await settle()

    assert [call[0] for call in told.calls] == ["add", "update", "delete"]
    faults = [entry for entry in logged if entry["event"] == "handler of an informer raised"]
    assert [entry["resource"] for entry in faults] == [GROUPS] * 3
    assert [entry["handler"].rpartition(".")[2] for entry in faults] == [
        "on_add",
        "on_update",
        "on_delete",
    ]


async def test_object_that_does_not_fit_the_struct_is_left_out(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS, Group)
    bench.serve(
        line("ADDED", group("g", 5)),
        line("ADDED", group("bad", 6, members="many")),
        END,
    )
    with capture_logs() as logged:
        bench.run()
        await settle()

    assert groups.lister.list() == [Group(GroupSpec(3))]
    (fault,) = [entry for entry in logged if entry["event"] == "malformed object left out"]
    assert "shop/bad" in fault.values()
    assert "$.spec.minMember" in fault["reason"]


@pytest.mark.parametrize(
    ("name", "model", "wire"),
    [
        pytest.param(
            "poddisruptionbudgets.v1.policy",
            PodDisruptionBudget,
            {"spec": {}, "status": {"disruptionsAllowed": 2}},
            id="disruption budget",
        ),
        pytest.param(NAMESPACES.name, Namespace, {"status": {"phase": "Active"}}, id="namespace"),
    ],
)
async def test_kinds_with_a_struct_in_the_api_become_it(
    bench: Bench, name: str, model: type[Any], wire: dict[str, Any]
) -> None:
    lister = bench.gang.listers.of(name, model)
    bench.serve(
        line("ADDED", {"metadata": {"name": "a", "uid": "u", "resourceVersion": "5"}, **wire}), END
    )
    bench.run()
    await settle()

    assert [type(known) for known in lister.list()] == [model]
    if model is PodDisruptionBudget:
        assert lister.list()[0].status.disruptions_allowed == 2


class Other(msgspec.Struct, frozen=True):
    pass


class Open(msgspec.Struct):
    pass


@pytest.mark.parametrize(
    ("name", "model", "reason"),
    [
        pytest.param(GROUPS, Other, "is read into .*Group for Quota: ask for that", id="another"),
        pytest.param(GROUPS, None, "ask for that, not for JSON", id="JSON of what is a struct"),
        pytest.param(NAMESPACES.name, None, "Namespace for the scheduler", id="JSON of ours"),
        pytest.param(PODS.name, Other, "core_v1.Pod for the scheduler", id="struct for ours"),
        pytest.param("gangs.v1.example.com", Open, "frozen=True", id="struct that may change"),
        pytest.param("gangs.v1.example.com", int, "frozen=True", id="no struct"),
        pytest.param("PodGroup", Group, "plural.version.group", id="a kind"),
        pytest.param("example.com/v1/gangs", Group, "plural.version.group", id="a path"),
    ],
)
def test_what_cannot_be_followed_so_is_refused(
    name: str, model: type[Any] | None, reason: str
) -> None:
    bench = Bench()
    bench.shared.for_plugin("Quota").of(GROUPS, Group)

    with pytest.raises(ValueError, match=reason):
        bench.gang.of(name, model)


async def test_pods_are_those_the_scheduler_follows_anyway(bench: Bench) -> None:
    store: Informer[Pod] = Informer(clock=bench.clock)
    bench.shared.share(PODS.name, store)
    told = Told()
    informer = bench.gang.of(PODS.name, Pod)
    informer.add_handler(told)
    bench.run()
    await settle()
    known = pod("a")
    store.apply("ADDED", known)

    assert informer.lister.get("shop/a") is known
    assert told.calls == [("add", known, True)]
    assert bench.paths == []


async def test_sync_waits_for_all_that_is_required_and_says_for_whom(bench: Bench) -> None:
    bench.gang.of(GROUPS)
    bench.shared.follow("widgets.v1.example.com", asked_by="Broad", is_required=False)
    synced = asyncio.ensure_future(bench.shared.wait_synced())
    bench.transport.streams.append(ServerUnreachable("starting"))
    bench.run()
    await settle()
    assert not synced.done()
    assert bench.shared.missing() == [f"{GROUPS} (for Coscheduling): starting"]
    bench.transport.streams.append(Script([END, HANG]))
    bench.clock.advance(2)
    await settle()

    await synced
    assert bench.shared.missing() == []


async def test_resource_that_is_not_served_is_asked_for_until_it_is(bench: Bench) -> None:
    groups = bench.gang.of(GROUPS, Group)
    nothing = refusal(404, "NotFound", "the server could not find the requested resource")
    bench.transport.streams.extend([Script([nothing.body], status=404)] * 2)
    bench.transport.answers.extend([nothing] * 2)
    with capture_logs() as logged:
        bench.run()
        await settle()
        assert bench.shared.missing() == [f"{GROUPS} (for Coscheduling): not served by the cluster"]
        bench.clock.advance(2)
        await settle()
        bench.serve(line("ADDED", group("g", 5)), END)
        bench.clock.advance(4)
        await settle()

    assert groups.lister.list() == [Group(GroupSpec(3))]
    assert bench.shared.missing() == []
    (warning,) = [entry for entry in logged if entry["log_level"] == "warning"]
    assert warning["event"] == "resource is not served, trying again"
    assert warning["resource"] == "podgroups.scheduling.x-k8s.io"
    assert warning["asked_by"] == "Coscheduling"


async def test_required_resource_that_may_not_be_read_ends_the_start(bench: Bench) -> None:
    bench.gang.of(GROUPS)
    no = refusal(403, "Forbidden", "podgroups is forbidden: User cannot list")
    bench.transport.streams.append(Script([no.body], status=403))
    bench.transport.answers.append(no)
    run = bench.run()
    await settle()

    assert run.done()
    with pytest.raises(BaseExceptionGroup) as raised:
        run.result()
    assert isinstance(raised.value.exceptions[0], Forbidden)


@pytest.mark.parametrize("code", [403, 404])
async def test_resource_that_nobody_named_may_be_missing(bench: Bench, code: int) -> None:
    bench.shared.follow("widgets.v1.example.com", asked_by="Broad", is_required=False)
    no = refusal(code, "no", "no")
    bench.transport.streams.append(Script([no.body], status=code))
    bench.transport.answers.append(no)
    run = bench.run()
    await settle()
    await bench.shared.wait_synced()
    bench.clock.advance(2)
    await settle()

    assert not run.done()
    assert len(bench.paths) == 3  # a stream, a list, and after the pause a stream again


async def test_resource_asked_for_later_is_followed_at_once(bench: Bench) -> None:
    bench.run()
    await settle()
    bench.serve(line("ADDED", group("g", 5)), END)
    groups = bench.gang.of(GROUPS, Group)
    await settle()

    assert groups.lister.list() == [Group(GroupSpec(3))]
    assert bench.shared.missing() == []
