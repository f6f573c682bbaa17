"""The scheduler's own writes, through the transport that carries them, on either server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pyscheduler.api.codec import PODS, Interner, decoder
from pyscheduler.api.core_v1 import Pod
from pyscheduler.client.credentials import Credentials, load_credentials
from pyscheduler.client.dispatcher import BindPodGone, BindRefused, Dispatcher
from pyscheduler.client.lean_transport import open_transport
from pyscheduler.client.recorder import EventRecorder
from pyscheduler.client.transport import Transport
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from tests.contract.api import Api, names
from tests.contract.conftest import Server

pytestmark = pytest.mark.parametrize("server", ["embedded-http", "real"], indirect=True)

_PODS = 40


@pytest_asyncio.fixture(loop_scope="session")
async def writes(server: Server, cluster: EmbeddedCluster) -> AsyncIterator[Transport]:
    if server.real is None:
        credentials = Credentials(cluster.url, source="test")
    else:
        credentials = await load_credentials(server.real.kubeconfig)
    transport = open_transport(credentials)
    assert transport.name == "lean"
    yield transport
    await transport.close()


async def _made(api: Api, *made: str) -> list[Pod]:
    decode = decoder(PODS, Interner()).object
    return [decode(json.dumps(one).encode()) for one in await api.create_pods(*made)]


async def test_pods_are_bound_and_told_of_at_once(api: Api, writes: Transport) -> None:
    pods = await _made(api, *[f"p{index}" for index in range(_PODS)])
    dispatcher = Dispatcher(writes)
    recorder = EventRecorder(
        dispatcher, reporting_controller="contract", reporting_instance="contract"
    )
    await asyncio.gather(*[dispatcher.bind(pod, "n1") for pod in pods])
    for pod in pods:
        recorder.event(pod, "Normal", "Scheduled", "Binding", f"assigned {pod.key} to n1")
    is_drained = await dispatcher.drain(20)
    await dispatcher.close()

    assert is_drained
    assert {pod["spec"]["nodeName"] for pod in (await api.get(api.pods))["items"]} == {"n1"}
    assert len(names(await api.get(api.events))) == _PODS


async def test_refusals_of_a_bind_are_told_apart(api: Api, writes: Transport) -> None:
    bound, gone = await _made(api, "bound", "gone")
    await api.ok("DELETE", api.pod("gone"), {"gracePeriodSeconds": 0})
    dispatcher = Dispatcher(writes)
    await dispatcher.bind(bound, "n1")

    await dispatcher.bind(bound, "n1")  # as after an answer that was lost
    with pytest.raises(BindRefused):
        await dispatcher.bind(bound, "n2")
    with pytest.raises(BindPodGone):
        await dispatcher.bind(gone, "n1")
    await dispatcher.close()


async def test_large_answer_comes_whole(api: Api, writes: Transport) -> None:
    await api.create_pods(*[f"p{index}" for index in range(_PODS)])
    answer = await writes.request("GET", api.pods, params={"labelSelector": "!nothing"})

    assert len(json.loads(answer.body)["items"]) == _PODS
