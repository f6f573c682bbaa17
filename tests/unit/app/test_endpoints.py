from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from pyscheduler.app.endpoints import Endpoints


class Process:
    """Checks whose answers a test sets."""

    def __init__(self) -> None:
        self.loop: str | None = None
        self.caches: str | None = None
        self.application = Endpoints(
            live={"loop": lambda: self.loop},
            ready={"caches": lambda: self.caches},
            render_metrics=lambda accept: (f"metrics for {accept}".encode(), "text/plain; v=1"),
        ).application()

    async def get(self, path: str) -> web.Response:
        request = make_mocked_request("GET", path, headers={"Accept": "a/b"})
        match = await self.application.router.resolve(request)
        response = await match.handler(request)
        assert isinstance(response, web.Response)
        return response


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_all_well_is_ok(process: Process, path: str) -> None:
    response = await process.get(path)

    assert (response.status, response.text) == (200, "ok")


async def test_verbose_lists_the_checks(process: Process) -> None:
    response = await process.get("/readyz?verbose")

    assert response.text == "[+]ping ok\n[+]caches ok\nreadyz check passed\n"


async def test_a_failed_check_is_named(process: Process) -> None:
    process.caches = "pods are not synchronised"
    response = await process.get("/readyz")

    assert response.status == 500
    assert response.text == (
        "[+]ping ok\n[-]caches failed: pods are not synchronised\nreadyz check failed\n"
    )
    assert (await process.get("/livez")).status == 200


async def test_livez_fails_with_the_loop(process: Process) -> None:
    process.loop = "held for 12 s"

    assert (await process.get("/livez")).status == 500


async def test_metrics_are_rendered_as_the_scraper_prefers(process: Process) -> None:
    response = await process.get("/metrics")

    assert response.body == b"metrics for a/b"
    assert response.headers["Content-Type"] == "text/plain; v=1"
