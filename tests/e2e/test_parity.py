"""A few dozen random cases beside the real kube-scheduler; `make parity` judges thousands."""

from __future__ import annotations

import pytest

from tests.parity.explained import unexplained
from tests.parity.rig import Rig
from tests.parity.themes import ALL_THEMES
from tests.parity.themes.base import draw_world

#: Anything but the seeds of campaigns and of the recording.
SEED = 1_000_003
CASES = 30


@pytest.mark.needs("kube_scheduler", "disposable")
@pytest.mark.usefixtures("control_plane_programs")
async def test_verdicts_messages_and_scores_are_those_of_kube_scheduler() -> None:
    judged = 0
    different: dict[str, list[str]] = {}
    async with Rig.start() as rig:
        for index in range(CASES):
            async for one in rig.judge_world(draw_world(SEED, index, ALL_THEMES, pods=6)):
                judged += not one.refusal
                left = unexplained(one.case, one.found)
                if left:
                    different[one.case.name] = [str(difference) for difference in left]
            if judged >= CASES:
                break

    assert judged >= CASES
    assert different == {}
