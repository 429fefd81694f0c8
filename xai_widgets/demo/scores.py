"""How good a demo network is: accuracy, intersection over union, or the error of a number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .data import Dataset
from .designs import AnyDesign
from .networks import normalised
from .recipes import Recipe


@torch.no_grad()
def outputs(
    network: nn.Module, images: NDArray[np.uint8], design: AnyDesign, batch: int = 100
) -> NDArray[np.float32]:
    """Return the outputs [N, K] or [N, K, H, W] for uint8 images [N, H, W, 3]."""
    chunks = [
        network(normalised(images[i : i + batch], design)).numpy()
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(chunks)


def probabilities(
    network: nn.Module, images: NDArray[np.uint8], design: AnyDesign, batch: int = 100
) -> NDArray[np.float32]:
    """Return the probabilities [N, K] or [N, K, H, W] of uint8 images [N, H, W, 3]."""
    scores = torch.from_numpy(outputs(network, images, design, batch))
    return np.asarray(scores.softmax(1).numpy())


def accuracy(network: nn.Module, data: Dataset, design: AnyDesign) -> float:
    """Return the share of pictures whose most probable class is their label."""
    predicted = outputs(network, data.images, design).argmax(1)
    return float((predicted == data.labels).mean())


def intersection_over_union(
    network: nn.Module, data: Dataset, design: AnyDesign
) -> dict[str, float]:
    """Return the intersection over union of each class, background included, over all pictures."""
    assert data.segmentation is not None
    predicted = outputs(network, data.images, design, batch=20).argmax(1)
    shared = {}
    for k, name in enumerate(data.class_names):
        found, there = predicted == k, data.segmentation == k
        shared[name] = float((found & there).sum() / max((found | there).sum(), 1))
    return shared


def regression(
    network: nn.Module, data: Dataset, design: AnyDesign, mask: str
) -> tuple[float, float]:
    """Return R^2 and mean absolute error of the share of a picture that a mask covers."""
    predicted = outputs(network, data.images, design)[:, 0].astype(np.float64)
    shares = data.masks[mask].mean((1, 2))
    residual = predicted - shares
    r2 = 1 - float((residual**2).sum() / ((shares - shares.mean()) ** 2).sum())
    return r2, float(np.abs(residual).mean())


def measured(
    network: nn.Module, data: Dataset, design: AnyDesign, recipe: Recipe
) -> Mapping[str, str]:
    """Return how good a network is, as text by name; the first is what counts."""
    if recipe.task == "segmentation":
        each = intersection_over_union(network, data, design)
        mean = float(np.mean(list(each.values())))
        parts = {f"iou_{name}": f"{value:.4f}" for name, value in each.items()}
        return {"mean_iou": f"{mean:.4f}", "mean_iou_n": str(len(data)), **parts}
    if recipe.task == "regression":
        r2, error = regression(network, data, design, recipe.mask)
        return {"r2": f"{r2:.4f}", "mean_absolute_error": f"{error:.5f}", "r2_n": str(len(data))}
    score = accuracy(network, data, design)
    return {"accuracy": f"{score:.4f}", "accuracy_n": str(len(data))}
