"""`firing_channels`: which channels of a layer fire in a region of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import LayerError, MethodError, RegionError
from xai_widgets.features.activity import all_maps, with_channels
from xai_widgets.features.settings import count
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.targets import placed_share
from xai_widgets.regions import check_region, region_mask
from xai_widgets.superpixels import segment

Values = npt.NDArray[np.float32]

LEAST_CONTRAST = 0.01
ROUNDING, NEGLIGIBLE, TINY = 1e-4, 1e-6, 1e-30


@dataclass(frozen=True)
class Firing:
    """A channel that fires in a region of a picture.

    Attributes
    ----------
    channel
        From 0.
    inside
        Its mean activation inside of the region.
    outside
        Its mean activation elsewhere in the picture, or over the images given.
    contrast
        (inside - outside) / standard deviation of its activations: 0 is nothing special.
    """

    channel: int
    inside: float
    outside: float
    contrast: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "channel": self.channel,
            "inside": self.inside,
            "outside": self.outside,
            "contrast": self.contrast,
        }


def firing_channels(
    model: Any,
    image: Any,
    layer: str | None,
    region: Mapping[str, Any],
    images: Any = None,
    n: int = 12,
) -> list[Firing]:
    """Return the channels that fire in a region of an image, the most particular ones first.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    image
        The picture.
    layer
        A layer with positions on the picture; None for the recommended one.
    region
        Wire form, in display pixels: ``{"type": "rect", "x": ..., "y": ..., "width": ..., ...}``.
    images
        Compare with the mean over these; else with the rest of the picture.
    n
        How many channels at most; only such as fire more inside than outside.

    Raises
    ------
    XaiError
        If the layer has no positions, or the region does not lie where the model looks.
    """
    loaded, n = load(model), count("n", n)
    name, _ = with_channels(loaded, layer)
    if not loaded.layer(name).spatial:
        raise LayerError(
            f"Layer {name!r} has no positions on the picture: choose an earlier layer for a region."
        )
    prepared = loaded.prepare(image)
    display = prepared.display
    checked = check_region(region)
    if checked is None:
        raise RegionError("Give a region of the picture: a rectangle, a polygon or a mask.")
    mask = region_mask(checked, display, lambda: segment(display))
    maps = all_maps(loaded, name, prepared.values[None])
    share = placed_share(mask, prepared.placement, (maps.shape[1], maps.shape[2]))
    if not share.sum() > 0:
        raise MethodError(
            "The region holds no pixel that the model sees: mark one inside the model's input."
        )
    flat, weights = maps.reshape(-1, maps.shape[-1]), share.reshape(-1)
    inside = weights @ flat / weights.sum()
    if images is None:
        rest = np.clip(1 - weights, 0, 1)
        if not rest.sum() > 0:
            raise MethodError(
                "The region covers the whole picture: give a smaller one, or images= to compare "
                "with."
            )
        outside, spread = rest @ flat / rest.sum(), flat.std(axis=0)
    else:
        outside, spread = _over(loaded, name, ImageSet(images))
    # Whatever the unit of the activations, below this a channel's map is rounding, or next to none.
    reach = np.maximum(np.abs(flat).max(axis=0), np.abs(outside))
    least = np.maximum(ROUNDING * reach, max(NEGLIGIBLE * float(reach.max()), TINY))
    contrast = (inside - outside) / np.maximum(spread, least)
    order = [int(c) for c in np.argsort(-contrast, kind="stable") if contrast[c] > LEAST_CONTRAST]
    return [Firing(c, float(inside[c]), float(outside[c]), float(contrast[c])) for c in order[:n]]


def _over(model: ExplainableModel, layer: str, images: ImageSet) -> tuple[Values, Values]:
    """Return mean and standard deviation [C] of a layer over a set of images."""
    total: Any = 0.0
    squares: Any = 0.0
    positions = 0
    for first in range(0, len(images), model.chunk_size):
        chunk = images[first : first + model.chunk_size]
        values = np.stack([model.prepare(picture).values for picture in chunk])
        flat = all_maps(model, layer, values)
        flat = flat.reshape(-1, flat.shape[-1]).astype(np.float64)
        total, squares = total + flat.sum(axis=0), squares + (flat**2).sum(axis=0)
        positions += len(flat)
    mean = total / positions
    spread = np.sqrt(np.maximum(squares / positions - mean**2, 0))
    return np.asarray(mean, np.float32), np.asarray(spread, np.float32)
