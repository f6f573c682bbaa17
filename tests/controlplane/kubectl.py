"""Runs kubectl as a test does: its output back, or an exception with what it said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path


class KubectlError(Exception):
    """kubectl ended with a status other than 0; the message carries what it said."""


async def run_kubectl(
    kubectl: Path,
    kubeconfig: Path,
    args: Sequence[str],
    *,
    standard_input: str | None = None,
    timeout_s: float = 120,
) -> str:
    """Returns what kubectl printed; raises `KubectlError` when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        str(kubectl),
        f"--kubeconfig={kubeconfig}",
        *args,
        stdin=asyncio.subprocess.PIPE if standard_input is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        given = None if standard_input is None else standard_input.encode()
        out, err = await asyncio.wait_for(process.communicate(given), timeout_s)
    except TimeoutError:
        raise KubectlError(f"kubectl {' '.join(args)}: no end after {timeout_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise KubectlError(f"kubectl {' '.join(args)}: {err.decode().strip()}")
    return out.decode()
