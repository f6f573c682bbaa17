"""Health checks and metrics over HTTP: ``/livez``, ``/readyz``, ``/healthz``, ``/metrics``.

Answers look like kube-apiserver's: ``ok``, or one line per check and status 500 when one fails;
``?verbose`` lists them in any case. Checks are plain callables, asked at each request on the
operations thread: they may do no more than read a value. Served in plain HTTP (upstream's TLS and
delegated authentication are left to a proxy).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

#: Returns None while all is well, else what is wrong.
Check = Callable[[], str | None]
#: Takes an Accept header; returns the text and its content type.
RenderMetrics = Callable[[str], tuple[bytes, str]]


class Endpoints:
    """The routes of one process.

    Args:
        live: what must hold, by name, or the process had better be restarted.
        ready: what must hold, by name, before the process does its work.
        render_metrics: gives the metrics as text.
    """

    def __init__(
        self,
        *,
        live: Mapping[str, Check],
        ready: Mapping[str, Check],
        render_metrics: RenderMetrics,
    ) -> None:
        self._live = {"ping": _ping, **live}
        self._ready = {"ping": _ping, **ready}
        self._render_metrics = render_metrics

    def application(self) -> web.Application:
        """Return a new application that serves the routes."""
        application = web.Application()
        application.router.add_get("/livez", _checked("livez", self._live))
        application.router.add_get("/readyz", _checked("readyz", self._ready))
        application.router.add_get("/healthz", _checked("healthz", self._live))
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._render_metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


def _ping() -> str | None:
    return None


def _checked(
    endpoint: str, checks: Mapping[str, Check]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        faults = {name: check() for name, check in checks.items()}
        is_healthy = not any(faults.values())
        if is_healthy and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [
            f"[-]{name} failed: {fault}" if fault else f"[+]{name} ok"
            for name, fault in faults.items()
        ]
        lines.append(f"{endpoint} check {'passed' if is_healthy else 'failed'}")
        return web.Response(text="\n".join(lines) + "\n", status=200 if is_healthy else 500)

    return handle
