"""What "nothing there" looks like to a model: where paths start, and what pictures lack."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, near_matches, sentence
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.models.primitives import PreparedImage

BASELINES = ("black", "white", "grey", "mean", "blur", "noise", "zeros")
BACKGROUNDS = (*BASELINES, "images")
BLUR_FRACTION = 0.12
"""Standard deviation of the "blur" baseline, as a fraction of the shorter side."""
N_NOISE = 16
"""How many pictures of noise the background "noise" holds."""
MAX_BACKGROUND = 64
"""Of more pictures than this a background takes so many, drawn by its seed."""

Values = npt.NDArray[np.float32]
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SIGMA = re.compile(r"(blur|noise) (\d*\.?\d+)")


def baseline_values(
    model: ExplainableModel, image: PreparedImage, baseline: Any, seed: int = 0
) -> Values:
    """Return a baseline as model input, float32 [H, W, C].

    Parameters
    ----------
    baseline
        "black", "white", "grey" and "#rrggbb" (display colours taken through the preprocessing),
        "mean" (the picture's own mean colour), "blur" (the picture blurred with a standard
        deviation of 12 % of its shorter side; "blur 0.05" with one of 5 %), "noise" (every value
        uniform between black and white; "noise 0.2" is the picture with normal noise of 20 % of
        that range, cut off at its ends), "zeros" (the zero tensor: after normalisation not black);
        an array of the input's shape in the model's value range; a picture (a path, a PIL image,
        uint8 pixels); or a data set (a folder, a sequence of pictures, uint8 [N, H, W, 3]), whose
        mean is taken.
    seed
        Of "noise".

    Raises
    ------
    MethodError
        If the name is unknown or the array has another shape.
    ImageError
        If a picture cannot be opened.
    """
    if _is_data_set(baseline):
        pictures = ImageSet(baseline)
        total = np.zeros(image.values.shape, dtype=np.float64)
        for picture in pictures:
            total += _prepared(model, image, picture)
        return np.asarray(total / len(pictures), dtype=np.float32)
    if _is_picture(baseline):
        return _prepared(model, image, baseline)
    if not isinstance(baseline, str):
        return _array(image, baseline)
    return _named(model, image, baseline, np.random.default_rng(seed))


def check_baseline(baseline: Any) -> None:
    """Refuse what is a baseline of no picture at all, before there is a picture.

    Raises
    ------
    MethodError
        If the name is unknown, the file does not exist, or an array is no image or not finite.
    """
    if isinstance(baseline, str):
        name = split_sigma(baseline)[0]
        sized = name != baseline
        known = name in BASELINES and (not sized or name in ("blur", "noise"))
        if not (known or _COLOUR.fullmatch(baseline) or Path(baseline).exists()):
            raise _unknown(baseline)
        return
    if isinstance(baseline, Path):
        if not baseline.exists():
            raise MethodError(f"There is no file {str(baseline)!r} to take a baseline from.")
        return
    if _is_picture(baseline) or _is_data_set(baseline):
        return
    with sentence(MethodError, "The baseline is no array of numbers"):
        array = np.asarray(baseline, dtype=np.float32)
    if array.ndim != 3:
        raise MethodError(
            f"The baseline is {baseline!r}: give a name, a picture, or an array [H, W, C] of the "
            "model input's shape."
            if array.ndim == 0
            else f"The baseline has shape {list(array.shape)}: give the model input's, [H, W, C]."
        )
    if not np.isfinite(array).all():
        raise MethodError("The baseline holds NaN or infinite values: replace them.")


def background_values(
    model: ExplainableModel,
    image: PreparedImage,
    background: Any,
    seed: int = 0,
    limit: int | None = None,
) -> Values:
    """Return a background: one baseline or several, as model input, float32 [B, H, W, C].

    Parameters
    ----------
    background
        What `baseline_values` takes. A data set stays as many baselines as it has pictures (of
        more than 64, 64 drawn by the seed), and so does an array [B, H, W, C] in the model's value
        range; "noise" is 16 pictures, with a sigma or without. "images" stands for the other
        pictures of a widget.
    seed
        Of "noise", and of the draw from a large data set.
    limit
        How many pictures of noise, and at most how many of a data set; None for 16 and 64.

    Raises
    ------
    MethodError, ImageError
        As `baseline_values`; and if "images" is asked for where there are no other pictures.
    """
    generator = np.random.default_rng(seed)
    if _is_data_set(background):
        pictures = ImageSet(background)
        chosen = np.arange(len(pictures))
        most = min(limit or MAX_BACKGROUND, MAX_BACKGROUND)
        if len(pictures) > most:
            chosen = np.sort(generator.choice(len(pictures), most, replace=False))
        return np.stack([_prepared(model, image, pictures[int(i)]) for i in chosen])
    if isinstance(background, str):
        if background == "images":
            raise MethodError(
                "The background 'images' stands for the other pictures of a widget: give a list "
                "of pictures here."
            )
        if split_sigma(background)[0] == "noise":
            n = limit or N_NOISE
            return np.stack([_named(model, image, background, generator) for _ in range(n)])
    elif not _is_picture(background) and _holds_arrays(background):
        return np.stack([_array(image, one) for one in background])[: limit or None]
    return baseline_values(model, image, background, seed)[None]


def holds_several(baseline: Any) -> bool:
    """Tell whether several baselines can be drawn from this one: noise, or a set of pictures."""
    if isinstance(baseline, str) and split_sigma(baseline)[0] == "noise":
        return True
    return _is_data_set(baseline) or (not isinstance(baseline, str) and _holds_arrays(baseline))


def colour_values(model: ExplainableModel, image: PreparedImage, level: Any) -> Values:
    """Return a picture of one display colour (a level 0..255 or three), as model input."""
    flat = np.empty_like(image.display.pixels)
    flat[:] = level
    return model.preprocess(DisplayImage(flat, "baseline"))[0]


def split_sigma(name: str) -> tuple[str, float | None]:
    """Return the name of a baseline without its sigma, and the sigma: "blur 0.05" has one."""
    found = _SIGMA.fullmatch(name)
    return (found[1], float(found[2])) if found else (name, None)


def share_equal(model: ExplainableModel, image: PreparedImage, baseline: Values) -> float:
    """Return the share of pixels within one display level of the baseline, 0..1.

    These get (almost) no attribution, whatever the model does with them.
    """
    span = np.abs(colour_values(model, image, 255) - colour_values(model, image, 0))
    difference = np.abs(image.values - baseline)
    return float((difference <= span / 255.0 * 1.001).all(axis=2).mean())


def _named(
    model: ExplainableModel, image: PreparedImage, name: str, generator: np.random.Generator
) -> Values:
    values = image.values
    if name == "zeros":
        return np.zeros_like(values)
    if name == "mean":
        return np.broadcast_to(values.mean(axis=(0, 1)), values.shape).astype(np.float32)
    kind, sigma = split_sigma(name)
    if kind == "blur":
        from scipy.ndimage import gaussian_filter

        sigma = (BLUR_FRACTION if sigma is None else sigma) * min(values.shape[:2])
        blurred = gaussian_filter(values, (sigma, sigma, 0), mode="nearest")
        return np.asarray(blurred, dtype=np.float32)
    if kind == "noise":
        black, white = colour_values(model, image, 0), colour_values(model, image, 255)
        if sigma is not None:
            drawn = generator.standard_normal(values.shape, dtype=np.float32)
            low, high = np.minimum(black, white), np.maximum(black, white)
            return np.clip(values + np.float32(sigma) * (white - black) * drawn, low, high)
        return black + (white - black) * generator.random(values.shape, dtype=np.float32)
    if _COLOUR.fullmatch(name):
        return colour_values(model, image, [int(name[i : i + 2], 16) for i in (1, 3, 5)])
    levels = {"black": 0, "white": 255, "grey": 128}
    if name not in levels:
        raise _unknown(name)
    return colour_values(model, image, levels[name])


def _unknown(name: str) -> MethodError:
    return MethodError(
        f"There is no baseline {name!r}.{near_matches(name, BASELINES)} A colour is written "
        "#rrggbb, and a file must exist."
    )


def _array(image: PreparedImage, baseline: Any) -> Values:
    """Check a baseline that is given in the model's own value range."""
    with sentence(MethodError, "The baseline is no array of numbers"):
        array = np.asarray(baseline, dtype=np.float32)
    if array.shape != image.values.shape:
        raise MethodError(
            f"The baseline has shape {list(array.shape)}: give the model input's shape, "
            f"{list(image.values.shape)}."
        )
    if not np.isfinite(array).all():
        raise MethodError("The baseline holds NaN or infinite values: replace them.")
    return array


def _prepared(model: ExplainableModel, image: PreparedImage, picture: Any) -> Values:
    """Take a picture through the model's preprocessing."""
    values = model.prepare(picture).values
    if values.shape != image.values.shape:
        raise MethodError(
            f"The baseline becomes a model input of {list(values.shape)}, and the image one of "
            f"{list(image.values.shape)}: give a baseline of the image's size."
        )
    return values


def _is_picture(value: Any) -> bool:
    """Tell a picture from an array in the model's value range."""
    from PIL.Image import Image

    if isinstance(value, str):
        return value not in BACKGROUNDS and not _COLOUR.fullmatch(value) and Path(value).is_file()
    if isinstance(value, Path | Image | DisplayImage | PreparedImage):
        return True
    return getattr(value, "ndim", None) in (2, 3) and _has_pixels(value)


def _is_data_set(value: Any) -> bool:
    """Tell several pictures from one, and from an array in the model's value range."""
    if isinstance(value, str | Path):
        return value not in BACKGROUNDS and Path(value).is_dir()
    if isinstance(value, ImageSet):
        return True
    if isinstance(value, Sequence):
        return len(value) > 0 and all(_is_picture(item) for item in value)
    return getattr(value, "ndim", None) == 4 and _has_pixels(value)


def _holds_arrays(value: Any) -> bool:
    """Tell several arrays in the model's value range from one."""
    if isinstance(value, Sequence):
        return len(value) > 0 and all(getattr(item, "ndim", None) == 3 for item in value)
    return getattr(value, "ndim", None) == 4


def _has_pixels(value: Any) -> bool:
    """Tell an array or tensor of display pixels, uint8, from one of model values."""
    return str(getattr(value, "dtype", "")).endswith("uint8")
