"""Control planes of their own, apart from any provider's."""

from __future__ import annotations

import pytest

from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.process import ProcessEndedError


async def test_wrong_flag_is_reported_with_the_servers_words(control_plane_programs: None) -> None:
    with pytest.raises(ProcessEndedError, match="no-such-flag"):
        async with ControlPlane.start(
            controller_manager=False, apiserver_flags=["--no-such-flag=1"]
        ):
            pass


async def test_bare_control_plane_admits_pods(control_plane_programs: None) -> None:
    async with ControlPlane.start(controller_manager=False, audit=False) as plane:
        await plane.create_nodes(2)
        await plane.create_namespace("other")
        pods = await plane.create_pods(2, namespace="other")

        assert len(pods) == 2
        assert "node-0" in await plane.kubectl("get", "nodes", "-o", "name")
