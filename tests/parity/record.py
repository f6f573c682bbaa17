"""`make record-parity`: keeps what the oracle says of some worlds, for the test command to replay.

Only cases on which both agree, or whose difference is explained, are worth keeping; any other ends
the recording with its name.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.parity import worlds
from tests.parity.explained import unexplained
from tests.parity.rig import Rig
from tests.parity.themes import themes_named
from tests.parity.themes.base import Theme, draw_world
from tests.parity.worlds import Manifest, key_of, reference_of

RECORDED = Path(__file__).parent / "recorded"

#: Kinds whose specs the API server completes, and which name no uid.
_COMPLETED = frozenset({"Pod", "ResourceClaim", "ResourceSlice", "PersistentVolumeClaim"})

#: What only the API server reads, to complete specs.
_READ_BY_THE_SERVER = frozenset({"RuntimeClass"})

#: Seed of what is kept: no campaign's, and one that draws every theme soon.
_SEED = 2_000_396
#: Few for a world, so that there are many worlds.
_PODS = 14


async def record(count: int, themes: Sequence[Theme]) -> list[dict[str, Any]]:
    """The worlds, each with the oracle's answers."""
    recorded: list[dict[str, Any]] = []
    async with Rig.start() as rig:
        index = cases = 0
        while cases < count:
            world = draw_world(_SEED, index, themes, pods=_PODS)
            index += 1
            judged = [one async for one in rig.judge_world(world)]
            for one in judged:
                left = unexplained(one.case, one.found)
                if left:
                    raise SystemExit(f"{one.case.name} differs: {left[0]}")
            kept = [one for one in judged if not one.refusal]
            data = _as_stored(worlds.to_data(world), rig.stage.stored)
            data["objects"] = [
                one for one in data["objects"] if one["kind"] not in _READ_BY_THE_SERVER
            ]
            keys = {one.case.incoming.key for one in kept}
            data["incoming"] = [
                incoming for incoming in data["incoming"] if key_of(incoming["pod"]) in keys
            ]
            recorded.append({"world": data, "answers": [one.theirs.to_data() for one in kept]})
            cases += len(kept)
            sys.stderr.write(f"\r{cases}/{count}")
    return recorded


def _as_stored(value: Any, stored: Mapping[str, Manifest]) -> Any:
    """The same data, with specs as the API server completed them: the embedded one may not."""
    if isinstance(value, list):
        return [_as_stored(inner, stored) for inner in value]
    if not isinstance(value, dict):
        return value
    is_object = value.get("kind") in _COMPLETED and "metadata" in value
    if is_object and reference_of(value) in stored:
        spec = dict(stored[reference_of(value)]["spec"])
        if "schedulerName" not in value["spec"]:
            spec.pop("schedulerName", None)
        return {**value, "spec": spec}
    return {key: _as_stored(inner, stored) for key, inner in value.items()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="answers of the real kube-scheduler, kept")
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--to", type=Path, default=RECORDED / "worlds.json.gz")
    parser.add_argument("--without", action="append", default=[], help="not this theme")
    options = parser.parse_args()
    themes = themes_named((), options.without)
    worlds.save(options.to, asyncio.run(record(options.cases, themes)))
    sys.stdout.write(f"\n{options.to}\n")


if __name__ == "__main__":
    main()
