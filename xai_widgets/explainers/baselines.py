"""What "nothing there" looks like to a model: the start of an integration path."""

from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, near_matches
from xai_widgets.models.base import ExplainableModel, PreparedImage, sentence
from xai_widgets.models.images import DisplayImage

BASELINES = ("black", "white", "grey", "mean", "blur", "zeros")
BLUR_FRACTION = 0.12
"""Standard deviation of the "blur" baseline, as a fraction of the shorter side."""

Values = npt.NDArray[np.float32]


def baseline_values(model: ExplainableModel, image: PreparedImage, baseline: Any) -> Values:
    """Return a baseline as model input, float32 [H, W, C].

    Parameters
    ----------
    baseline
        "black", "white", "grey" (display colours taken through the preprocessing), "mean" (the
        picture's own mean colour), "blur" (the picture blurred with a standard deviation of 12 %
        of its shorter side), "zeros" (the zero tensor: after normalisation not black), or an array
        of the input's shape in the model's value range.

    Raises
    ------
    MethodError
        If the name is unknown or the array has another shape.
    """
    values = image.values
    if not isinstance(baseline, str):
        with sentence(MethodError, "The baseline is no array of numbers"):
            array = np.asarray(baseline, dtype=np.float32)
        if array.shape != values.shape:
            raise MethodError(
                f"The baseline has shape {list(array.shape)}: give the model input's shape, "
                f"{list(values.shape)}."
            )
        if not np.isfinite(array).all():
            raise MethodError("The baseline holds NaN or infinite values: replace them.")
        return array
    if baseline == "zeros":
        return np.zeros_like(values)
    if baseline == "mean":
        return np.broadcast_to(values.mean(axis=(0, 1)), values.shape).astype(np.float32)
    if baseline == "blur":
        from scipy.ndimage import gaussian_filter

        sigma = BLUR_FRACTION * min(values.shape[:2])
        blurred = gaussian_filter(values, (sigma, sigma, 0), mode="nearest")
        return np.asarray(blurred, dtype=np.float32)
    levels = {"black": 0, "white": 255, "grey": 128}
    if baseline not in levels:
        raise MethodError(f"There is no baseline {baseline!r}.{near_matches(baseline, BASELINES)}")
    return colour_values(model, image, levels[baseline])


def colour_values(model: ExplainableModel, image: PreparedImage, level: int) -> Values:
    """Return a picture of one display level 0..255, of the image's size, as model input."""
    flat = np.full_like(image.display.pixels, level)
    return model.preprocess(DisplayImage(flat, "baseline"))[0]


def share_equal(model: ExplainableModel, image: PreparedImage, baseline: Values) -> float:
    """Return the share of pixels within one display level of the baseline, 0..1.

    These get (almost) no attribution, whatever the model does with them.
    """
    span = np.abs(colour_values(model, image, 255) - colour_values(model, image, 0))
    difference = np.abs(image.values - baseline)
    return float((difference <= span / 255.0 * 1.001).all(axis=2).mean())
