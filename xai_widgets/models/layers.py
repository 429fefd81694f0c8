"""Which layers matter: marks the last one at each resolution, for the layers of any framework."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from xai_widgets.models.base import Layer


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


def marked(outputs: Sequence[LayerOutput]) -> tuple[Layer, ...]:
    """Mark the last layer at each resolution, and the coarsest of these as recommended.

    A block and the last layer inside it return the same tensor: the shorter name stands for both.
    Where tokens have the last word, as in a vision transformer, no feature map is recommended.

    Parameters
    ----------
    outputs
        In the order in which the layers finish.
    """
    layers = [output.layer for output in outputs]
    identities = {output.layer.name: output.identity for output in outputs}
    maps = [output.layer for output in outputs if output.candidate and output.layer.spatial]
    names: dict[Hashable, str] = {}
    for layer in maps:
        identity = identities[layer.name]
        if len(layer.name) <= len(names.get(identity, layer.name)):
            names[identity] = layer.name
    stages = sorted(maps, key=lambda layer: not _inside_downsampling(layer, maps))
    main = {layer.shape[:2]: names[identities[layer.name]] for layer in stages}
    ends_in_tokens = bool(layers) and len(layers[-1].shape) == 2
    coarsest = min(main, key=lambda size: size[0] * size[1], default=None)
    recommended = None if coarsest is None or ends_in_tokens else main[coarsest]
    return tuple(
        replace(layer, main=layer.name in main.values(), recommended=layer.name == recommended)
        for layer in layers
    )


def _is_inside(name: str, block: str) -> bool:
    """Tell whether a layer's path leads through a block: "." in PyTorch, "/" in Keras."""
    return name.startswith((block + ".", block + "/"))


def _inside_downsampling(layer: Layer, maps: Sequence[Layer]) -> bool:
    """Tell whether a layer is the start of a block that ends at another resolution.

    The first convolution of a downsampling block must not pass for the end of the stage before.
    A module that goes through three resolutions or more is the network, not a block.
    """
    for block in maps:
        if _is_inside(layer.name, block.name) and block.shape[:2] != layer.shape[:2]:
            inside = {part.shape[:2] for part in maps if _is_inside(part.name, block.name)}
            if len(inside) <= 2:
                return True
    return False
