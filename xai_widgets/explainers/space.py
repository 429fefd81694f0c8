"""Where an attribution lives: on the pixels, or on the embeddings of a transformer's patches."""

from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError
from xai_widgets.explainers.base import parameter
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel

SPACES = ("pixels", "patches")

Values = npt.NDArray[np.float32]


def space_parameter() -> Any:
    """Return the field that asks where to attribute to."""
    return parameter(
        "pixels",
        "Attribute to the pixels, or to the patch embeddings of a transformer.",
        choices=SPACES,
    )


def patch_layer(model: ExplainableModel, space: str) -> str | None:
    """Return the layer to attribute to: the first with a token per patch; None for the pixels.

    Raises
    ------
    MethodError
        If patches are asked for and the model has none.
    """
    if space == "pixels":
        return None
    reason = model.capabilities.reason(("patches",))
    if reason is not None or model.patch_layer is None:
        told = reason or f"{model.name} has no layer with a token per patch."
        raise MethodError(f"There are no patches to attribute to. {told} Choose space='pixels'.")
    return model.patch_layer


def contributions(
    model: ExplainableModel, layer: str, tokens: Array, size: tuple[int, int]
) -> Values:
    """Sum an attribution [T, D] over each embedding and share it out among the patch's pixels.

    The sum over the pixels is the sum over the patches, so that completeness is kept. CLS and
    registers lie nowhere on the picture; where the patches are embedded they do not depend on it.

    Returns
    -------
    float32 [H, W]
    """
    cells = _on_grid(model, layer, tokens).sum(axis=2, dtype=np.float64)
    rows, columns = (_overlaps(n, side) for n, side in zip(cells.shape, size, strict=True))
    rows, columns = rows / rows.sum(1, keepdims=True), columns / columns.sum(1, keepdims=True)
    return np.asarray(rows.T @ cells @ columns, dtype=np.float32)


def sensitivities(
    model: ExplainableModel, layer: str, tokens: Array, size: tuple[int, int]
) -> Values:
    """Return the length of each embedding's gradient [T, D] at the patch's pixels.

    Single numbers of an embedding mean nothing by themselves and their sum neither, so it is the
    Euclidean norm, which no rotation of the embedding changes.

    Returns
    -------
    float32 [H, W], never negative.
    """
    cells = np.linalg.norm(_on_grid(model, layer, tokens).astype(np.float64), axis=2)
    rows, columns = (_overlaps(n, side) for n, side in zip(cells.shape, size, strict=True))
    return np.asarray((rows / rows.sum(0)).T @ cells @ (columns / columns.sum(0)), dtype=np.float32)


def _on_grid(model: ExplainableModel, layer: str, tokens: Array) -> Values:
    return np.asarray(model.backend.to_numpy(model.feature_map(layer, tokens[None]))[0])


def _overlaps(n_cells: int, n_pixels: int) -> npt.NDArray[np.float64]:
    """Return how much of each pixel lies in each of equally long cells, [n_cells, n_pixels]."""
    edges = np.arange(n_cells + 1) * n_pixels / n_cells
    pixels = np.arange(n_pixels)
    low = np.maximum(edges[:-1, None], pixels[None, :])
    high = np.minimum(edges[1:, None], pixels[None, :] + 1)
    return np.asarray(np.clip(high - low, 0, None), dtype=np.float64)
