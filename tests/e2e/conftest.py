"""The cluster that the end-to-end tests run on, chosen with `--provider` or `$PROVIDER`.

A test asks for the fixture `provider` and says with `@pytest.mark.needs(...)` which capabilities
it uses; on a provider without them it is skipped, with the reason. The cluster is started once and
emptied after each test. All tests of this folder share one event loop, the one the cluster's
clients live on, and one worker of xdist, because they share the cluster.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncIterator, Generator, Iterable
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.providers.base import Capability, Provider, running

#: Module and class of each provider; imported only when chosen.
_PROVIDERS = {
    "local": ("tests.e2e.providers.local", "LocalProvider"),
    "kind": ("tests.e2e.providers.kind", "KindProvider"),
    "existing": ("tests.e2e.providers.existing", "ExistingProvider"),
}

#: Seconds for one test, the cluster's start included where it is the first. Guessed generously:
#: it is there to end a hang, each wait inside a test has a deadline of its own.
_TIMEOUT_S = 600

_RUNNING = pytest.StashKey[Provider]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    provider = _provider_class(config)
    for item in items:
        if not item.nodeid.startswith("tests/e2e/"):
            continue
        item.add_marker(pytest.mark.xdist_group("e2e"))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        missing = _needs(item) - provider.capabilities
        if missing:
            reason = f"provider {provider.name} cannot: {', '.join(sorted(missing))}"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    """The running cluster; tests ask for `provider`."""
    provider_class = _provider_class(request.config)
    if provider_class.name == "local":
        request.getfixturevalue("control_plane_programs")
    async with running(provider_class()) as provider:
        request.config.stash[_RUNNING] = provider
        yield provider


@pytest_asyncio.fixture(loop_scope="session")
async def provider(cluster: Provider, request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    """The cluster, empty again afterwards."""
    if getattr(request.node, "execution_count", 1) > 1:  # tried once more: begin on a clean slate
        await cluster.reset()
    yield cluster
    await cluster.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report has the ends of the cluster's logs."""
    report = yield
    if report.failed:
        cluster = item.config.stash.get(_RUNNING, None)
        if cluster is not None:
            report.sections.append((f"{cluster.name} cluster", cluster.diagnostics()))
    return report


def _provider_class(config: pytest.Config) -> type[Provider]:
    module, name = _PROVIDERS[config.getoption("provider")]
    provider: type[Provider] = getattr(importlib.import_module(module), name)
    return provider


def _needs(item: pytest.Item) -> frozenset[Capability]:
    """Returns what the test's marks name; an unknown name is an error of the collection."""
    names: Iterable[Any] = (name for marker in item.iter_markers("needs") for name in marker.args)
    return frozenset(Capability(name) for name in names)
