from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import structlog

from tests.component.world import World


@pytest.fixture(autouse=True, scope="package")  # others look at what is logged
def _few_log_lines() -> Iterator[None]:
    """A line per pod would cost more than its scheduling."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """A cluster without nodes, pods and scheduler."""
    async with World() as world:
        yield world
