"""What the README shows works as it stands there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyscheduler.cli.main import run_cli
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.cluster import embedded_cluster
from tests.imported_modules import forgetting

TEXT = (Path(__file__).parents[2] / "README.md").read_text()
FILES = {
    name: text
    for text, name in re.findall(
        r"^```(?:python|yaml)\n(# (\S+)\n.*?)^```$", TEXT, re.MULTILINE | re.DOTALL
    )
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the README's files."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with forgetting(tmp_path):
        yield tmp_path


def test_the_ten_lines_keep_databases_off_spot_nodes(here: Path) -> None:
    assert FILES.keys() == {"avoid_spot.py", "config.yaml"}
    spot, own = make_node("spot").label("lifecycle", "spot").obj(), make_node("own").obj()

    async def story() -> tuple[str, str]:
        async with embedded_cluster(config=FILES["config.yaml"], nodes=[spot]) as cluster:
            cluster.create(make_pod("db").label("tier", "db").obj())
            message = await cluster.until_rejected("db")
            cluster.create(own)
            await cluster.until_bound("db")
            return message, cluster.node_of("db")

    message, node_name = asyncio.run(story())

    assert message.startswith("0/1 nodes are available: 1 node(s) were spot capacity.")
    assert node_name == "own"


def test_the_configuration_of_the_ten_lines_is_right(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "pyscheduler config check config.yaml"

    assert command in TEXT
    assert run_cli(command.split()[1:]) == 0
    assert not capsys.readouterr().err
