"""Which layers matter: marks the last one at each resolution, for the layers of any framework."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from xai_widgets.models.architecture import Grid, Layer

MAX_PREFIX = 16
"""More tokens than this before the patches are no CLS and registers."""


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """A layer with what its output says of it.

    Attributes
    ----------
    layer
        Name, kind and shape.
    identity
        Equal for a block and the last layer inside it, which return the same values.
    candidate
        False where the output is no place to look at: a tuple, a padded or an unchanged input.
    """

    layer: Layer
    identity: Hashable
    candidate: bool = True


def marked(
    outputs: Sequence[LayerOutput], input_size: tuple[int, int] | None = None
) -> tuple[Layer, ...]:
    """Mark the last layer at each resolution, and the coarsest of these as recommended.

    A block and the last layer inside it return the same tensor: the shorter name stands for both.
    Where tokens have the last word, as in a vision transformer, the adapter must find out which
    layer's patches the score depends on, and none is recommended here.

    Parameters
    ----------
    outputs
        In the order in which the layers finish.
    input_size
        (height, width) of the image, for the grids of tokens.
    """
    layers = with_grids([output.layer for output in outputs], input_size)
    identities = {output.layer.name: output.identity for output in outputs}
    candidates = {output.layer.name for output in outputs if output.candidate}
    maps = [layer for layer in layers if layer.spatial and layer.name in candidates]
    names: dict[Hashable, str] = {}
    for layer in maps:
        identity = identities[layer.name]
        if len(layer.name) <= len(names.get(identity, layer.name)):
            names[identity] = layer.name
    stages = sorted(maps, key=lambda layer: not _inside_downsampling(layer, maps))
    main = {layer.resolution: names[identities[layer.name]] for layer in stages}
    ends_in_tokens = bool(layers) and len(layers[-1].shape) == 2
    coarsest = min(main, key=lambda size: size[0] * size[1] if size else 0, default=None)
    recommended = None if coarsest is None or ends_in_tokens else main[coarsest]
    return tuple(
        replace(layer, main=layer.name in main.values(), recommended=layer.name == recommended)
        for layer in layers
    )


def with_grids(layers: Sequence[Layer], input_size: tuple[int, int] | None) -> list[Layer]:
    """Give layers of tokens the grid they lie on."""
    maps: list[tuple[int, int]] = []
    found = []
    for layer in layers:
        if len(layer.shape) == 3:
            maps.append((layer.shape[0], layer.shape[1]))
        if len(layer.shape) == 2 and layer.shape[1] > 1:  # [N, C, 1] is what pooling leaves
            layer = replace(layer, grid=token_grid(layer.shape[0], maps, input_size))
        found.append(layer)
    return found


def token_grid(
    n_tokens: int, maps: Sequence[tuple[int, int]], input_size: tuple[int, int] | None
) -> Grid | None:
    """Find out where tokens lie: CLS and registers first, then a patch each, row by row.

    Parameters
    ----------
    n_tokens
        Patches and others together.
    maps
        (rows, columns) of the feature maps before: the last whose positions are all among the
        tokens was cut into them.
    input_size
        (height, width) of the image, whose proportions the grid has where no map fits.
    """
    for rows, columns in reversed(maps):
        if 1 < rows * columns <= n_tokens <= rows * columns + MAX_PREFIX:
            return Grid(rows, columns, n_tokens - rows * columns)
    height, width = input_size or (1, 1)
    for prefix in (0, 1, 5, 2, *range(3, MAX_PREFIX + 1)):
        patches = n_tokens - prefix
        rows = math.isqrt(max(patches, 0) * height // width)
        if rows > 1 and patches % rows == 0 and rows * width == patches // rows * height:
            return Grid(rows, patches // rows, prefix)
    return None


def _is_inside(name: str, block: str) -> bool:
    """Tell whether a layer's path leads through a block: "." in PyTorch, "/" in Keras."""
    return name.startswith((block + ".", block + "/"))


def _inside_downsampling(layer: Layer, maps: Sequence[Layer]) -> bool:
    """Tell whether a layer is the start of a block that ends at another resolution.

    The first convolution of a downsampling block must not pass for the end of the stage before.
    A module that goes through three resolutions or more is the network, not a block.
    """
    for block in maps:
        if _is_inside(layer.name, block.name) and block.resolution != layer.resolution:
            inside = {part.resolution for part in maps if _is_inside(part.name, block.name)}
            if len(inside) <= 2:
                return True
    return False
