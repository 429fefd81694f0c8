"""Preprocessing by a user's own callable, with its mapping to display pixels measured."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from xai_widgets.errors import PreprocessingError
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.preprocessing import Placement, Values


class MeasuredPreprocessing:
    """A callable from a PIL image to an array, whose geometry is measured rather than declared.

    Resizing and cropping leave no trace in the array they return, so two ramps are sent through
    the callable for every picture size: their levels tell which display pixel each column and row
    of the input came from.

    Parameters
    ----------
    function
        Takes a PIL image and returns [C, H, W] or [H, W, C], with or without a batch axis; a
        transformers image processor is called with ``images=``. It must be deterministic.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._measure = lru_cache(maxsize=64)(self._measure_uncached)

    def __call__(self, image: DisplayImage) -> tuple[Values, Placement]:
        """Return the model input float32 [H, W, C] and where it lies on the picture."""
        return self._apply(Image.fromarray(image.pixels)), self._measure(image.height, image.width)

    def describe(self) -> dict[str, Any]:
        """Return what is known of the callable, for provenance."""
        return {"kind": "callable", "callable": " ".join(repr(self._function).split())[:2000]}

    def _apply(self, picture: Image.Image) -> Values:
        if hasattr(self._function, "image_mean") or hasattr(self._function, "do_rescale"):
            output = self._function(images=picture, return_tensors="np")["pixel_values"]
        else:
            output = self._function(picture)
        if hasattr(output, "detach"):
            output = output.detach().cpu().float()
        values = np.asarray(output, dtype=np.float32)
        if values.ndim == 4 and values.shape[0] == 1:
            values = values[0]
        if values.ndim == 2:
            values = values[:, :, None]
        if values.ndim == 3 and values.shape[0] in (1, 3):
            values = np.moveaxis(values, 0, 2)
        if values.ndim != 3 or values.shape[2] not in (1, 3):
            raise PreprocessingError(
                f"The preprocessing function returned shape {list(values.shape)}: "
                "expected one image [C, H, W] or [H, W, C] with 1 or 3 channels."
            )
        return np.ascontiguousarray(values)

    def _measure_uncached(self, height: int, width: int) -> Placement:
        black = self._apply(_picture(np.zeros((height, width))))
        white = self._apply(_picture(np.full((height, width), 255.0)))
        span = white - black
        across = np.broadcast_to(np.linspace(0, 255, width), (height, width))
        down = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
        x, placed_width = _fit(self._levels(across, black, span).mean(axis=0), width)
        y, placed_height = _fit(self._levels(down, black, span).mean(axis=1), height)
        return Placement(x, y, placed_width, placed_height)

    def _levels(self, ramp: Any, black: Values, span: Values) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            levels = (self._apply(_picture(ramp)) - black) / span
        levels[~np.isfinite(levels)] = np.nan
        if np.isnan(levels).all():
            raise PreprocessingError(
                "The preprocessing function gives black and white pictures the same values: "
                "it must keep the contrast of the picture."
            )
        filled: Values = np.where(np.isnan(levels), 0.0, levels).mean(axis=2)
        return filled


def _picture(levels: Any) -> Image.Image:
    grey = np.asarray(np.round(levels), dtype=np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))


def _fit(levels: Any, length_px: int) -> tuple[float, float]:
    """Fit where an axis of the input starts on the picture and how many of its pixels it spans."""
    positions = np.asarray(levels, dtype=np.float64) * (length_px - 1)
    n = positions.size
    if n < 3 or length_px < 3:
        return 0.0, float(length_px)
    inside = (positions > 0.02 * length_px) & (positions < 0.98 * (length_px - 1))
    if inside.sum() < 2:
        return 0.0, float(length_px)
    index = np.flatnonzero(inside)
    slope, intercept = np.polyfit(index, positions[index], 1)
    return float(intercept + 0.5 - 0.5 * slope), float(slope * n)
