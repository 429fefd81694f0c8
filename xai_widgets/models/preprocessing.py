"""From a display image to a model input, keeping the mapping between the two."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from xai_widgets.errors import PreprocessingError, near_matches
from xai_widgets.models.images import DisplayImage, Pixels

Values = npt.NDArray[np.float32]
Resize = Literal["stretch", "crop", "pad"]


@dataclass(frozen=True)
class Placement:
    """The rectangle that the model's input grid covers on the display image, in its pixels.

    It lies inside the picture where preprocessing crops, and exceeds it where it pads.
    """

    x: float
    y: float
    width: float
    height: float

    def to_dict(self) -> dict[str, float]:
        """Return x, y, width and height."""
        return asdict(self)


@runtime_checkable
class Preprocess(Protocol):
    """What every kind of preprocessing offers."""

    def __call__(self, image: DisplayImage) -> tuple[Values, Placement]:
        """Return the model input float32 [H, W, C] and where it lies on the picture."""

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values, for provenance."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, scale and normalise: what nearly every vision model does.

    Attributes
    ----------
    size
        (height, width) of the input in pixels, or None for the picture's own size.
    mean, std
        Per channel, applied after scaling to ``value_range``: ``(value - mean) / std``.
    value_range
        What display black and white become before mean and std, (0, 1) or (0, 255) or (-1, 1).
    channels
        3 for RGB, 1 for grey.
    resize
        "stretch" changes the aspect, "crop" fills the input and cuts what is left over, "pad" fits
        the whole picture and fills with black.
    crop_fraction
        With "crop": the share of the shorter side that is kept, 0.875 for 256 -> 224.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    value_range: tuple[float, float] = (0.0, 1.0)
    channels: int = 3
    resize: Resize = "stretch"
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings, each with a sentence."""
        if self.channels not in (1, 3):
            raise PreprocessingError(f"channels is {self.channels}: give 1 (grey) or 3 (RGB).")
        for name in ("mean", "std"):
            values = _numbers(name, getattr(self, name))
            if len(values) not in (1, self.channels):
                raise PreprocessingError(
                    f"{name} has {len(values)} values: give 1 or {self.channels} finite numbers."
                )
            object.__setattr__(self, name, values)
        if any(value <= 0 for value in self.std):
            raise PreprocessingError("std must be positive in every channel.")
        if self.resize not in ("stretch", "crop", "pad"):
            raise PreprocessingError(f"resize is {self.resize!r}: give 'stretch', 'crop' or 'pad'.")
        limits = _numbers("value_range", self.value_range)
        if len(limits) != 2 or limits[0] == limits[1]:
            raise PreprocessingError(
                f"value_range is {self.value_range!r}: give what black and white become, (0, 1)."
            )
        object.__setattr__(self, "value_range", limits)
        if not 0 < _numbers("crop_fraction", self.crop_fraction)[0] <= 1:
            raise PreprocessingError(
                f"crop_fraction is {self.crop_fraction}: give a number above 0 and up to 1."
            )
        if self.size is not None:
            sides = _numbers("size", self.size)
            size = sides * 2 if len(sides) == 1 else sides
            if len(size) != 2 or any(int(side) != side or side < 1 for side in size):
                raise PreprocessingError(f"size is {self.size!r}: give (height, width) in pixels.")
            object.__setattr__(self, "size", (int(size[0]), int(size[1])))

    def __call__(self, image: DisplayImage) -> tuple[Values, Placement]:
        """Return the model input float32 [H, W, C] and where it lies on the picture."""
        placement = self.place(image.height, image.width)
        levels = self._resample(image.pixels, placement)
        low, high = self.value_range
        values = levels * np.float32((high - low) / 255.0) + np.float32(low)
        mean = np.asarray(self.mean, dtype=np.float32)
        std = np.asarray(self.std, dtype=np.float32)
        return np.ascontiguousarray((values - mean) / std, dtype=np.float32), placement

    def place(self, height: int, width: int) -> Placement:
        """Return the rectangle of the input grid on a picture of this size, in its pixels."""
        if self.size is None or self.resize == "stretch":
            return Placement(0.0, 0.0, float(width), float(height))
        rows, columns = self.size
        if self.resize == "pad":
            scale = max(height / rows, width / columns)
        else:
            scale = min(height / rows, width / columns) * self.crop_fraction
        placed_width, placed_height = columns * scale, rows * scale
        return Placement(
            (width - placed_width) / 2, (height - placed_height) / 2, placed_width, placed_height
        )

    def _resample(self, pixels: Pixels, placement: Placement) -> Values:
        """Return the display levels 0..255 on the input grid, float32 [H, W, C]."""
        picture = Image.fromarray(pixels)
        if self.channels == 1:
            picture = picture.convert("L")
        whole = Placement(0.0, 0.0, float(picture.width), float(picture.height))
        fits = self.size in (None, (picture.height, picture.width)) and placement == whole
        if self.size is not None and not fits:
            picture = _resize_box(picture, placement, self.size)
        levels = np.asarray(picture, dtype=np.float32)
        return levels[:, :, None] if levels.ndim == 2 else levels

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values, for provenance."""
        return {
            "kind": "standard",
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items()
            },
        }


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    """Return one number or a flat sequence of them as floats, each finite."""
    try:
        values = np.atleast_1d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.empty((0, 0))
    if values.ndim != 1 or isinstance(given, bool) or not np.isfinite(values).all():
        raise PreprocessingError(f"{name} is {given!r}: give finite numbers.")
    return tuple(values.tolist())


def _resize_box(picture: Image.Image, placement: Placement, size: tuple[int, int]) -> Image.Image:
    """Resample the rectangle of a picture, filling with black what lies outside of it."""
    rows, columns = size
    left, top = placement.x, placement.y
    right, bottom = left + placement.width, top + placement.height
    inside = left >= -1e-6 and top >= -1e-6
    if inside and right <= picture.width + 1e-6 and bottom <= picture.height + 1e-6:
        box = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
        return picture.resize((columns, rows), Image.Resampling.BILINEAR, box=box)
    scale_x, scale_y = columns / placement.width, rows / placement.height
    width = max(1, round(picture.width * scale_x))
    height = max(1, round(picture.height * scale_y))
    canvas = Image.new(picture.mode, (columns, rows))
    canvas.paste(
        picture.resize((width, height), Image.Resampling.BILINEAR),
        (round(-left * scale_x), round(-top * scale_y)),
    )
    return canvas


def preprocessing_from(given: Any) -> Preprocess:
    """Understand preprocessing in any form a user has it.

    Parameters
    ----------
    given
        A `Preprocessing`, a mapping of its fields, or any callable from a PIL image to one
        [C, H, W] or [H, W, C] array: torchvision and timm transforms, transformers' image
        processors, a function of yours.

    Raises
    ------
    PreprocessingError
        If it is none of these, or a mapping has an unknown field.
    """
    from xai_widgets.models.measured import MeasuredPreprocessing

    if isinstance(given, Preprocessing | MeasuredPreprocessing):
        return given
    if isinstance(given, Mapping):
        known = [field.name for field in fields(Preprocessing)]
        for name in given:
            if name not in known:
                raise PreprocessingError(
                    f"Preprocessing has no field {name!r}.{near_matches(str(name), known)}"
                )
        return Preprocessing(**given)
    if callable(given):
        return MeasuredPreprocessing(given)
    raise PreprocessingError(
        f"preprocessing is a {type(given).__name__}: give a Preprocessing, a dict of its fields, "
        "or a callable from a PIL image to an array [C, H, W]."
    )


def preprocessing_text(described: dict[str, Any]) -> str:
    """Say what happens to a picture before the model sees it."""
    if described["kind"] != "standard":
        return "your own function"
    size = described["size"]
    low, high = described["value_range"]
    parts = [
        f"{described['resize']} to {size[0]} x {size[1]}" if size else "own size",
        f"values {low:g} to {high:g}",
    ]
    if any(described["mean"]) or any(value != 1 for value in described["std"]):
        parts.append(f"mean {_shown(described['mean'])}, std {_shown(described['std'])}")
    return ", ".join(parts)


def _shown(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)
