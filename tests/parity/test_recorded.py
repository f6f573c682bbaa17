"""Ours against recorded answers of the real kube-scheduler, without a control plane.

``recorded/`` has whole worlds drawn by the themes (`make record-parity`), ``cases/shrunk`` what the
shrinker made of differences that were found and mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parity import worlds
from tests.parity.compare import differences
from tests.parity.explained import EXPLAINED, MOST_ROWS, unexplained
from tests.parity.offline import offline_judge
from tests.parity.verdicts import Verdict

_FOLDER = Path(__file__).parent

#: Fewer would mean that the recording was lost.
_AT_LEAST = 300


def _recorded() -> Iterator[dict[str, Any]]:
    for path in sorted((_FOLDER / "recorded").glob("*.json.gz")):
        yield from worlds.load(path)


def _shrunk() -> Iterator[Any]:
    for path in sorted((_FOLDER / "cases" / "shrunk").glob("*.yaml")):
        yield pytest.param(yaml.safe_load(path.read_text()), id=path.stem)


@pytest.mark.parametrize(
    "recorded",
    [*(pytest.param(one, id=one["world"]["name"]) for one in _recorded()), *_shrunk()],
)
async def test_ours_says_what_kube_scheduler_said(recorded: dict[str, Any]) -> None:
    world = worlds.from_data(recorded["world"])
    found = {}
    async with offline_judge() as judge:
        verdicts = [verdict async for verdict in judge.judge_world(world)]
    for case, answer, ours in zip(world.cases(), recorded["answers"], verdicts, strict=True):
        left = unexplained(case, differences(Verdict.from_data(answer), ours))
        if left:
            found[case.name] = [str(difference) for difference in left]

    assert found == {}


def test_enough_is_recorded() -> None:
    assert sum(len(one["answers"]) for one in _recorded()) >= _AT_LEAST


def test_few_differences_are_explained() -> None:
    assert len(EXPLAINED) <= MOST_ROWS
