"""`normalise`: bring maps into one form before they are judged, explicitly and one by one.

A map that looks sharp can score worse than noise where formatting is measured instead of the
explanation: a pedestal of 1 % under a map of 20 among 784 pixels moves its entropy from 3.0 to 4.6.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MapError, MetricError, near_matches
from xai_widgets.evaluation.checks import is_number, whole
from xai_widgets.explanation import Explanation
from xai_widgets.maps import upsample
from xai_widgets.models.primitives import PreparedImage

Map = npt.NDArray[np.float32]
Inside = npt.NDArray[np.bool_]

SIGNS = ("absolute", "positive", "negative", "signed")
REDUCTIONS = ("sum", "mean", "max")


@dataclass(frozen=True)
class Normalisation:
    """What is done to a map before it is judged, in this order.

    Attributes
    ----------
    sign
        "absolute" (magnitudes), "positive", "negative" (evidence against, as magnitudes) or
        "signed" (the sign stays, and all below is done to the magnitude).
    channels
        How channels [H, W, C] become one number: "sum", "mean", or "max" (that of the largest
        magnitude). After the sign, so that channels do not cancel in "absolute".
    size
        (height, width) to resize to: a mean where it shrinks, bilinear where it grows. None: stay.
    baseline_quantile
        The pedestal is this quantile of the magnitudes, 0..1; it is subtracted, and what is below
        becomes zero. 0 subtracts the smallest value; None subtracts nothing.
    clip
        Percentile that the largest magnitudes are cut to, above 0, up to 100. None: not at all.
    """

    sign: str = "absolute"
    channels: str = "sum"
    size: tuple[int, int] | None = None
    baseline_quantile: float | None = 0.2
    clip: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("sign", SIGNS), ("channels", REDUCTIONS)):
            if getattr(self, name) not in known:
                raise MetricError(
                    f"{name} cannot be {getattr(self, name)!r}."
                    f"{near_matches(str(getattr(self, name)), known)}"
                )
        quantile, clip = self.baseline_quantile, self.clip
        if quantile is not None and not (is_number(quantile) and 0 <= quantile < 1):
            raise MetricError(
                f"baseline_quantile is {quantile!r}: give a number from 0 to below 1, or None."
            )
        if clip is not None and not (is_number(clip) and 0 < clip <= 100):
            raise MetricError(f"clip is {clip!r}: give a percentile above 0, up to 100, or None.")
        if self.size is not None:
            object.__setattr__(self, "size", _two_sides(self.size))

    def __call__(self, values: npt.ArrayLike, inside: Inside | None = None) -> Map:
        """Return a map [H, W] in 0..1 ("signed": -1..1); a constant one becomes zeros.

        Parameters
        ----------
        values
            [H, W] or [H, W, C].
        inside
            bool [h, w] on the grid of the result: where the picture is. Padding is zero in the
            result and does not count for quantiles. None: everywhere.

        Raises
        ------
        MapError
            If the values are not finite, or of another shape.
        """
        reduced = self.reduced(values)
        where = np.ones(reduced.shape, dtype=bool) if inside is None else inside
        if where.shape != reduced.shape or not where.any():
            raise MapError(
                f"The padding is given for a map of {list(where.shape)} and leaves "
                f"{int(where.sum())} pixels: the map is {list(reduced.shape)}."
            )
        magnitude = np.abs(reduced)
        if self.baseline_quantile is not None:
            pedestal = np.quantile(magnitude[where], self.baseline_quantile)
            magnitude = np.maximum(magnitude - np.float32(pedestal), np.float32(0))
        magnitude = np.where(where, magnitude, np.float32(0))
        top = magnitude.max() if self.clip is None else np.percentile(magnitude[where], self.clip)
        if top > 0:
            magnitude = np.minimum(magnitude / np.float32(top), np.float32(1))
        elif magnitude.max() > 0:  # so few pixels stand out that the percentile is the pedestal
            magnitude = (magnitude > 0).astype(np.float32)
        return np.asarray(np.copysign(magnitude, reduced), dtype=np.float32)

    def reduced(self, values: npt.ArrayLike) -> Map:
        """Return the map [H, W] after sign, channels and size, before anything is subtracted."""
        array = finite(values)
        if array.ndim not in (2, 3):
            raise MapError(f"A map has shape {list(array.shape)}: give [H, W] or [H, W, C].")
        if self.sign == "absolute":
            array = np.abs(array)
        elif self.sign != "signed":
            array = np.maximum(array if self.sign == "positive" else -array, np.float32(0))
        if array.ndim == 3:
            array = _without_channels(array, self.channels)
        return array if self.size is None else upsample(array, self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters, for records and provenance."""
        return {"step": "normalise", **asdict(self)}


def normalise(
    heatmap: Any,
    sign: str = "absolute",
    baseline_quantile: float | None = 0.2,
    clip: float | None = None,
    *,
    channels: str = "sum",
    size: tuple[int, int] | None = None,
) -> Any:
    """Standardise maps: sign, channels, resolution, pedestal, clipping; each sample by itself.

    Parameters
    ----------
    heatmap
        [H, W], [N, H, W], [N, H, W, C], or an `Explanation`, whose padding then does not count.
    sign, baseline_quantile, clip, channels, size
        See `Normalisation`.

    Returns
    -------
    ndarray float32 [H, W] or [N, H, W], or Explanation
        In 0..1, with "signed" in -1..1. A constant map becomes zeros. What was done is recorded in
        an explanation's ``provenance["postprocessing"]``.

    Raises
    ------
    MapError
        If values are NaN or infinite, or the shape is another one.
    MetricError
        If a parameter is out of its range.
    """
    steps = Normalisation(sign, channels, size, baseline_quantile, clip)
    if isinstance(heatmap, Explanation):
        return _explanation(heatmap, steps)
    array = finite(heatmap)
    if array.ndim == 2:
        return steps(array)
    if array.ndim == 3 and array.shape[2] <= 4 < min(array.shape[:2]):
        raise MapError(
            f"Maps of shape {list(array.shape)} look like one map with channels, and [N, H, W] was "
            "expected: add a leading axis, as in maps[None]."
        )
    if array.ndim not in (3, 4) or not len(array):
        raise MapError(
            f"Maps have shape {list(array.shape)}: give [H, W], [N, H, W] or [N, H, W, C]."
        )
    return np.stack([steps(sample) for sample in array])


def finite(values: npt.ArrayLike) -> Map:
    """Return values as float32.

    Raises
    ------
    MapError
        If they are no numbers, empty, NaN or infinite.
    """
    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise MapError(
            f"A map was given as {type(values).__name__}: give numbers, all maps of one shape."
        ) from None
    if array.size == 0:
        raise MapError(f"A map of shape {list(array.shape)} is empty: give one with pixels.")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise MapError(
            f"{bad} of {array.size} values of a map are NaN or infinite: "
            "find out why before judging it."
        )
    return array


def inside_picture(image: PreparedImage, size: Sequence[int]) -> Inside | None:
    """Return where a map of ``size`` shows the picture and not its padding; None: everywhere."""
    place, (rows, columns) = image.placement, size
    y = place.y + (np.arange(rows) + 0.5) * place.height / rows
    x = place.x + (np.arange(columns) + 0.5) * place.width / columns
    within_y = (y >= 0) & (y <= image.display.height)
    within_x = (x >= 0) & (x <= image.display.width)
    inside = within_y[:, None] & within_x[None, :]
    return None if inside.all() else np.asarray(inside)


def _two_sides(size: Any) -> tuple[int, int]:
    """Return (height, width) as plain numbers."""
    try:
        height, width = (whole(1)("size", side) for side in size)
    except (TypeError, ValueError):  # MetricError is a ValueError too
        raise MetricError(
            f"size is {size!r}: give (height, width), two whole numbers of at least 1, or None."
        ) from None
    return height, width


def _explanation(explanation: Explanation, steps: Normalisation) -> Explanation:
    shape = steps.size or explanation.attribution.shape[:2]
    values = steps(explanation.attribution, inside_picture(explanation.image, shape))
    before = explanation.provenance.get("postprocessing", [])
    return replace(
        explanation,
        attribution=values,
        signed=explanation.signed and steps.sign == "signed",
        provenance={**explanation.provenance, "postprocessing": [*before, steps.to_dict()]},
    )


def _without_channels(array: Map, channels: str) -> Map:
    if channels == "max":
        largest = np.abs(array).argmax(axis=2)[:, :, None]
        return np.take_along_axis(array, largest, axis=2)[:, :, 0]
    reduced = array.sum(axis=2) if channels == "sum" else array.mean(axis=2)
    return np.asarray(reduced, dtype=np.float32)
