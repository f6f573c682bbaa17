from __future__ import annotations

import asyncio

import pytest

from pyscheduler.sim.virtual_clock import NeverHappened, VirtualClock


async def test_hours_pass_at_once_and_in_order() -> None:
    clock = VirtualClock(now_s=0.0)
    seen: list[tuple[str, float]] = []

    async def wake(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        seen.append((name, clock.now()))

    tasks = [asyncio.create_task(wake(*each)) for each in (("b", 7200.0), ("a", 60.0))]
    await clock.run_for(3 * 3600.0)
    await asyncio.gather(*tasks)

    assert seen == [("a", 60.0), ("b", 7200.0)]
    assert clock.monotonic() == 3 * 3600.0


async def test_a_timer_set_by_a_timer_is_met_too() -> None:
    clock = VirtualClock()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await clock.sleep(10.0)
            ticks += 1

    task = asyncio.create_task(tick())
    took_s = await clock.run_until(lambda: ticks == 5)
    task.cancel()

    assert took_s == 50.0


async def test_what_never_happens_is_named() -> None:
    clock = VirtualClock()

    with pytest.raises(NeverHappened, match="the pod did not come within 5 s"):
        await clock.run_until(lambda: False, limit_s=5, what="the pod")
