"""TCP ports for servers that tests start."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

#: Ports are taken from below Linux's ephemeral range (32768), where no connection takes them first.
_PORTS = range(20000, 32000)


def _shuffled() -> Iterator[int]:
    while True:
        yield from random.sample(_PORTS, len(_PORTS))


#: Each is given once: its server may take a while to listen, and must not meet another one there.
_candidates = _shuffled()


def free_port() -> int:
    """Returns a TCP port that nobody listens on, and that nobody here was given before."""
    for port in _candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: the candidates do not end")
