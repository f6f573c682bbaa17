"""A transport whose answers are written down beforehand, and small objects to put into them."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyscheduler.api.core_v1 import Pod, PodSpec
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.client.transport import Response, Stream


@dataclass(frozen=True)
class Sent:
    method: str
    path: str
    params: dict[str, str]
    body: Any
    content_type: str | None
    timeout_s: float | None


class Hang:
    """An answer, or the rest of a stream, that never comes."""


HANG = Hang()


@dataclass
class Script:
    """One stream: its status, and its chunks, at the end of which it ends (or fails, or hangs)."""

    chunks: Sequence[bytes | Exception | Hang] = ()
    status: int = 200


class ScriptedTransport:
    name = "scripted"

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.answers: deque[Response | Exception | Hang] = deque()
        self.default = Response(201, b"{}")
        self.streams: deque[Script | Exception] = deque()
        self.gate: asyncio.Event | None = None
        self.in_flight = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        decoded = json.loads(body) if body else None
        self.sent.append(Sent(method, path, dict(params or {}), decoded, content_type, timeout_s))
        answer = self.answers.popleft() if self.answers else self.default
        self.in_flight += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
            if isinstance(answer, Hang):
                never: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
                return await never
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextlib.asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        self.sent.append(Sent("GET", path, dict(params), None, None, None))
        script = self.streams.popleft() if self.streams else Script([HANG])
        if isinstance(script, Exception):
            raise script
        yield Stream(script.status, self._play(script))

    async def close(self) -> None:
        pass

    async def _play(self, script: Script) -> AsyncIterator[bytes]:
        for chunk in script.chunks:
            if isinstance(chunk, Hang):
                await asyncio.get_running_loop().create_future()
            elif isinstance(chunk, Exception):
                raise chunk
            else:
                yield chunk


async def settle() -> None:
    """Let every task go on until it waits for time or for an answer."""
    for _ in range(60):
        await asyncio.sleep(0)


async def cancelled(task: "asyncio.Task[Any]") -> None:
    if task.done():
        return
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def wire_pod(name: str, version: int, *, uid: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
        },
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def line(event_type: str, wire: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": event_type, "object": wire}).encode() + b"\n"


def bookmark(version: int, *, is_end: bool = False) -> bytes:
    annotations = {"k8s.io/initial-events-end": "true"} if is_end else {}
    return line(
        "BOOKMARK", {"metadata": {"resourceVersion": str(version), "annotations": annotations}}
    )


def status(code: int, reason: str = "", message: str = "", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def refusal(code: int, reason: str = "", message: str = "", **headers: str) -> Response:
    body = json.dumps(status(code, reason, message)).encode()
    return Response(code, body, {name.replace("_", "-"): text for name, text in headers.items()})


def list_page(*pods: Mapping[str, Any], version: int, continue_: str = "") -> Response:
    meta = {"resourceVersion": str(version), "continue": continue_}
    return Response(200, json.dumps({"metadata": meta, "items": pods}).encode())


def pod(name: str, *, priority: int = 0, uid: str = "", generation: int = 1) -> Pod:
    meta = ObjectMeta(name=name, namespace="shop", uid=uid or f"uid-{name}", generation=generation)
    return Pod(meta, PodSpec(priority=priority))
