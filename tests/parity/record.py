"""`make record-parity`: keeps what the oracle says of some worlds, for the test command to replay.

Only cases on which both agree, or whose difference is explained, are worth keeping; any other ends
the recording with its name.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.parity import worlds
from tests.parity.explained import unexplained
from tests.parity.rig import Rig
from tests.parity.themes import ALL_THEMES
from tests.parity.themes.base import draw_world

RECORDED = Path(__file__).parent / "recorded"

#: Seed of what is kept; a campaign's seeds start at 1.
_SEED = 0


async def record(count: int) -> list[dict[str, Any]]:
    """The worlds, each with the oracle's answers."""
    recorded: list[dict[str, Any]] = []
    async with Rig.start() as rig:
        index = cases = 0
        while cases < count:
            world = draw_world(_SEED, index, ALL_THEMES)
            index += 1
            judged = [one async for one in rig.judge_world(world)]
            for one in judged:
                left = unexplained(one.case, one.found)
                if left:
                    raise SystemExit(f"{one.case.name} differs: {left[0]}")
            kept = [one for one in judged if not one.refusal]
            data = worlds.to_data(world)
            data["incoming"] = [worlds.to_data(one.case.world)["incoming"][0] for one in kept]
            recorded.append({"world": data, "answers": [one.theirs.to_data() for one in kept]})
            cases += len(kept)
            sys.stderr.write(f"\r{cases}/{count}")
    return recorded


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="answers of the real kube-scheduler, kept")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--to", type=Path, default=RECORDED / "worlds.json.gz")
    options = parser.parse_args()
    worlds.save(options.to, asyncio.run(record(options.cases)))
    sys.stdout.write(f"\n{options.to}\n")


if __name__ == "__main__":
    main()
