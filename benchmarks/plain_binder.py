"""A client that only binds: the raw limit of a control plane, which no scheduler can pass.

Reads a list made beforehand (server, token, CA, and for each pod its name, uid and node), encodes
every request, opens its connections, and then sends: as many binds under way at once as the
scheduler's own window, and an event after each bind over connections of their own if asked for.
HTTP/1.1, over TLS where the server has it, with an asyncio protocol per connection; nothing of an
answer but its status is looked at. So it costs the machine as little as a Python client can.

    python -m benchmarks.plain_binder LIST.json
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from pyscheduler.client.dispatcher import BIND_WINDOW

#: Connections for events: as many as the scheduler's own workers for them.
EVENT_WINDOW = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """The two requests of one pod, as bytes on the wire."""

    bind: bytes
    event: bytes


class Lane(asyncio.Protocol):
    """One connection: sends the next request as soon as the last is answered."""

    def __init__(
        self, take: Callable[[], Prepared | None], *, of: str, done: Callable[[Prepared], None]
    ) -> None:
        self._take = take
        self._of = of
        self._done = done
        self._sent: Prepared | None = None
        self._answer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: Any) -> None:  # uvloop's derive from nothing of asyncio's
        self._transport = transport

    def send_next(self) -> None:
        """The next request is under way, unless one is already or there is none."""
        if self._sent is not None or self._transport is None:
            return
        self._sent = self._take()
        if self._sent is not None:
            self._transport.write(getattr(self._sent, self._of))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not is_whole(self._answer):
            return
        status = int(self._answer[9:12])
        if status != 201 or self._sent is None:
            raise SystemExit(f"plain binder: {self._answer[:600]!r}")
        answered, self._sent, self._answer = self._sent, None, b""
        self._done(answered)
        self.send_next()


def is_whole(answer: bytes) -> bool:
    """Claims that an HTTP/1.1 answer is there to its last byte."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return body.endswith(b"0\r\n\r\n")  # chunked


async def bind_all(work: dict[str, object]) -> None:
    """Every pod of the list is bound, with its event if the list says so."""
    server = urlsplit(str(work["server"]))
    pods = [prepare(pod, work) for pod in _pods(work)]
    waiting, for_events = deque(pods), deque[Prepared]()
    with_events = bool(work["events"])
    left = len(pods) * (2 if with_events else 1)
    finished = asyncio.Event()
    event_lanes: list[Lane] = []

    def answered(_: Prepared) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finished.set()

    def bound(pod: Prepared) -> None:
        if with_events:
            for_events.append(pod)
            for lane in event_lanes:
                lane.send_next()
        answered(pod)

    context = ssl.create_default_context(cafile=str(work["ca"])) if work["ca"] else None
    loop = asyncio.get_running_loop()

    async def connect(lane: Lane) -> Lane:
        await loop.create_connection(
            lambda: lane, server.hostname or "", server.port or 443, ssl=context
        )
        return lane

    bind_lanes = [
        await connect(Lane(lambda: waiting.popleft() if waiting else None, of="bind", done=bound))
        for _ in range(BIND_WINDOW)
    ]
    if with_events:
        event_lanes += [
            await connect(
                Lane(
                    lambda: for_events.popleft() if for_events else None, of="event", done=answered
                )
            )
            for _ in range(EVENT_WINDOW)
        ]
    for lane in bind_lanes:
        lane.send_next()
    await finished.wait()


def prepare(pod: dict[str, str], work: dict[str, object]) -> Prepared:
    """Returns the requests for one pod of the list."""
    namespace, name, uid, node = (pod[key] for key in ("namespace", "name", "uid", "node"))
    reference = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": name}
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "plain-binder",
        "reportingInstance": "plain-binder",
        "action": "Binding",
        "reason": "Scheduled",
        "regarding": {**reference, "uid": uid},
        "note": f"Successfully assigned {namespace}/{name} to {node}",
        "type": "Normal",
    }
    return Prepared(
        _request(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding, work),
        _request(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event, work),
    )


def _pods(work: dict[str, object]) -> list[dict[str, str]]:
    pods = work["pods"]
    assert isinstance(pods, list)
    return pods


def _request(path: str, body: Mapping[str, object], work: dict[str, object]) -> bytes:
    payload = json.dumps(body, separators=(",", ":")).encode()
    authorization = f"Authorization: Bearer {work['token']}\r\n" if work["token"] else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(str(work['server'])).netloc}\r\n"
        f"{authorization}User-Agent: plain-binder\r\n"
        f"Accept: application/json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


if __name__ == "__main__":
    uvloop.run(bind_all(json.loads(Path(sys.argv[1]).read_text())))
