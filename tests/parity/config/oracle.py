"""What the real kube-scheduler makes of configurations, asked and as recorded.

``kube-scheduler --config X --write-config-to Y`` completes a file, or refuses it, without a server.
Its answers to all `inputs/` are kept in `answers/`, by release, so that comparing with them needs
no binary. `make record-config-oracle` writes them anew, and `tests/contract/test_configuration.py`
holds them against the binary where there is one.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from pyscheduler.config.models import EXTENSION_POINTS, UNSUPPORTED_POINTS
from pyscheduler.config.upstream_plugins import UPSTREAM_POINTS
from tests.controlplane.build import RELEASE

INPUTS = Path(__file__).parent / "inputs"
ANSWERS = Path(__file__).parent / "answers" / RELEASE
#: What became of each input that was not refused.
COMPLETED = ANSWERS / "completed"
#: By input: why it was refused.
REFUSED = ANSWERS / "refused.yaml"
#: By plugin: the extension points at which it may be enabled.
POINTS = ANSWERS / "points.yaml"

HEADER = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
_TIMEOUT_S = 30
#: How the binary logs what it died of: quoted, or in lines of its own when there are several.
_REASON = re.compile(r'err=(?:(?P<quoted>"(?:[^"\\]|\\.)*")|<(?P<lines>.*)>)', re.DOTALL)
#: What it says of a plugin at a point that it does not implement.
_MISPLACED = "does not extend"


@dataclass(frozen=True)
class Answer:
    """The completed file, or why there is none."""

    completed: str | None = None
    reason: str | None = None


def input_names() -> list[str]:
    """Every input, by name."""
    return sorted(path.stem for path in INPUTS.glob("*.yaml"))


def recorded(name: str) -> Answer:
    """The answer that was recorded for an input."""
    reason = recorded_reasons().get(name)
    if reason is not None:
        return Answer(reason=reason)
    return Answer(completed=(COMPLETED / f"{name}.yaml").read_text())


def recorded_reasons() -> Mapping[str, str]:
    """By input: why it was refused, as recorded."""
    reasons: Mapping[str, str] = yaml.safe_load(REFUSED.read_text())
    return reasons


def ask(binary: Path, config: Path, *, scratch: Path) -> Answer:
    """What the binary answers; `scratch` is a folder for what it writes."""
    written = scratch / "completed.yaml"
    written.unlink(missing_ok=True)
    # No server is asked anything: the address is only there so that none is looked for.
    done = subprocess.run(
        [
            str(binary),
            f"--config={config}",
            f"--write-config-to={written}",
            "--master=http://127.0.0.1:1",
            "--secure-port=0",
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode == 0:
        return Answer(completed=written.read_text())
    return Answer(reason=_reason(done.stderr))


def ask_points(binary: Path, *, scratch: Path) -> dict[str, list[str]]:
    """By plugin: the points at which the binary takes it, asked one by one."""
    config = scratch / "points.yaml"
    found: dict[str, list[str]] = {}
    for plugin in UPSTREAM_POINTS:
        found[plugin] = []
        for point in (*EXTENSION_POINTS, *UNSUPPORTED_POINTS):
            plugins = {point: {"enabled": [{"name": plugin}]}}
            config.write_text(f"{HEADER}profiles: {json.dumps([{'plugins': plugins}])}\n")
            # A second queue sort is refused too, but not for being misplaced.
            if _MISPLACED not in (ask(binary, config, scratch=scratch).reason or ""):
                found[plugin].append(point)
    return found


def _reason(log: str) -> str:
    found = _REASON.search(log)
    if found is None:
        raise AssertionError(f"no reason in the log: {log}")
    if found["quoted"]:
        return str(json.loads(found["quoted"]))
    return "\n".join(line.strip() for line in found["lines"].strip().splitlines())
