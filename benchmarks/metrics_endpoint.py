"""Asks a scheduler process over HTTP: is it ready, what do its metrics say."""

from __future__ import annotations

import aiohttp

from tests.controlplane.process import Process


async def get(port: int, path: str) -> str:
    """Returns the text of an endpoint on this machine; raises aiohttp's error if it is not 200."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"http://127.0.0.1:{port}{path}", raise_for_status=True) as response,
    ):
        return await response.text()


async def until_ready(process: Process, port: int) -> None:
    """/readyz answers 200: everything there was at the start is known."""

    async def answers() -> bool:
        try:
            await get(port, "/readyz")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    await process.until(answers, what="ready")
