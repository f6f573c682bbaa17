from __future__ import annotations

import asyncio

from pyscheduler.client.write_lane import WriteLane


async def test_an_item_put_just_as_the_last_worker_ends_is_sent() -> None:
    sent: list[str] = []
    almost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(key: str, _item: int) -> None:
        sent.append(key)
        if not almost.done():
            almost.set_result(None)

    lane = WriteLane(send, limit=1, capacity=9, on_dropped=lambda _: None)
    lane.put("a", 1)
    await almost  # goes on before the worker's task is taken off the list
    lane.put("b", 2)
    for _ in range(5):
        await asyncio.sleep(0)

    assert sent == ["a", "b"]


async def test_a_busy_worker_keeps_nobody_waiting_while_others_are_free() -> None:
    under_way: list[str] = []
    release = asyncio.Event()

    async def send(key: str, _item: int) -> None:
        under_way.append(key)
        await release.wait()

    lane = WriteLane(send, limit=3, capacity=9, on_dropped=lambda _: None)
    for key in "abcd":
        lane.put(key, 0)
        await asyncio.sleep(0)

    assert under_way == ["a", "b", "c"]
    release.set()
    await lane.close()
