"""The recorded answers about configurations are those of the real kube-scheduler."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.controlplane.build import ensure_binaries
from tests.parity.config import oracle


@pytest.fixture(scope="session")
def kube_scheduler(control_plane_programs: None) -> Path:
    return ensure_binaries({"kube-scheduler"})["kube-scheduler"]


@pytest.mark.parametrize("name", oracle.input_names())
async def test_the_recorded_answer_is_that_of_the_binary(
    kube_scheduler: Path, tmp_path: Path, name: str
) -> None:
    config = oracle.INPUTS / f"{name}.yaml"

    answer = await asyncio.to_thread(oracle.ask, kube_scheduler, config, scratch=tmp_path)

    assert answer == oracle.recorded(name)


async def test_the_recorded_points_are_those_of_the_binary(
    kube_scheduler: Path, tmp_path: Path
) -> None:
    points = await asyncio.to_thread(oracle.ask_points, kube_scheduler, scratch=tmp_path)

    assert points == yaml.safe_load(oracle.POINTS.read_text())
