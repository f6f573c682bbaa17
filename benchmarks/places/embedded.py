"""The embedded place: the embedded API server in a process of its own, over HTTP.

No control plane's speed hides the scheduler's cost here: what counts is CPU time of the
scheduler's process, which encodes, sends, receives and decodes as it does against a real server.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.places.embedded_server import Doors
from benchmarks.places.place import Access, Place
from pyscheduler.sim.embedded_cluster import write_kubeconfig
from tests.controlplane.api_client import ApiClient
from tests.controlplane.process import Process, end_all

EMBEDDED = "embedded"


@contextlib.asynccontextmanager
async def embedded_place() -> AsyncIterator[Place]:
    """Yields an empty cluster; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-embedded-") as name:
        folder = Path(name)
        server = Process.start(
            "embedded-server",
            [sys.executable, "-m", "benchmarks.places.embedded_server", folder],
            log_path=folder / "server.log",
        )
        try:
            doors = await _doors(server, folder)
            access = Access(
                doors.scheduler, write_kubeconfig(folder / "scheduler.kubeconfig", doors.scheduler)
            )
            harness = write_kubeconfig(folder / "harness.kubeconfig", doors.harness)
            async with ApiClient.connect(harness) as api:
                yield Place(EMBEDDED, api, folder, folder / "audit.log", access, (server,))
        finally:
            await end_all([server])


async def _doors(server: Process, folder: Path) -> Doors:
    path = Doors.path(folder)

    async def is_written() -> bool:
        return path.exists()

    await server.until(is_written, what="listening")
    return Doors(**json.loads(path.read_text()))
