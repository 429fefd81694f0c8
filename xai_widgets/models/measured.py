"""Preprocessing by a user's own callable, with its mapping to display pixels measured."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from xai_widgets.errors import PreprocessingError, sentence
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.preprocessing import Placement, Values

FILTER_REACH = 3
"""So many cells from a border of the picture, resampling filters (Lanczos) bend the ramp."""


DECLARED = (
    "size",
    "resize_size",
    "crop_size",
    "crop_pct",
    "mean",
    "std",
    "image_mean",
    "image_std",
    "rescale_factor",
    "do_normalize",
    "do_center_crop",
)
"""What torchvision's presets and transformers' image processors say of themselves."""


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

    def __eq__(self, other: object) -> bool:
        """Be equal where the callable is the same object."""
        return isinstance(other, MeasuredPreprocessing) and self._function is other._function

    def __hash__(self) -> int:
        """Hash by the callable's identity."""
        return hash(id(self._function))

    def describe(self) -> dict[str, Any]:
        """Return what is known of the callable, for provenance."""
        written = " ".join(repr(self._function).split())[:2000]
        declared = {
            name: _plain(getattr(self._function, name))
            for name in DECLARED
            if hasattr(self._function, name)
        }
        return {"kind": "callable", "callable": written, "declared": declared}

    def _apply(self, picture: Image.Image) -> Values:
        with sentence(PreprocessingError, "The preprocessing function cannot take a picture"):
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
        across = np.linspace(0, 255, width) + _dither(height)[:, None]
        down = np.linspace(0, 255, height)[:, None] + _dither(width)
        x, placed_width = _fit(_mean(self._levels(across, black, span), 0), width)
        y, placed_height = _fit(_mean(self._levels(down, black, span), 1), height)
        return Placement(x, y, placed_width, placed_height)

    def _levels(self, ramp: Any, black: Values, span: Values) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            levels = (self._apply(_picture(ramp)) - black) / span
        levels[~np.isfinite(levels)] = 0.0
        seen = span != 0
        if not seen.any():
            raise PreprocessingError(
                "The preprocessing function gives black and white pictures the same values: "
                "it must keep the contrast of the picture."
            )
        return np.ma.masked_array(levels, ~seen).mean(axis=2)


def _plain(value: Any) -> Any:
    """Return a setting as a JSON-ready value."""
    if isinstance(value, int | float | str | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value)


def _picture(levels: Any) -> Image.Image:
    grey = np.asarray(np.round(levels).clip(0, 255), dtype=np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))


def _dither(length_px: int) -> Any:
    """Return a wave of one level around 0, so that rounding averages out across a ramp."""
    return 2 * np.abs(np.arange(length_px) * 16 / length_px % 2 - 1) - 1


def _mean(levels: Any, axis: int) -> Any:
    """Average over one axis what shows the picture, and not the padding; 0 where nothing does."""
    return np.ma.filled(levels.mean(axis=axis), 0.0)


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
    if index.size >= 4 * FILTER_REACH:
        index = index[FILTER_REACH:-FILTER_REACH]
    slope, intercept = np.polyfit(index, positions[index], 1)
    return float(intercept + 0.5 - 0.5 * slope), float(slope * n)
