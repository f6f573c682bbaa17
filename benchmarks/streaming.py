"""What the synchronisation of large objects costs server and client, with WatchList and with LIST.

    python -m benchmarks.streaming [--secrets 400] [--reflectors 4 8 16] [--write]

400 Secrets of 1 MB lie in a real kube-apiserver, which is started afresh for each measurement and
limited in memory: `GOMEMLIMIT` asks its garbage collector to stay below the limit, and above it the
process is killed, as a container's would be. Reflectors in a process of their own follow the
Secrets and keep their raw bytes. With the feature gate WatchList off the server refuses to stream,
and they list.

With WatchList the client may take at its peak what it keeps, 64 MiB, and twice the largest object
per reflector; otherwise the command ends with status 1. What LIST takes is only reported.

`--write` puts table and plot into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.document import markdown_table, write_between
from benchmarks.figures import save, table
from benchmarks.memory_watch import MemoryWatch, watched
from benchmarks.streaming_reader import Held
from tests.controlplane.api_client import Manifest
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.identities import ADMIN
from tests.controlplane.process import Process

DOCUMENT: Final = Path("docs/performance.md")
PICTURE: Final = Path("docs/streaming.svg")

WATCH_LIST, LIST = "WatchList", "LIST"

#: Of each Secret's data; as JSON, in base64, it is a third more.
SECRET_BYTES = 1_000_000

#: What a client that keeps nothing may take, its modules included.
CLIENT_BASE_BYTES = 64 << 20
#: Pieces of an object as they arrive, and the whole that is made of them.
COPIES_PER_REFLECTOR = 2

_NAMESPACE = "streaming"
_MIB, _GIB = 1 << 20, 1 << 30

#: The share of its memory that Go is told to keep to, so that it collects before it must die.
_GO_SHARE = 0.9
#: The server's caches are full some time after it is ready.
_SETTLE_S = 3.0
_TIMEOUT_S = 400.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measurement.

    Attributes:
        end: ``synchronised``, or what came in its way.
        server_before_bytes: resident before the client came.
        server_peak_bytes: from then on.
        kept_bytes: raw bytes in the hands of all reflectors; 0 unless synchronised.
        largest_bytes: of one object.
    """

    mode: str
    reflectors: int
    end: str
    seconds: float
    server_before_bytes: int
    server_peak_bytes: int
    client_peak_bytes: int
    kept_bytes: int = 0
    largest_bytes: int = 0

    @property
    def is_synchronised(self) -> bool:
        return self.end == "synchronised"

    @property
    def allowed_bytes(self) -> int:
        """What the client may take at its peak."""
        copies = COPIES_PER_REFLECTOR * self.reflectors * self.largest_bytes
        return self.kept_bytes + CLIENT_BASE_BYTES + copies

    @property
    def keeps_promise(self) -> bool:
        """Claims that a client with WatchList took no more memory than it may."""
        if self.mode == LIST:
            return True
        return self.is_synchronised and self.client_peak_bytes <= self.allowed_bytes

    def cells(self) -> list[str]:
        """Its row of the table, without the number of reflectors."""
        allowed = _mib(self.allowed_bytes) if self.mode == WATCH_LIST else ""
        return [
            self.mode,
            f"{self.reflectors}",
            self.end,
            _mib(self.server_before_bytes),
            _mib(self.server_peak_bytes),
            _mib(self.kept_bytes) if self.is_synchronised else "",
            _mib(self.client_peak_bytes),
            allowed,
        ]


HEAD: Final = (
    "",
    "reflectors",
    "end",
    "server before, MiB",
    "server's peak, MiB",
    "client keeps, MiB",
    "client's peak, MiB",
    "allowed, MiB",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Resident memory at which a process is killed, in bytes."""

    server: int
    client: int


async def measure(
    *, secrets: int, reflectors: Sequence[int], modes: Sequence[str], limits: Limits
) -> list[Outcome]:
    """Returns an outcome for each mode and number of reflectors."""
    outcomes = []
    async with ControlPlane.start(controller_manager=False, audit=False) as plane:
        print(f"making {secrets} Secrets", flush=True)
        await plane.create_namespace(_NAMESPACE)
        for first in range(0, secrets, 50):  # the bodies of all would be half a gigabyte
            batch = [secret_manifest(f"s{n}") for n in range(first, min(first + 50, secrets))]
            await plane.api.create_all(f"/api/v1/namespaces/{_NAMESPACE}/secrets", batch)
        for count in reflectors:
            for mode in modes:
                outcomes.append(await _measure_one(plane, mode, count, limits=limits))
                print("  " + ", ".join(filter(None, outcomes[-1].cells())), flush=True)
    return outcomes


def secret_manifest(name: str) -> Manifest:
    """Returns a Secret whose data nobody can compress."""
    data = base64.b64encode(os.urandom(SECRET_BYTES)).decode()
    return {"metadata": {"name": name}, "type": "Opaque", "data": {"data": data}}


async def _measure_one(
    plane: ControlPlane, mode: str, reflectors: int, *, limits: Limits
) -> Outcome:
    await plane.stop_apiserver(kill=True)
    await plane.start_apiserver(
        feature_gates={"WatchList": mode == WATCH_LIST},
        variables={"GOMEMLIMIT": f"{int(limits.server * _GO_SHARE)}"},
    )
    await asyncio.sleep(_SETTLE_S)
    async with watched(plane.apiserver, limit_bytes=limits.server) as server:
        server.look()
        before = server.peak_bytes
        started = time.monotonic()
        reader = _start_reader(plane, reflectors)
        try:
            async with watched(reader, limit_bytes=limits.client) as client:
                end = await _until_ended(reader, server=server, client=client)
        finally:
            await reader.kill()
    held = Held(0, 0, [], [], client.peak_bytes)
    if end == "synchronised":
        held = _held(reader, mode)
    return Outcome(
        mode=mode,
        reflectors=reflectors,
        end=end,
        seconds=time.monotonic() - started,
        server_before_bytes=before,
        server_peak_bytes=server.peak_bytes,
        client_peak_bytes=max(client.peak_bytes, held.peak_bytes),
        kept_bytes=held.kept_bytes,
        largest_bytes=held.largest_bytes,
    )


def _start_reader(plane: ControlPlane, reflectors: int) -> Process:
    log = plane.folder / "streaming-reader.log"
    log.unlink(missing_ok=True)
    module = "benchmarks.streaming_reader"
    kubeconfig = plane.kubeconfig(ADMIN)
    return Process.start(
        "streaming-reader",
        [sys.executable, "-m", module, kubeconfig, _NAMESPACE, f"{reflectors}"],
        log_path=log,
    )


async def _until_ended(reader: Process, *, server: MemoryWatch, client: MemoryWatch) -> str:
    """Returns how it ended, in words."""
    deadline = time.monotonic() + _TIMEOUT_S
    while reader.is_running:
        if server.was_killed:
            return "server out of memory"
        if time.monotonic() > deadline:
            return f"not synchronised in {_TIMEOUT_S:.0f} s"
        await asyncio.sleep(0.05)
    if client.was_killed:
        return "client out of memory"
    if reader.exit_code:
        reader.check()
    return "synchronised"


def _held(reader: Process, mode: str) -> Held:
    held = msgspec.json.decode(reader.log().splitlines()[-1], type=Held)
    if set(held.modes) != {"watchlist" if mode == WATCH_LIST else "list"}:
        raise RuntimeError(f"reflectors were to synchronise by {mode}, and did by {held.modes}")
    return held


def draw(outcomes: Sequence[Outcome], limits: Limits, path: Path) -> None:
    """The plot is in a file: peaks of server and client by number of reflectors."""
    from matplotlib.figure import Figure  # of the extra `bench`

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    server, client = figure.subplots(1, 2)
    for mode, colour in ((WATCH_LIST, "tab:blue"), (LIST, "tab:orange")):
        found = [outcome for outcome in outcomes if outcome.mode == mode]
        places = [str(outcome.reflectors) for outcome in found]
        for axes, peaks in (
            (server, [o.server_peak_bytes / _GIB for o in found]),
            (client, [o.client_peak_bytes / _GIB for o in found]),
        ):
            axes.plot(places, peaks, marker="o", color=colour, label=f"with {mode}")
            for place, peak, outcome in zip(places, peaks, found, strict=True):
                if not outcome.is_synchronised:
                    axes.annotate("†", (place, peak), ha="center", va="bottom", fontsize=14)
    kept = [o for o in outcomes if o.mode == WATCH_LIST]
    client.plot(
        [str(o.reflectors) for o in kept],
        [o.allowed_bytes / _GIB for o in kept],
        linestyle=":",
        color="black",
        label="allowed with WatchList",
    )
    server.axhline(limits.server / _GIB, linestyle=":", color="black", label="limit")
    for axes, title in ((server, "kube-apiserver"), (client, "client")):
        axes.set_title(f"{title}: peak of resident memory")
        axes.set_xlabel("reflectors")
        axes.set_ylabel("GiB")
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:,.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, saves, and writes the document if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--secrets", type=int, default=400)
    parser.add_argument("--reflectors", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument(
        "--modes", nargs="+", choices=(WATCH_LIST, LIST), default=[WATCH_LIST, LIST]
    )
    parser.add_argument("--server-gib", type=float, default=2.0, help="limit of kube-apiserver")
    parser.add_argument("--client-gib", type=float, default=14.0, help="limit of the client")
    parser.add_argument("--write", action="store_true", help=f"put table and plot into {DOCUMENT}")
    options = parser.parse_args(arguments)
    limits = Limits(server=int(options.server_gib * _GIB), client=int(options.client_gib * _GIB))
    outcomes = asyncio.run(
        measure(
            secrets=options.secrets,
            reflectors=options.reflectors,
            modes=options.modes,
            limits=limits,
        )
    )
    rows = [outcome.cells() for outcome in outcomes]
    print("\n" + table(HEAD, rows))
    path = save("streaming", {"limits": asdict(limits), "runs": [asdict(o) for o in outcomes]})
    print(f"\nresults: {path}")
    if options.write:
        write_between(DOCUMENT, "bench-streaming", markdown_table(HEAD, rows))
        draw(outcomes, limits, PICTURE)
    return 0 if all(outcome.keeps_promise for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
