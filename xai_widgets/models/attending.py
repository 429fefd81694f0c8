"""What a model's attention covers, judged by its shapes alone: the same in every framework."""

from collections.abc import Sequence

from xai_widgets.models.architecture import Layer
from xai_widgets.models.attention import AttentionLayer
from xai_widgets.models.layers import token_grid

MAX_RANK = 5


def attention_layer(
    name: str, shape: Sequence[int], layers: Sequence[Layer], input_size: tuple[int, int]
) -> AttentionLayer | None:
    """Describe one attention operation by the shape of its probabilities for one image.

    Parameters
    ----------
    name
        Of the module it belongs to.
    shape
        [heads, T, T], or with windows or a batch axis [windows, heads, T, T].
    layers, input_size
        The model's.

    Returns
    -------
    AttentionLayer or None
        None for attention between different numbers of queries and keys.
    """
    if shape[-1] != shape[-2] or not 3 <= len(shape) <= MAX_RANK:
        return None
    windows = 1
    for side in shape[:-3]:
        windows *= int(side)
    heads, tokens = int(shape[-3]), int(shape[-1])
    if windows > 1:
        return AttentionLayer(name, heads, tokens, None, windows)
    same = (y.grid for y in layers if y.grid is not None and y.shape[0] == tokens)
    maps = [(layer.shape[0], layer.shape[1]) for layer in layers if len(layer.shape) == 3]
    grid = next(same, None) or token_grid(tokens, maps, input_size)
    return AttentionLayer(name, heads, tokens, grid, windows)


def attention_lack(name: str, n_seen: int, layers: Sequence[AttentionLayer]) -> str | None:
    """Say why attention does not cover the picture, None where it does.

    Parameters
    ----------
    name
        The model's.
    n_seen
        How many attention operations were found.
    layers
        Those of them where tokens attend to each other.
    """
    if not n_seen:
        return (
            f"{name} has no attention that can be seen: methods that follow attention are for "
            "transformers."
        )
    if not layers:
        return (
            f"The attention of {name} leads from some tokens to other, fewer ones: it cannot be "
            "followed through the layers."
        )
    if any(layer.windows > 1 for layer in layers):
        return (
            f"The attention of {name} stays inside of windows: it cannot be followed over the "
            "whole picture."
        )
    if len(layers) < n_seen or len({layer.tokens for layer in layers}) > 1:
        return (
            f"The attention of {name} changes its tokens from layer to layer: it cannot be "
            "followed through all of them."
        )
    return None
