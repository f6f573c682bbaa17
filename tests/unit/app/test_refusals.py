from __future__ import annotations

import msgspec
import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.app.refusals import RefusalWatch
from pyscheduler.testing import make_pod


def failed(name: str, reason: str = "OutOfcpu") -> Pod:
    pod = make_pod(name).uid(name).phase("Failed").obj()
    return msgspec.structs.replace(pod, status=msgspec.structs.replace(pod.status, reason=reason))


class Bench:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.watch = RefusalWatch(lambda pod: self.told.append(pod.name))

    async def sync(self, *pods: Pod) -> None:
        await self.watch.replace(pods, resource_version="1")


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.sync(failed("before"))
    return made


async def test_what_was_refused_before_the_first_look_is_not_counted(bench: Bench) -> None:
    assert bench.told == []


@pytest.mark.parametrize("event_type", ["ADDED", "MODIFIED"])
async def test_refusal_is_told_once(bench: Bench, event_type: str) -> None:
    bench.watch.apply(event_type, failed("a"))
    bench.watch.apply("MODIFIED", failed("a"))
    bench.watch.apply("MODIFIED", failed("before"))
    bench.watch.apply("DELETED", failed("a"))

    assert bench.told == ["a"]


async def test_refusal_in_a_gap_of_the_watch_is_told(bench: Bench) -> None:
    await bench.sync(failed("before"), failed("a"))
    bench.watch.apply("MODIFIED", failed("a"))

    assert bench.told == ["a"]


@pytest.mark.parametrize("reason", ["", "Evicted", "NodeAffinity"])
async def test_other_failures_are_no_refusals_for_want_of_room(bench: Bench, reason: str) -> None:
    bench.watch.apply("ADDED", failed("a", reason))

    assert bench.told == []
