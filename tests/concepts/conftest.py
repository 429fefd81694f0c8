"""What the tests of concepts share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

WAIT_FOR_THE_DISK = ("test_store_crashes", "test_store_sharing")


@pytest.fixture(autouse=True, scope="module")
def quick_disk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Do not wait for the disk where a test is not about that: on a busy one it takes minutes."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith(WAIT_FOR_THE_DISK):
            patch.setattr(os, "fsync", lambda descriptor: None)
        yield
