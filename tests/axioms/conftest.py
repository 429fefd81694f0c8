"""Networks drawn at random, and every method in a quick form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import HealthCheck, settings
from torch import nn

from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

SIDE = 16
settings.register_profile(
    "axioms",
    max_examples=6,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("axioms")


def drawn(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network whose weights depend on the seed alone, a little larger than usual."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1.5)
    return module


def plain(activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    """Return two convolutions with pooling, 3 classes."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        activation(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        activation(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def network(seed: int, make: Callable[[], nn.Module] = plain, **options: Any) -> ExplainableModel:
    """Load a drawn network that takes pictures as they are, 0..1."""
    return load(drawn(make, seed), preprocessing={"size": SIDE}, **options)


def drawn_picture(seed: int) -> npt.NDArray[np.uint8]:
    """Return a picture of smooth noise, uint8 [SIDE, SIDE, 3]."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE, 3))
    smooth = gaussian_filter(noise, (1.5, 1.5, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.asarray(smooth * 255, dtype=np.uint8)
