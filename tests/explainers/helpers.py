"""Run one method on one prepared image, and the models that the explainer tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tests.models.nets import SIDE, Linear, convolutional, picture, seeded
from xai_widgets.explainers.run import explain
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.torch_backend import TorchBackend

TORCH = TorchBackend(torch.device("cpu"))

METHODS = ("gradient", "input_x_gradient", "smoothgrad", "integrated_gradients", "grad_cam")
QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"n_samples": 5},
    "integrated_gradients": {"n_steps": 6},
}

NORMALISED = {"size": SIDE, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}


def smooth_model() -> ExplainableModel:
    """Return a network without kinks, so that quadratures converge fast."""
    return load(convolutional(nn.Softplus), preprocessing=NORMALISED)


def linear_model(side: int = 8) -> ExplainableModel:
    return load(seeded(Linear, side), preprocessing={**NORMALISED, "size": side})


def quick(model: Any, method: str, image: Any = None, **options: Any) -> Explanation:
    """Explain with few steps."""
    given = picture() if image is None else image
    return explain(model, given, method, **{**QUICK.get(method, {}), **options})


def chunked(model: ExplainableModel, size: int, monkeypatch: Any) -> None:
    """Make a model compute ``size`` images at a time."""
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: size))


def relative(found: Any, expected: Any) -> float:
    """Return the L1 distance relative to the expected map's L1 norm."""
    expected = np.asarray(expected, dtype=np.float64)
    return float(np.abs(found - expected).sum() / np.abs(expected).sum())


Map = npt.NDArray[np.float32]
