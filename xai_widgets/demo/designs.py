"""The shapes of the demo networks, and where their weights live, for any framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Design:
    """Shape of one demo network.

    Attributes
    ----------
    n_classes : int
        Number of outputs.
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


_LESIONS = Design(n_classes=2, mean=(0.65, 0.48, 0.39), std=(0.22, 0.20, 0.19))
DESIGNS = {
    "lesions": _LESIONS,
    "lesions-shortcut": _LESIONS,
    "animals": Design(n_classes=5, mean=(0.50, 0.46, 0.38), std=(0.24, 0.22, 0.24)),
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
