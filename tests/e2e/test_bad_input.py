"""What a user can get wrong ends in one clear line; what a plugin gets wrong costs one attempt.

Each fault of the first part is told as `error: ...` on stderr, names the file, field or object, has
no traceback and ends the process with a status other than 0, before anything was done.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi
import pytest
import yaml

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.ports import free_port
from tests.controlplane.scheduler_process import PROGRAM
from tests.controlplane.waiting import eventually
from tests.e2e.claims import all_bound, assert_bound_once, metric, restarts
from tests.e2e.plugin_packages import write_package
from tests.e2e.providers.base import Provider, Release

#: Seconds within which a process has seen its fault, on a machine with other things to do.
_END_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """What `pyscheduler run` left behind."""

    status: int
    stderr: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


async def run_to_its_end(*arguments: str | Path) -> Ended:
    """Returns how `pyscheduler run` with these arguments ended by itself."""
    words = [*PROGRAM, "run", "--port=0", "--log-format=json", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, stderr = await asyncio.wait_for(process.communicate(), _END_TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, stderr.decode())


def assert_one_error(ended: Ended, *parts: str) -> None:
    """It failed with one line that has all these parts in it, and nothing that frightens."""
    assert ended.status == 1, ended.stderr
    assert len(ended.errors) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    for part in parts:
        assert part in ended.errors[0]


# -- how to reach the cluster -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "no such kubeconfig file", id="missing"),
        pytest.param("clusters: [", "not valid YAML at line 1", id="not YAML"),
        pytest.param("just words", "not a kubeconfig", id="not a mapping"),
        pytest.param("kind: Config\n", "current-context is not set", id="no context"),
        pytest.param(
            "kind: Config\ncurrent-context: here\n",
            "current-context 'here' is not among the contexts",
            id="unknown context",
        ),
    ],
)
async def test_broken_kubeconfig_is_named(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)

    assert_one_error(await run_to_its_end("--kubeconfig", path), str(path), problem)


async def test_unreachable_server_is_named(tmp_path: Path) -> None:
    server = f"https://127.0.0.1:{free_port()}"
    path = _kubeconfig(tmp_path, {"server": server}, {"token": "any"})

    assert_one_error(await run_to_its_end("--kubeconfig", path), server, "Connection refused")


@pytest.mark.needs("disposable")
async def test_certificate_of_another_authority_is_refused(
    provider: Provider, tmp_path: Path
) -> None:
    cluster, user = _credentials(provider)
    # The authorities of the public internet know nothing of this server.
    path = _kubeconfig(tmp_path, _with_authority(cluster, Path(certifi.where())), user)

    ended = await run_to_its_end("--kubeconfig", path)

    assert_one_error(ended, cluster["server"], "certificate verify failed", str(path))


@pytest.mark.needs("disposable")
async def test_token_that_is_not_valid_any_more_is_refused(
    provider: Provider, tmp_path: Path
) -> None:
    account = await _service_account(provider, "leaving")
    token = await _token(provider, account)
    await provider.api.delete(account)
    cluster, _ = _credentials(provider)
    path = _kubeconfig(tmp_path, cluster, {"token": token})

    ended = await run_to_its_end("--kubeconfig", path)

    assert_one_error(ended, "401", "unknown to the server or has expired")


@pytest.mark.needs("disposable")
async def test_missing_permission_is_named(provider: Provider, tmp_path: Path) -> None:
    account = await _service_account(provider, "nobody")
    cluster, _ = _credentials(provider)
    path = _kubeconfig(tmp_path, cluster, {"token": await _token(provider, account)})
    try:
        ended = await run_to_its_end("--kubeconfig", path)
    finally:
        await provider.api.delete(account)

    assert_one_error(ended, "403", "cannot list resource")
    assert f"system:serviceaccount:{provider.test_namespace}:nobody" in ended.errors[0]


# -- the configuration --------------------------------------------------------------------------

_BROKEN_CONFIGURATION = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
paralellism: 3
leaderElection:
  leaderElect: perhaps
profiles:
  - schedulerName: pyscheduler
    plugins:
      score:
        enabled:
          - name: ImageLocalty
    pluginConfig:
      - name: NodeResourcesFit
        args: {scoringStrategy: {type: Emptiest}}
"""


async def test_every_mistake_of_a_configuration_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(_BROKEN_CONFIGURATION)

    ended = await run_to_its_end("--config", path)

    assert ended.status == 1
    assert "Traceback" not in ended.stderr
    assert all(error.startswith(f"error: {path}: ") for error in ended.errors)
    told = {error.removeprefix(f"error: {path}: ").partition(": ")[0] for error in ended.errors}
    assert told == {
        "paralellism",
        "leaderElection.leaderElect",
        "profiles[0].plugins.score.enabled[0].name",
        "profiles[0].pluginConfig[0].args.scoringStrategy.type",
    }
    assert 'nobody provides a plugin "ImageLocalty"; did you mean "ImageLocality"?' in ended.stderr


async def test_scheduler_name_beside_a_configuration_is_refused(tmp_path: Path) -> None:
    ended = await run_to_its_end("--scheduler-name=mine", "--config", tmp_path / "config.yaml")

    assert ended.status != 0
    assert "--scheduler-name cannot be given together with --config" in ended.stderr
    assert "Traceback" not in ended.stderr


# -- plugins ------------------------------------------------------------------------------------

_PLUGIN = """
from pyscheduler import framework as fwk

Grumpy = fwk.plugin("Grumpy")


@Grumpy.filter(events=[fwk.NODE_ADDED])
def refuse_to_think(pod, node):
    if pod.labels.get("mood") == "bad":
        raise RuntimeError("not today")
    return None
"""

_WITH_PLUGIN = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
profiles:
  - schedulerName: pyscheduler
    plugins:
      multiPoint:
        enabled:
          - name: Grumpy
"""


@pytest.fixture
def grumpy_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler started now finds an installed package with the plugin Grumpy."""
    write_package(tmp_path, plugin="Grumpy", source=_PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.needs("fake_nodes", "installed_plugins", "audit_log", "disposable")
async def test_plugin_that_raises_costs_that_pod_its_attempt(
    provider: Provider, grumpy_plugin: None
) -> None:
    await provider.create_nodes(3)
    await provider.deploy(Release(configuration=_WITH_PLUGIN))
    (replica,) = await provider.replicas()
    await _create(provider, load.pod_manifest("ill-fated", labels={"mood": "bad"}))
    message = await _message_of_waiting(provider, "ill-fated")
    await _create(provider, *(load.pod_manifest(f"other-{index}") for index in range(20)))

    await _others_bound(provider, "ill-fated")

    assert "Grumpy" in message
    assert "not today" in message
    faults = [
        record for record in await replica.log_records() if record.get("msg") == "plugin raised"
    ]
    assert {(fault["plugin"], fault["pod"]) for fault in faults} == {
        ("Grumpy", f"{provider.test_namespace}/ill-fated")
    }
    metrics = await replica.metrics()
    errors = metric(metrics, "scheduler_schedule_attempts_total", result="error")
    assert metric(metrics, "pyscheduler_plugin_faults_total", plugin="Grumpy") == errors > 0
    assert await restarts(provider) == 0
    # The plugin thinks better of it as soon as the pod gives no cause.
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/ill-fated"
    await provider.api.patch(path, {"metadata": {"labels": {"mood": "good"}}})
    await all_bound(provider)
    await assert_bound_once(provider, pods=21)


# -- pods ---------------------------------------------------------------------------------------


def _container(requests: Mapping[str, str]) -> Manifest:
    resources = {"requests": dict(requests)}
    return {"name": "main", "image": "registry.invalid/none", "resources": resources}


def _preferring(requirement: Manifest) -> Manifest:
    term = {"weight": 1, "preference": {"matchExpressions": [requirement]}}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"nodeAffinity": preferred}}


#: pods the API server takes, of which a plugin cannot make sense; and what they are to be told
_ODD: Mapping[str, tuple[Manifest, tuple[str, ...]]] = {
    "claimless": (
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
        ('persistentvolumeclaim "data" not found',),
    ),
    "beyond": (
        {"containers": [_container({"memory": "9223372036854775807"})]},
        ("Insufficient memory",),
    ),
    "numberless": (_preferring({"key": "cores", "operator": "Gt", "values": ["many"]}), ("many",)),
}


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_pod_of_which_a_plugin_cannot_make_sense_waits_and_says_why(
    provider: Provider,
) -> None:
    await provider.create_nodes(3)
    await provider.deploy()
    await _create(
        provider, *(load.pod_manifest(name, spec=spec) for name, (spec, _) in _ODD.items())
    )
    messages = {name: await _message_of_waiting(provider, name) for name in _ODD}
    await _create(provider, load.pod_manifest("plain"))

    await _others_bound(provider, *_ODD)

    for name, (_, words) in _ODD.items():
        assert [word for word in words if word not in messages[name]] == [], messages[name]
    assert await restarts(provider) == 0
    await assert_bound_once(provider, pods=1)


async def _create(provider: Provider, *pods: Manifest) -> None:
    await provider.api.create_all(f"/api/v1/namespaces/{provider.test_namespace}/pods", pods)


async def _message_of_waiting(provider: Provider, name: str) -> str:
    """Returns why the pod waits, once its condition says so."""

    async def message() -> str | None:
        pod = await provider.api.get(f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}")
        for condition in pod["status"].get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition["message"])
        return None

    return await eventually(message, what=f"a condition of {name}", timeout_s=60)


async def _others_bound(provider: Provider, *waiting: str) -> None:
    """All pods have a node, except those, which have none."""

    async def others_bound() -> bool:
        return {
            pod["metadata"]["name"]
            for pod in await provider.pods()
            if not pod["spec"].get("nodeName")
        } == set(waiting)

    await eventually(others_bound, what="all other pods to be bound", timeout_s=60)


# -- kubeconfigs --------------------------------------------------------------------------------


def _credentials(provider: Provider) -> tuple[Manifest, Manifest]:
    """Returns cluster and user of the admin's kubeconfig."""
    document = yaml.safe_load(provider.kubeconfig.read_text())
    return document["clusters"][0]["cluster"], document["users"][0]["user"]


def _with_authority(cluster: Manifest, authority: Path) -> Manifest:
    """Returns the cluster with other certificates to trust."""
    others = {key: value for key, value in cluster.items() if "certificate-authority" not in key}
    return {**others, "certificate-authority": str(authority)}


def _kubeconfig(folder: Path, cluster: Manifest, user: Manifest) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(document))
    return path


async def _service_account(provider: Provider, name: str) -> str:
    """Returns the path of a new account without any permission."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/serviceaccounts"
    await provider.api.create(path, {"metadata": {"name": name}})
    return f"{path}/{name}"


async def _token(provider: Provider, account: str) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str((await provider.api.create(f"{account}/token", request))["status"]["token"])
