"""What every test shares: no window for Matplotlib, no model hub, no chatter of TensorFlow."""

from __future__ import annotations

import os

import matplotlib

matplotlib.use("agg")
# Inherited by the kernels that the tests start.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
