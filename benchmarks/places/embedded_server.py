"""The embedded API server as a process: one door for the scheduler, one for whoever lays out pods.

    python -m benchmarks.places.embedded_server FOLDER

Both doors lead to the same objects. What comes in by the scheduler's is written to FOLDER's
audit log, one line a request with the keys that kube-apiserver's has, so that one witness reads
both. The doors' addresses are in FOLDER's `doors.json` as soon as requests are answered. There are
no kubelets, as in upstream's benchmarks: nodes are as they were made, and stay so.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import IO

import msgspec
import uvloop

from pyscheduler.clock import SystemClock
from pyscheduler.sim.api_server import Answer, ApiServer
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.http_server import HttpServer
from pyscheduler.sim.object_store import ObjectStore
from pyscheduler.sim.watching import WatchStream
from tests.controlplane.identities import KUBE_SCHEDULER

#: Events kept per resource. The window holds a whole run, so that no watch has to begin anew.
_WINDOW = 400_000

#: Verb of the audit log by method, where the path does not matter.
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class _Metadata(msgspec.Struct):
    name: str


class _Named(msgspec.Struct):
    metadata: _Metadata


_name_of = msgspec.json.Decoder(_Named).decode


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the server listens."""

    scheduler: str
    harness: str

    @classmethod
    def path(cls, folder: Path) -> Path:
        return folder / "doors.json"


class AuditedServer:
    """Answers as the server does, and writes a line on every request."""

    def __init__(self, server: ApiServer, log: IO[bytes]) -> None:
        self._server = server
        self._log = log

    def handle(self, request: Request) -> Answer:
        received_s = time.time()
        answer = self._server.handle(request)
        self._log.write(audit_line(request, answer, received_s=received_s, answered_s=time.time()))
        return answer

    def stream_closed(self, stream: WatchStream) -> None:
        self._server.stream_closed(stream)

    def disconnect_watches(self) -> None:
        self._server.disconnect_watches()


def audit_line(request: Request, answer: Answer, *, received_s: float, answered_s: float) -> bytes:
    """Returns a request as a line of kube-apiserver's audit log, with the keys that are read."""
    target: dict[str, str] = {}
    parts = request.path.strip("/").split("/")
    if "namespaces" in parts:
        at = parts.index("namespaces")
        names = ("namespace", "resource", "name", "subresource")
        target = dict(zip(names, parts[at + 1 :], strict=False))
    if request.method == "POST" and target.get("resource") == "events":
        target["name"] = _name_of(request.body).metadata.name
    is_watch = isinstance(answer, WatchStream)
    entry = {
        "stage": "ResponseComplete",
        "verb": "watch" if is_watch else _VERBS.get(request.method, "get"),
        "user": {"username": KUBE_SCHEDULER},
        "objectRef": target,
        "responseStatus": {"code": answer.status if isinstance(answer, Response) else 200},
        "requestReceivedTimestamp": _timestamp(received_s),
        "stageTimestamp": _timestamp(answered_s),
    }
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _timestamp(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")


async def serve(folder: Path) -> None:
    """Requests are answered until the process is ended."""
    server = ApiServer(ObjectStore(window=_WINDOW), clock=SystemClock(), rng=Random(0))
    with (folder / "audit.log").open("ab", buffering=0) as log:
        audited = HttpServer(AuditedServer(server, log))
        harness = HttpServer(server)
        await audited.start()
        await harness.start()
        doors = Doors(scheduler=audited.url, harness=harness.url)
        ready = Doors.path(folder).with_suffix(".new")
        ready.write_text(json.dumps(asdict(doors)))
        ready.rename(Doors.path(folder))
        await asyncio.Event().wait()


if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 100)  # objects that stay would be looked through all the time
    uvloop.run(serve(Path(sys.argv[1])))
