"""The attention of one picture as the browser gets it: all layers and heads, bounded in size."""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ModelError
from xai_widgets.models.architecture import Grid
from xai_widgets.models.attention import AttentionLayer, AttentionPass
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage

LIMIT_BYTES = 32 * 1024**2
CHUNK_BYTES = 4 * 1024**2
ITEM_BYTES = 2

Halves = npt.NDArray[np.float16]
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ShownLayer:
    """One attention operation whose tokens lie on the picture.

    Attributes
    ----------
    name, heads, grid
        As in `AttentionLayer`, after merging patches where there were too many.
    weights
        float16 [heads + 1, T, T], rows sum to 1; the last one is the rollout up to this layer.
    """

    name: str
    heads: int
    grid: Grid
    weights: Halves

    @property
    def tokens(self) -> int:
        """How many tokens attend."""
        return int(self.weights.shape[1])


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """The attention of every layer and head for one picture.

    Attributes
    ----------
    layers
        In the order of the forward pass.
    outputs
        What the model returned.
    merged
        How many patches a side stand together as one, 1 for the model's own grid.
    hidden
        How many attention operations are left out: inside windows, or without a known grid.
    """

    layers: tuple[ShownLayer, ...]
    outputs: npt.NDArray[np.float32]
    merged: int
    hidden: int

    @property
    def nbytes(self) -> int:
        """Size of all matrices in bytes."""
        return sum(layer.weights.nbytes for layer in self.layers)

    def describe(self) -> list[dict[str, Any]]:
        """Return what the browser needs to know of each layer before its rows arrive."""
        return [
            {
                "name": layer.name,
                "heads": layer.heads,
                "rows": layer.grid.rows,
                "columns": layer.grid.columns,
                "prefix": layer.grid.prefix,
                "tokens": layer.tokens,
            }
            for layer in self.layers
        ]

    def chunks(self, limit_bytes: int = CHUNK_BYTES) -> Iterator[dict[str, Any]]:
        """Yield the payloads of the `rows` messages: rows [n, T] of one layer's matrices."""
        for index, layer in enumerate(self.layers):
            rows = layer.weights.reshape(-1, layer.tokens)
            step = max(1, limit_bytes // (layer.tokens * ITEM_BYTES))
            for start in range(0, len(rows), step):
                yield {"layer": index, "start": start, "array": rows[start : start + step]}


def recorded(
    model: ExplainableModel, image: PreparedImage, limit_bytes: int = LIMIT_BYTES
) -> Generator[tuple[int, int], None, AttentionRecord]:
    """Record the attention of a picture, yielding (done, total) after each layer.

    Raises
    ------
    ModelError
        If the model has no attention that can be seen, or none over the whole picture.
    """
    reason = model.capabilities.reason(("attention",))
    if reason is not None:
        raise ModelError(reason)
    attention = model.attention(image)
    wanted = [
        index
        for index, layer in enumerate(attention.layers)
        if layer.grid is not None and layer.windows == 1
    ]
    if not wanted:
        raise ModelError(_nothing_to_draw(model, attention))
    chosen = [attention.layers[index] for index in wanted]
    merged = _merging(chosen, limit_bytes)
    yield 0, len(wanted)
    shown: list[ShownLayer] = []
    flow: Matrix | None = None
    for index in wanted:
        layer = attention.layers[index]
        assert layer.grid is not None
        weights = np.asarray(model.backend.to_numpy(attention.weights(index)), dtype=np.float32)
        weights = weights.reshape(-1, *weights.shape[-2:])
        grid = layer.grid
        if merged > 1:
            weights, grid = _merge(weights, grid, merged)
        flow = _rolled_out(weights, flow)
        stacked = np.concatenate([weights, flow[None]]).astype(np.float16)
        shown.append(ShownLayer(layer.name, len(weights), grid, stacked))
        yield len(shown), len(wanted)
    hidden = len(attention.layers) - len(wanted)
    return AttentionRecord(tuple(shown), np.asarray(attention.outputs), merged, hidden)


def _nothing_to_draw(model: ExplainableModel, attention: AttentionPass) -> str:
    if not attention.layers:
        return f"{model.name} has no attention that can be seen: choose a vision transformer."
    if any(layer.windows > 1 for layer in attention.layers):
        return (
            f"The attention of {model.name} stays inside small windows: choose a model whose "
            "patches attend to the whole picture."
        )
    return (
        f"Where the tokens of {model.name} lie on the picture is not known: choose a model that "
        "cuts it into a grid of patches."
    )


def _rolled_out(weights: Matrix, before: Matrix | None) -> Matrix:
    """Add a layer to the rollout: half of what a token holds is its own, half is attended to.

    Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928. Where the tokens changed in number,
    it starts anew.
    """
    mixed = 0.5 * (weights.mean(axis=0) + np.eye(weights.shape[1], dtype=np.float32))
    if before is None or before.shape != mixed.shape:
        return np.asarray(mixed, dtype=np.float32)
    return np.asarray(mixed @ before, dtype=np.float32)


def _merging(layers: list[AttentionLayer], limit_bytes: int) -> int:
    """Return how many patches a side must stand as one, so that all matrices fit."""

    def size(factor: int) -> int:
        return sum(
            (layer.heads + 1) * ITEM_BYTES * _merged_tokens(layer, factor) ** 2 for layer in layers
        )

    factor = 1
    while size(factor) > limit_bytes:
        factor += 1
    return factor


def _merged_tokens(layer: AttentionLayer, factor: int) -> int:
    grid = layer.grid
    assert grid is not None
    return grid.prefix + math.ceil(grid.rows / factor) * math.ceil(grid.columns / factor)


def _merge(weights: Matrix, grid: Grid, factor: int) -> tuple[Matrix, Grid]:
    """Let blocks of patches stand as one: the mean of their rows, the sum of their columns."""
    merged = replace(
        grid, rows=math.ceil(grid.rows / factor), columns=math.ceil(grid.columns / factor)
    )
    row, column = np.divmod(np.arange(grid.rows * grid.columns), grid.columns)
    block = grid.prefix + (row // factor) * merged.columns + column // factor
    block = np.concatenate([np.arange(grid.prefix), block])
    tokens = grid.prefix + merged.rows * merged.columns
    belongs = np.zeros((tokens, len(block)), dtype=np.float32)
    belongs[block, np.arange(len(block))] = 1
    mean = belongs / belongs.sum(axis=1, keepdims=True)
    return np.asarray(mean @ weights @ belongs.T, dtype=np.float32), merged
