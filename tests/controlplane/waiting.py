"""Waiting for what another process will do, with a deadline and a name for what is awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    probe: Callable[[], Awaitable[T | None]],
    *,
    what: str,
    timeout_s: float = 30,
    interval_s: float = 0.2,
) -> T:
    """Returns the probe's first answer that is neither None nor False.

    Raises:
        TimeoutError: there was none in time; the message says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        answer = await probe()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        await asyncio.sleep(interval_s)
