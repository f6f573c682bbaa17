"""What one write costs the process that sends it, by transport: a binding or event over TLS.

    python -m benchmarks.micro.writes [--writes 8000] [--delay-ms 0]

The server is a process of its own, which answers as kube-apiserver does to a binding. CPU is the
kernel's figure for this process, threads included; 48 writes are under way at once, as many as the
windows of binds and events together. With a delay answers come one by one, as from a server that is
busy, and each costs a wake-up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import ssl
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from random import Random
from typing import Any

import uvloop

from pyscheduler.client.aiohttp_transport import AiohttpTransport
from pyscheduler.client.credentials import Credentials, StaticToken, TlsMaterial
from pyscheduler.client.lean_transport import LeanTransport
from pyscheduler.client.transport import Transport

_CERTIFICATES = Path(__file__).parents[2] / "tests" / "certificates"
#: The name in the server's certificate.
_SERVER_NAME = "extender.test"

_AT_ONCE = 48
_WARM_UP = 500

#: As long as a service account's.
_TOKEN = "Bearer " + "t" * 900
_PATH = "/api/v1/namespaces/default/pods/pod-12345-abcde/binding"
_BODY = b"{%b}" % (b"x" * 200)
_ANSWER = (
    b"HTTP/1.1 201 Created\r\nAudit-Id: 01234567-89ab-cdef-0123-456789abcdef\r\n"
    b"Cache-Control: no-cache, private\r\nContent-Type: application/json\r\n"
    b"X-Kubernetes-Pf-Flowschema-Uid: 01234567-89ab-cdef-0123-456789abcdef\r\n"
    b"X-Kubernetes-Pf-Prioritylevel-Uid: 01234567-89ab-cdef-0123-456789abcdef\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 88\r\n\r\n" + b"x" * 88
)


class _Answering(asyncio.Protocol):
    """One connection of the server; takes each end of the known body for the end of a request."""

    def __init__(self, delay_s: Callable[[], float]) -> None:
        self._delay_s = delay_s
        self._transport: Any = None  # asyncio's and uvloop's have no class in common
        self._end = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._end = (self._end + data)[-len(_BODY) :]
        if self._end == _BODY:
            self._end = b""
            asyncio.get_running_loop().call_later(self._delay_s(), self._transport.write, _ANSWER)


def _serve(pipe: Pipe, longest_delay_s: float) -> None:
    rng = Random(1)

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_CERTIFICATES / "server.pem", _CERTIFICATES / "server.key")
        listening = await asyncio.get_running_loop().create_server(
            lambda: _Answering(lambda: rng.uniform(0.25, 1) * longest_delay_s),
            "127.0.0.1",
            ssl=context,
        )
        pipe.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    uvloop.run(serve())


async def cost_us(transport: Transport, writes: int) -> float:
    """Returns the CPU time of this process for one write."""

    async def send(count: int) -> None:
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                await transport.request("POST", _PATH, body=_BODY)

        await asyncio.gather(*[worker() for _ in range(_AT_ONCE)])

    await send(_WARM_UP)
    started = time.process_time()
    await send(writes)
    return (time.process_time() - started) / writes * 1e6


async def compare(port: int, writes: int) -> None:
    """The cost by each transport is printed, the best of three."""
    tls = TlsMaterial((_CERTIFICATES / "authority.pem").read_bytes(), server_name=_SERVER_NAME)
    credentials = Credentials(
        f"https://127.0.0.1:{port}", source="benchmark", tls=tls, tokens=StaticToken(_TOKEN)
    )
    async with contextlib.AsyncExitStack() as stack:
        for transport in (AiohttpTransport(credentials), LeanTransport(credentials)):
            stack.push_async_callback(transport.close)
            best = min([await cost_us(transport, writes) for _ in range(3)])
            print(f"{transport.name:8} {best:6.1f} us a write", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--writes", type=int, default=8000)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="longest time for an answer")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, options.delay_ms / 1000), daemon=True
    )
    server.start()
    try:
        uvloop.run(compare(ours.recv(), options.writes))
    finally:
        server.kill()


if __name__ == "__main__":
    main()
