"""Long stretches of cluster life: what holds at their end, and that they can be repeated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from pyscheduler.sim.workload import make_node, make_pod, mixed_nodes, mixed_pods
from tests.component.world import Binding, World, is_binding, refusal


@pytest.mark.timeout(180)
async def test_ten_thousand_pods_in_virtual_time() -> None:
    async with World(live=False) as world:
        world.create(*mixed_nodes(400))
        scheduler = await world.start_scheduler()
        world.cluster.create_pods(mixed_pods(10_000))
        await world.until(
            lambda: len(world.bindings) == 9_999 and bool(world.message("giant")), limit_s=60
        )

        world.assert_sound()
        assert scheduler.assembly.cache.pod_count == 9_999
        ssd = {
            node["metadata"]["name"]
            for node in world.cluster.nodes()
            if node["metadata"]["labels"].get("disk") == "ssd"
        }
        databases = {b.node for b in world.bindings if b.pod.startswith("default/database")}
        assert databases <= ssd


async def lived(seed: int) -> list[Binding]:
    """Half an hour of a cluster whose pods, nodes and faults come as the seed says."""
    rng = Random(seed)
    async with World(seed=seed) as world:
        world.create(*(make_node(f"node-{n}", cpu="4") for n in range(6)))
        await world.start_scheduler()
        for minute in range(30):
            for number in range(rng.randrange(4, 9)):
                cpu = f"{rng.choice((100, 250, 500, 1500))}m"
                world.create(make_pod(f"pod-{minute}-{number}", cpu=cpu))
            mischief(world, rng, minute)
            await world.run_for(60)
            world.assert_sound()
        # Once the mischief is over, every pod is bound or says why it is not.
        await world.run_for(120)
        assert all(world.node_of(key) or world.message(key) for key in world.pod_keys())
        return world.bindings


def mischief(world: World, rng: Random, minute: int) -> None:
    for key in world.pod_keys():
        if rng.random() < 0.3:
            world.delete_pod(key.partition("/")[2], at_once=rng.random() < 0.5)
    match rng.randrange(6):
        case 0:
            world.create(make_node(f"late-{minute}", cpu="2"))
        case 1:
            world.fail(is_binding, refusal(500, "InternalError", "no"), times=rng.randrange(1, 9))
        case 2:
            world.outage(rng.uniform(1, 20))
        case 3:
            world.forget_history()
            world.cluster.server.disconnect_watches()
        case 4:
            cordoned = rng.randrange(6)
            world.patch_node(f"node-{cordoned}", {"spec": {"unschedulable": True}})
        case _:
            for number in range(6):
                world.patch_node(f"node-{number}", {"spec": {"unschedulable": False}})


@pytest.mark.parametrize("seed", range(1, 6))
async def test_a_rough_half_hour_breaks_nothing_and_can_be_repeated(seed: int) -> None:
    bindings = await lived(seed)

    assert len(bindings) > 60
    assert await lived(seed) == bindings


def test_another_process_decides_alike() -> None:
    script = (
        "import asyncio, zlib; from tests.component.test_replay import lived; "
        "print('checksum', zlib.crc32(repr(asyncio.run(lived(1))).encode()))"
    )

    def checksum(hash_seed: str) -> str:
        lines = subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        return lines[-1]

    assert checksum("1") == checksum("2")


async def test_ties_are_broken_by_the_seed_alone() -> None:
    async def nodes(seed: int) -> list[str]:
        async with World(seed=seed) as world:
            world.create(*(make_node(f"node-{n}") for n in range(20)))
            world.create(*(make_pod(f"web-{n}") for n in range(20)))
            await world.start_scheduler()
            await world.until_bound()
            return [binding.node for binding in world.bindings]

    assert await nodes(1) == await nodes(1)
    assert await nodes(1) != await nodes(2)
