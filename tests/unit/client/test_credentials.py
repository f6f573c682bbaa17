import base64
import json
import os
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyscheduler.client.credentials import USER_AGENT, TlsMaterial, load_credentials
from pyscheduler.clock import FakeClock
from pyscheduler.errors import CredentialsError

AUTHORITY = Path(__file__).parents[2] / "certificates" / "authority.pem"


def kubeconfig(
    *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "lab", "user": "admin"}}],
        "clusters": [{"name": "lab", "cluster": cluster or {"server": "http://lab:6443"}}],
        "users": [{"name": "admin", "user": user or {}}],
    }


def write(path: Path, config: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


async def problem(path: Path, *, context: str | None = None) -> str:
    with pytest.raises(CredentialsError) as raised:
        await load_credentials(path, context=context, environ={})
    assert "\n" not in str(raised.value)
    return str(raised.value)


async def test_token_of_the_kubeconfig_is_sent(tmp_path: Path) -> None:
    path = write(tmp_path / "config", kubeconfig(user={"token": "secret"}))
    credentials = await load_credentials(path, environ={})

    assert credentials.server == "http://lab:6443"
    assert await credentials.headers() == {
        "User-Agent": USER_AGENT,
        "Authorization": "Bearer secret",
    }


async def test_password_is_sent_as_basic(tmp_path: Path) -> None:
    user = {"username": "u", "password": "p"}
    path = write(tmp_path / "config", kubeconfig(user=user))
    headers = await (await load_credentials(path, environ={})).headers()

    assert headers["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


async def test_token_file_is_read_again_each_minute(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    path = write(tmp_path / "config", kubeconfig(user={"tokenFile": "token"}))
    clock = FakeClock()
    credentials = await load_credentials(path, environ={}, clock=clock)
    (tmp_path / "token").write_text("two")
    clock.advance(59)
    before = await credentials.headers()
    clock.advance(1)
    after = await credentials.headers()
    (tmp_path / "token").unlink()
    clock.advance(61)
    gone = await credentials.headers()

    tokens = [headers["Authorization"] for headers in (before, after, gone)]
    assert tokens == ["Bearer one", "Bearer two", "Bearer two"]


async def test_token_is_fetched_anew_after_a_401_but_not_for_each(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    path = write(tmp_path / "config", kubeconfig(user={"tokenFile": "token"}))
    clock = FakeClock()
    credentials = await load_credentials(path, environ={}, clock=clock)
    (tmp_path / "token").write_text("two")
    clock.advance(20)

    assert credentials.expire()
    assert not credentials.expire()
    assert (await credentials.headers())["Authorization"] == "Bearer two"


def in_cluster(folder: Path) -> dict[str, str]:
    return {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "PYSCHEDULER_SERVICE_ACCOUNT_DIR": str(folder),
        "KUBECONFIG": str(folder / "ignored"),
    }


async def test_pod_uses_its_service_account_before_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sa")
    (tmp_path / "ca.crt").write_text("not a certificate")

    with pytest.raises(CredentialsError, match="no valid PEM certificate"):
        await load_credentials(environ=in_cluster(tmp_path))


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        pytest.param("ca.crt", "service account CA: cannot read", id="CA"),
        pytest.param("token", "service account token: cannot read", id="token"),
    ],
)
async def test_pod_without_a_service_account_file_is_told(
    tmp_path: Path, missing: str, expected: str
) -> None:
    for name in {"ca.crt", "token"} - {missing}:
        (tmp_path / name).write_text("x")

    with pytest.raises(CredentialsError, match=expected):
        await load_credentials(environ=in_cluster(tmp_path))


async def test_kubeconfig_variable_comes_before_the_home_folder(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", kubeconfig(cluster={"server": "http://home"}))
    other = write(tmp_path / "other", kubeconfig(cluster={"server": "http://other"}))
    home = await load_credentials(environ={}, home=tmp_path)
    variable = await load_credentials(environ={"KUBECONFIG": str(other)}, home=tmp_path)

    assert (home.server, variable.server) == ("http://home", "http://other")


async def test_files_of_the_variable_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first = write(
        tmp_path / "first", {"users": [{"name": "admin", "user": {"token": "from-first"}}]}
    )
    second = write(tmp_path / "second", kubeconfig(user={"token": "from-second"}))
    paths = os.pathsep.join([str(first), str(tmp_path / "absent"), str(second)])
    credentials = await load_credentials(environ={"KUBECONFIG": paths}, home=tmp_path)

    assert (await credentials.headers())["Authorization"] == "Bearer from-first"


async def test_nothing_at_all_names_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="pass --kubeconfig or set KUBECONFIG"):
        await load_credentials(environ={}, home=tmp_path)


BAD_CONFIGS = [
    pytest.param("a: [", "not valid YAML at line 1", id="no YAML"),
    pytest.param("- 1", "not a kubeconfig", id="a list"),
    pytest.param({"kind": "Pod"}, "kind is 'Pod'", id="another kind"),
    pytest.param({}, "current-context is not set", id="empty"),
    pytest.param({**kubeconfig(), "users": 3}, "users must be a list", id="users no list"),
    pytest.param(
        {**kubeconfig(), "users": [{"user": {}}]}, "users[0].name is missing", id="no name"
    ),
    pytest.param(
        {**kubeconfig(), "current-context": "x"},
        "current-context 'x' is not among the contexts (there are: main)",
        id="no such context",
    ),
    pytest.param(
        {**kubeconfig(), "clusters": []},
        "contexts[main].context.cluster names 'lab', which is not among the clusters",
        id="no such cluster",
    ),
    pytest.param(
        {**kubeconfig(), "users": []},
        "contexts[main].context.user names 'admin', which is not among the users",
        id="no such user",
    ),
    pytest.param(
        kubeconfig(cluster={"x": 1}), "clusters[lab].cluster.server is missing", id="no server"
    ),
    pytest.param(kubeconfig(cluster={"server": "lab:6443"}), "must begin with", id="no scheme"),
    pytest.param(
        kubeconfig(cluster={"server": "https://lab", "certificate-authority": "no.crt"}),
        "clusters[lab].cluster.certificate-authority: cannot read",
        id="CA file missing",
    ),
    pytest.param(
        kubeconfig(cluster={"server": "https://lab", "certificate-authority-data": "%"}),
        "clusters[lab].cluster.certificate-authority-data is not base64",
        id="CA not base64",
    ),
    pytest.param(
        kubeconfig(cluster={"server": "https://lab", "certificate-authority-data": "eA=="}),
        "certificate-authority holds no valid PEM certificate",
        id="CA no certificate",
    ),
    pytest.param(
        kubeconfig(user={"client-certificate-data": "eA=="}),
        "users[admin].user.client-certificate needs client-key as well",
        id="no key",
    ),
    pytest.param(kubeconfig(user={"token": 5}), "users[admin].user.token must be text", id="type"),
    pytest.param(
        kubeconfig(user={"exec": {"apiVersion": "x"}}),
        "users[admin].user.exec.command is missing",
        id="exec without command",
    ),
    pytest.param(
        kubeconfig(user={"exec": {"apiVersion": "x", "command": "no-such-program-here"}}),
        "no-such-program-here",
        id="exec program missing",
    ),
]


@pytest.mark.parametrize(("config", "expected"), BAD_CONFIGS)
async def test_broken_kubeconfig_is_told_by_file_and_field(
    tmp_path: Path, config: object, expected: str
) -> None:
    path = tmp_path / "config"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    told = await problem(path)

    assert expected in told
    assert str(path) in told


async def test_missing_file_is_told(tmp_path: Path) -> None:
    assert "no such kubeconfig file" in await problem(tmp_path / "absent")


async def test_unknown_context_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "config", kubeconfig())

    assert "context 'x' is not among the contexts" in await problem(path, context="x")


async def test_exec_plugin_is_run_when_its_token_expires(tmp_path: Path) -> None:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "fresh", "expirationTimestamp": "2023-11-14T23:13:20Z"},
    }
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\necho >> {tmp_path}/runs\ncat <<EOF\n{json.dumps(answer)}\nEOF\n")
    plugin.chmod(stat.S_IRWXU)
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin"}
    path = write(tmp_path / "config", kubeconfig(user={"exec": spec}))
    clock = FakeClock()
    credentials = await load_credentials(path, environ={}, clock=clock)
    headers = await credentials.headers()
    runs_before = (tmp_path / "runs").read_text().count("\n")
    clock.advance(3600)
    await credentials.headers()

    assert headers["Authorization"] == "Bearer fresh"
    assert runs_before == 1
    assert (tmp_path / "runs").read_text().count("\n") == 2


def test_authorities_of_the_system_are_left_alone_where_the_cluster_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssl, "create_default_context", lambda: pytest.fail("it reads them all"))

    context = TlsMaterial(ca_pem=AUTHORITY.read_bytes()).context(source="test")

    assert len(context.get_ca_certs()) == 1
