"""Runs `program.py`: an extender that tests tell what to do and ask what it was sent.

extender = await stack.enter_async_context(ExtenderProcess.running(folder))
extender.rule(failed={"node-1": "too busy"})
extender.requests("filter")[0]["Pod"]
"""

from __future__ import annotations

import functools
import json
import socket
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tests.controlplane.ports import free_port
from tests.controlplane.process import Process

CERTIFICATES = Path(__file__).parents[1] / "certificates"


class Rules(TypedDict, total=False):
    """What the extender does; what is not said lets everything be."""

    #: node -> message; the second beyond help
    failed: Mapping[str, str]
    unresolvable: Mapping[str, str]
    #: node -> 0..10
    scores: Mapping[str, int]
    #: the nodes that stay candidates for preemption
    candidates: Collection[str]
    #: verbs that are answered with status 500
    broken: Collection[str]
    #: for bind: ``server``, and where needed ``token`` and the file ``authority``
    api: Mapping[str, str]


class ExtenderProcess:
    """One running extender."""

    def __init__(self, folder: Path, port: int, *, is_https: bool) -> None:
        self._folder = folder
        self.url = f"http{'s' if is_https else ''}://127.0.0.1:{port}/extender"
        self._rules: Rules = {}
        self.rule()

    @classmethod
    @asynccontextmanager
    async def running(
        cls, folder: Path, *, is_https: bool = False
    ) -> AsyncIterator[ExtenderProcess]:
        """An extender that serves; with HTTPS only to the client of `CERTIFICATES`."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        extender = cls(folder, port, is_https=is_https)
        program = Path(__file__).with_name("program.py")
        command = [sys.executable, str(program), f"--port={port}"]
        command += [f"--rules={extender._rules_path}", f"--requests={extender._requests_path}"]
        if is_https:
            command += [
                f"--certificate={CERTIFICATES / 'server.pem'}",
                f"--key={CERTIFICATES / 'server.key'}",
                f"--client-authority={CERTIFICATES / 'authority.pem'}",
            ]
        process = Process.start("extender", command, log_path=folder / "extender.log")
        started = functools.partial(listens, port)
        try:
            await process.until(started, what="listening", timeout_s=30)
            yield extender
        finally:
            await process.kill()

    def rule(self, **rules: Unpack[Rules]) -> None:
        """From now on it does this; rules given before stay unless given again."""
        self._rules |= rules
        draft = self._rules_path.with_suffix(".new")
        draft.write_text(json.dumps(self._rules, default=list))
        draft.replace(self._rules_path)

    def requests(self, verb: str) -> list[Any]:
        """The bodies of all requests with that verb, in order."""
        if not self._requests_path.exists():
            return []
        asked = [json.loads(line) for line in self._requests_path.read_text().splitlines()]
        return [json.loads(one["body"]) for one in asked if one["verb"] == verb]

    @property
    def tls_config(self) -> dict[str, str]:
        """What a scheduler needs to speak to it over HTTPS."""
        return {
            "serverName": "extender.test",
            "caFile": str(CERTIFICATES / "authority.pem"),
            "certFile": str(CERTIFICATES / "client.pem"),
            "keyFile": str(CERTIFICATES / "client.key"),
        }

    @property
    def _rules_path(self) -> Path:
        return self._folder / "rules.json"

    @property
    def _requests_path(self) -> Path:
        return self._folder / "requests.jsonl"


async def listens(port: int) -> bool:
    """Whether somebody does, on this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
