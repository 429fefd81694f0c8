"""What every test shares: no window for Matplotlib, no model hub, no chatter of TensorFlow.

Several processes run the tests, a file at a time: its fixtures are made once, and those that share
a JupyterLab stay together.
"""

from __future__ import annotations

import os

import matplotlib
import pytest

matplotlib.use("agg")
# Inherited by the kernels that the tests start.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes have the cores to themselves


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file, and all that open JupyterLab, in one process."""
    for item in items:
        in_lab = item.get_closest_marker("lab") is not None
        item.add_marker(pytest.mark.xdist_group("lab" if in_lab else str(item.path)))
