"""What may be done to a map before it is looked at: explicit steps that the result records."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import DependencyError, MethodError
from xai_widgets.explanation import Explanation
from xai_widgets.models.optional import need
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.superpixels import input_superpixels

Values = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Step(ABC):
    """One step: a frozen dataclass of its parameters, applied to a map."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return the changed map.

        Parameters
        ----------
        values
            float32 [H, W], or [H, W, C] for `Channels`, on the model's input grid.
        image
            What was explained, for steps that look at it.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return name and parameters, for provenance."""
        return {"step": self.name, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Channels(Step):
    """Reduce the colour channels to one number per pixel.

    Attributes
    ----------
    reduce
        "sum" (signed, keeps completeness), "mean" (signed), "max_abs" (the value of largest
        magnitude, signed) or "l2" (the norm, never negative).
    """

    reduce: str = "sum"
    name: ClassVar[str] = "channels"

    def __post_init__(self) -> None:
        _check_choice("reduce", self.reduce, ("sum", "mean", "max_abs", "l2"))

    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return [H, W]; a map without channels stays as it is."""
        if values.ndim == 2:
            return values
        if self.reduce == "max_abs":
            largest = np.abs(values).argmax(axis=2)[:, :, None]
            return np.take_along_axis(values, largest, axis=2)[:, :, 0]
        if self.reduce == "l2":
            return np.asarray(np.linalg.norm(values, axis=2), dtype=np.float32)
        reduced = values.sum(axis=2) if self.reduce == "sum" else values.mean(axis=2)
        return np.asarray(reduced, dtype=np.float32)


@dataclass(frozen=True)
class Sign(Step):
    """Keep evidence for, against, or the magnitude of both.

    Attributes
    ----------
    keep
        "positive", "negative" (as magnitudes) or "absolute".
    """

    keep: str = "positive"
    name: ClassVar[str] = "sign"

    def __post_init__(self) -> None:
        _check_choice("keep", self.keep, ("positive", "negative", "absolute"))

    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return values that are never negative."""
        if self.keep == "absolute":
            return np.abs(values)
        return np.maximum(values if self.keep == "positive" else -values, np.float32(0))


@dataclass(frozen=True)
class Clip(Step):
    """Cut the few strongest values off, so that they do not hide the rest.

    Attributes
    ----------
    percentile
        Magnitudes above this percentile of all magnitudes are set to it, 0 < percentile <= 100.
    """

    percentile: float = 99.0
    name: ClassVar[str] = "clip"

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise MethodError(f"percentile is {self.percentile}: give a number above 0, up to 100.")

    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return values within plus and minus the percentile."""
        limit = np.percentile(np.abs(values), self.percentile)
        return np.asarray(np.clip(values, -limit, limit), dtype=np.float32)


@dataclass(frozen=True)
class GaussianSmoothing(Step):
    """Blur the map, whatever the picture shows.

    Attributes
    ----------
    sigma
        Standard deviation in pixels of the input grid; the sum of the map stays but for the edges.
    """

    sigma: float = 2.0
    name: ClassVar[str] = "gaussian_smoothing"

    def __post_init__(self) -> None:
        _check_positive("sigma", self.sigma)

    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return the blurred map."""
        from scipy.ndimage import gaussian_filter

        return np.asarray(gaussian_filter(values, self.sigma, mode="reflect"), dtype=np.float32)


@dataclass(frozen=True)
class EdgePreservingSmoothing(Step):
    """Blur the map within what looks alike in the picture: OpenCV's guided filter.

    Attributes
    ----------
    radius
        Of the window, in pixels of the input grid.
    epsilon
        Edges whose variance (of colours from 0 to 1) is far above this stay sharp.

    References
    ----------
    He, Sun, Tang 2013, "Guided image filtering", doi:10.1109/TPAMI.2012.213.
    """

    radius: int = 8
    epsilon: float = 1e-3
    name: ClassVar[str] = "edge_preserving_smoothing"

    def __post_init__(self) -> None:
        _check_positive("radius", self.radius)
        _check_positive("epsilon", self.epsilon)

    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return the smoothed map.

        Raises
        ------
        DependencyError
            If OpenCV's contributed modules are not installed.
        """
        cv2 = need("cv2", "Edge-preserving smoothing")
        if not hasattr(cv2, "ximgproc"):
            raise DependencyError(
                "Edge-preserving smoothing needs the contributed modules of OpenCV: replace "
                "opencv-python by opencv-contrib-python-headless."
            )
        # Colours from 0 to 255, and epsilon with them: below some 1e-3 OpenCV 5.0 takes their
        # covariance for singular and returns a plain blur, without saying so.
        guide = picture_on_grid(image, values.shape).astype(np.float32)
        epsilon = self.epsilon * 255.0**2
        smoothed = cv2.ximgproc.guidedFilter(guide, values, int(self.radius), epsilon)
        return np.asarray(smoothed, dtype=np.float32)


@dataclass(frozen=True)
class SuperpixelAverage(Step):
    """Give every superpixel (SLIC) of the picture the mean of the map inside it.

    Attributes
    ----------
    n_segments
        About how many superpixels.
    """

    n_segments: int = 100
    name: ClassVar[str] = "superpixel_average"

    def __post_init__(self) -> None:
        _check_positive("n_segments", self.n_segments)

    def __call__(self, values: Values, image: PreparedImage) -> Values:
        """Return the averaged map; its sum stays the same."""
        labels = input_superpixels(image, int(self.n_segments)).ravel()
        sums = np.bincount(labels, weights=values.ravel().astype(np.float64))
        counts = np.maximum(np.bincount(labels), 1)
        return np.asarray((sums / counts)[labels].reshape(values.shape), dtype=np.float32)


def process(explanation: Explanation, *steps: Step) -> Explanation:
    """Return an explanation whose map went through steps, in this order.

    Parameters
    ----------
    explanation
        Stays as it is.
    steps
        Its channels are summed first, unless `Channels` says otherwise.

    Returns
    -------
    Explanation
        With a map [H, W]; ``provenance["postprocessing"]`` lists the steps with their parameters.

    Raises
    ------
    MethodError
        If something is no step, or `Channels` does not come first.
    """
    values = explanation.attribution
    applied = _ordered(steps, values.ndim == 3)
    for step in applied:
        values = step(values, explanation.image)
    before = explanation.provenance.get("postprocessing", [])
    unsigned = any(isinstance(step, Sign) or step == Channels("l2") for step in applied)
    return replace(
        explanation,
        attribution=values,
        signed=explanation.signed and not unsigned,
        provenance={
            **explanation.provenance,
            "postprocessing": [*before, *(step.to_dict() for step in applied)],
        },
    )


def _ordered(steps: Sequence[Any], has_channels: bool) -> list[Step]:
    for i, step in enumerate(steps):
        if not isinstance(step, Step):
            raise MethodError(
                f"{step!r} is no step: give instances such as Sign('positive') or Clip(99)."
            )
        if isinstance(step, Channels) and i > 0:
            raise MethodError("Channels must be the first step: the others work on one channel.")
    first = [Channels()] if has_channels and not isinstance((*steps, None)[0], Channels) else []
    return [*first, *steps]


def picture_on_grid(image: PreparedImage, shape: tuple[int, ...]) -> Pixels:
    """Return what of the picture the model saw, uint8 [H, W, 3] on its input grid.

    Where preprocessing pads, the padding is black.
    """
    from PIL import Image

    place = image.placement
    picture = Image.fromarray(image.display.pixels)
    scale_x, scale_y = place.width / shape[1], place.height / shape[0]
    affine = (scale_x, 0.0, place.x, 0.0, scale_y, place.y)
    size = (shape[1], shape[0])
    placed = picture.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return np.asarray(placed, dtype=np.uint8)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise MethodError(f"{name} cannot be {value!r}: use one of {', '.join(choices)}.")


def _check_positive(name: str, value: float) -> None:
    if not value > 0 or not np.isfinite(value):
        raise MethodError(f"{name} is {value}: give a number above 0.")
