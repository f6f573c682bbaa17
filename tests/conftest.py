"""What every test may use; the control plane's programs are made ready before the first test.

Building them takes minutes on a machine that never did, so it happens outside any test's timeout,
and with its progress lines where a person sees them although pytest captures what tests print.
"""

from __future__ import annotations

import os

import pytest

from tests.controlplane.build import (
    PROGRESS_VARIABLE,
    ControlPlaneUnavailableError,
    ensure_binaries,
)

#: Set to 1 where a missing control plane must fail the run instead of skipping tests.
REQUIRE_VARIABLE = "PYSCHEDULER_REQUIRE_CONTROL_PLANE"

_PROVIDERS = ("local", "kind", "existing")
_UNAVAILABLE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--provider",
        choices=_PROVIDERS,
        default=os.environ.get("PROVIDER") or "local",
        help="cluster for the end-to-end tests (default: $PROVIDER or local)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Progress lines of this process and of xdist's workers go to the real standard error."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None or PROGRESS_VARIABLE in os.environ:
        return
    with capture.global_and_fixture_disabled():
        real_stderr = os.dup(2)
    os.environ[PROGRESS_VARIABLE] = f"/proc/{os.getpid()}/fd/{real_stderr}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """The programs are there, if a collected test uses them and they can be had."""
    if session.config.option.collectonly or not _uses_control_plane(session):
        return
    try:
        ensure_binaries()
    except ControlPlaneUnavailableError as error:
        session.config.stash[_UNAVAILABLE] = str(error)


@pytest.fixture(scope="session")
def control_plane_programs(pytestconfig: pytest.Config) -> None:
    """`ControlPlane.start` works; else the test is skipped, or failed where that is asked for."""
    reason = pytestconfig.stash.get(_UNAVAILABLE, None)
    if reason is None:
        return
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _uses_control_plane(session: pytest.Session) -> bool:
    names = {"control_plane_programs"}
    if session.config.getoption("provider") == "local":
        names.add("cluster")
    return any(
        names & set(item.fixturenames)
        for item in session.items
        if isinstance(item, pytest.Function)
    )
