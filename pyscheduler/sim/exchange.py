"""A request and its answer as the embedded API server sees them, and faults put between.

Transports make a `Request`, `ApiServer.handle` returns a `Response` (or a watch). A `Fault`
answers in the server's place a number of times: how tests make a server fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its path and query decoded."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = JSON
    accept: str = JSON


@dataclass(frozen=True, slots=True)
class Response:
    """One complete answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Fault:
    """Answers requests in the server's place."""

    #: Which requests it is for.
    matches: Callable[[Request], bool]
    #: Makes the answer; it may raise what a transport would raise.
    answer: Callable[[Request], Response]
    #: How often it still strikes.
    times: int = 1

    def strike(self, request: Request) -> Response | None:
        """Its answer, or None where the request is not for it or it is used up."""
        if self.times <= 0 or not self.matches(request):
            return None
        self.times -= 1
        return self.answer(request)
