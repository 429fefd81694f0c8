"""What every test shares: Matplotlib draws without a window, and no model hub is asked."""

from __future__ import annotations

import os

import matplotlib

matplotlib.use("agg")
# Inherited by the kernels that the tests start.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
