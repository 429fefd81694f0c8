"""What every test shares: no window for Matplotlib, no model hub, no chatter of TensorFlow.

Several processes run the tests, a file at a time: its fixtures are made once, and those that share
a JupyterLab stay together.
"""

from __future__ import annotations

import os
from typing import Any

import matplotlib
import pytest

matplotlib.use("agg")
# Inherited by the kernels that the tests start.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes have the cores to themselves


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest piece of all, so that no process waits for it in the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/lab/"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files, and one of them all that open JupyterLab."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return "tests/lab" if path.startswith("tests/lab/") else path

    return ByFile(config, log)
