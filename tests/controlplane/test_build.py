from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.build import ControlPlaneUnavailableError, ensure_binaries


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Go on the PATH, nothing built before."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYSCHEDULER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def test_without_go_one_line_says_what_to_install() -> None:
    with pytest.raises(
        ControlPlaneUnavailableError, match=r"install Go .* KUBEBUILDER_ASSETS"
    ) as it:
        ensure_binaries()

    assert "\n" not in str(it.value)


def test_assets_are_used_without_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver"):
        (assets / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))

    binaries = ensure_binaries(["etcd", "kube-apiserver"])

    assert binaries["etcd"] == assets / "etcd"


def test_what_the_assets_lack_needs_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    with pytest.raises(ControlPlaneUnavailableError):
        ensure_binaries(["etcd", "kubemark"])
