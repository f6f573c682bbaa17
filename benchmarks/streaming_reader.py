"""Reflectors of ours that keep the raw bytes of Secrets: the client of `benchmarks.streaming`.

    python -m benchmarks.streaming_reader KUBECONFIG NAMESPACE REFLECTORS

A process of its own, so that its memory is theirs alone. It ends once every reflector has
synchronised, and its last line of output says what they hold (`Held`, as JSON).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog
import uvloop

from pyscheduler.api.codec import Decoder, Interner, MalformedObject
from pyscheduler.api.meta import HasMetadata, ObjectMeta
from pyscheduler.api.resource_types import ResourceType
from pyscheduler.client.credentials import load_credentials
from pyscheduler.client.lean_transport import open_transport
from pyscheduler.client.reflector import Reflector
from pyscheduler.client.sink import NoReflectorMetrics


class Secret(msgspec.Struct, frozen=True, gc=False):
    """Only what a reflector must know, and the whole as it came."""

    metadata: ObjectMeta
    raw: bytes = b""


SECRETS = ResourceType("", "v1", "secrets", "Secret", True, Secret)


class Held(msgspec.Struct, frozen=True):
    """What the reflectors of one process keep."""

    #: of all reflectors together
    kept_bytes: int
    #: of the largest object
    largest_bytes: int
    #: by reflector
    objects: list[int]
    #: how each of them synchronised: ``watchlist`` or ``list``
    modes: list[str]
    #: the kernel's high-water mark of resident memory
    peak_bytes: int


class Store(NoReflectorMetrics):
    """The sink of one reflector: keeps what it is told, and how that came."""

    def __init__(self) -> None:
        self.secrets: Sequence[Secret] = ()
        self.mode = ""
        self.is_synced = asyncio.Event()

    async def replace(
        self,
        objects: Sequence[Secret],
        *,
        resource_version: str,
        malformed: Sequence[MalformedObject] = (),
    ) -> None:
        self.secrets = objects

    def apply(self, event_type: str, changed: HasMetadata) -> None:
        """Nothing changes meanwhile."""

    def on_bookmark(self, resource_version: str) -> None:
        """Nothing changes meanwhile."""

    def on_malformed(self, error: MalformedObject) -> None:
        raise error

    def synced(self, mode: str) -> None:
        self.mode = mode
        self.is_synced.set()


async def follow(kubeconfig: Path, namespace: str, *, reflectors: int) -> Held:
    """Returns what that many reflectors hold once all have synchronised."""
    transport = open_transport(await load_credentials(kubeconfig=str(kubeconfig)))
    stores = [Store() for _ in range(reflectors)]
    try:
        async with asyncio.TaskGroup() as group:  # a reflector ends only by an error, and all then
            runs = [
                group.create_task(
                    Reflector(
                        transport, _decoder(), store, namespace=namespace, metrics=store
                    ).run()
                )
                for store in stores
            ]
            for store in stores:
                await store.is_synced.wait()
            for run in runs:
                run.cancel()
    finally:
        await transport.close()
    sizes = [len(secret.raw) for store in stores for secret in store.secrets]
    return Held(
        kept_bytes=sum(sizes),
        largest_bytes=max(sizes, default=0),
        objects=[len(store.secrets) for store in stores],
        modes=[store.mode for store in stores],
        peak_bytes=peak_bytes(),
    )


def peak_bytes() -> int:
    """Returns the most resident memory that this process had so far (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _decoder() -> Decoder[Secret]:
    return Decoder(SECRETS, Interner(), keeps_raw=lambda _: True)


def main(arguments: Sequence[str]) -> int:
    kubeconfig, namespace, reflectors = arguments
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    held = uvloop.run(follow(Path(kubeconfig), namespace, reflectors=int(reflectors)))
    print(msgspec.json.encode(held).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
