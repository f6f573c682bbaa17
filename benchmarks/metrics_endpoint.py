"""Asks a scheduler process over HTTP: is it ready, what do its metrics say."""

from __future__ import annotations

import aiohttp

from tests.controlplane.process import Process


async def get(port: int, path: str, *, scheme: str = "http") -> str:
    """Returns the text of an endpoint on this machine; raises aiohttp's error if it is not 200."""
    url = f"{scheme}://127.0.0.1:{port}{path}"
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        # a certificate is the process's own making
        session.get(url, raise_for_status=True, ssl=False) as response,
    ):
        return await response.text()


async def until_ready(process: Process, port: int, *, scheme: str = "http") -> None:
    """/readyz answers 200: everything there was at the start is known."""

    async def answers() -> bool:
        try:
            await get(port, "/readyz", scheme=scheme)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    await process.until(answers, what="ready")
