"""The shapes of the demo networks, and where their weights live, for any framework."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Design:
    """Shape of one demo network.

    Attributes
    ----------
    n_classes : int
        Number of outputs: classes, or 1 for a number.
    size : int
        Side of the input, px.
    widths : tuple of int
        Channels of the three stages; the stem has as many as the first.
    stem_stride : int
        2 halves the input at once, 1 keeps small pictures large.
    mean, std : tuple of float
        What the input is normalised with, per RGB channel of values in [0, 1].
    """

    n_classes: int
    size: int = 128
    widths: tuple[int, int, int] = (16, 32, 64)
    stem_stride: int = 2
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class TransformerDesign:
    """Shape of a demo vision transformer.

    Attributes
    ----------
    n_classes : int
        Number of outputs.
    size, patch : int
        Sides of the input and of a patch, px.
    stem : tuple of int
        Channels of the convolutions before the patches; each halves the picture.
    width, hidden : int
        Features of a token, and of the MLPs' inner layer.
    depth, heads : int
        Number of blocks, and of attention heads in each.
    mean, std : tuple of float
        What the input is normalised with, per RGB channel of values in [0, 1].
    """

    n_classes: int
    size: int = 128
    patch: int = 16
    stem: tuple[int, ...] = (32, 64)
    width: int = 96
    hidden: int = 384
    depth: int = 4
    heads: int = 4
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    @property
    def grid(self) -> int:
        """Number of patches along a side."""
        return self.size // self.patch


@dataclass(frozen=True)
class UNetDesign:
    """Shape of a demo segmentation network.

    Attributes
    ----------
    n_classes : int
        Number of outputs per pixel.
    size : int
        Side of the input and of the output, px.
    widths : tuple of int
        Channels at the full, half, quarter and eighth of the resolution.
    mean, std : tuple of float
        What the input is normalised with, per RGB channel of values in [0, 1].
    """

    n_classes: int
    size: int = 128
    widths: tuple[int, int, int, int] = (8, 24, 48, 96)
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)


AnyDesign = Design | TransformerDesign | UNetDesign

_LESIONS = Design(n_classes=2, mean=(0.65, 0.48, 0.39), std=(0.22, 0.20, 0.19))
_ANIMALS = Design(n_classes=5, mean=(0.50, 0.46, 0.38), std=(0.24, 0.22, 0.24))
DESIGNS: dict[str, AnyDesign] = {
    "lesions": _LESIONS,
    "lesions-shortcut": _LESIONS,
    "lesion-area": replace(_LESIONS, n_classes=1),
    "animals": _ANIMALS,
    "animals-vit": TransformerDesign(n_classes=5, mean=_ANIMALS.mean, std=_ANIMALS.std),
    "scenes": UNetDesign(n_classes=6, mean=(0.58, 0.57, 0.53), std=(0.20, 0.21, 0.26)),
    "digits": Design(
        n_classes=10,
        size=32,
        widths=(12, 24, 48),
        stem_stride=1,
        mean=(0.3, 0.3, 0.3),
        std=(0.35, 0.35, 0.35),
    ),
}


def weights_path(name: str) -> Path:
    """Return the file that holds a demo network's weights."""
    return WEIGHTS / f"{name}.safetensors"
