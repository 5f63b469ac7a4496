"""Transports without a network, on each loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest


@pytest.fixture(autouse=True)
async def bounded(no_tasks_left: None) -> AsyncIterator[None]:
    """No test hangs, and none leaves a task."""
    with anyio.fail_after(30):
        yield
