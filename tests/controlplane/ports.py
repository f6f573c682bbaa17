"""TCP ports for servers that tests start."""

from __future__ import annotations

import random
import socket

#: Ports are taken from below Linux's ephemeral range (32768), where no connection takes them first.
_PORTS = range(20000, 32000)


def free_port() -> int:
    """Returns a TCP port of 127.0.0.1 that nobody listens on."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
