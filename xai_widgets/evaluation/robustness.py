"""Whether a map stays when the picture hardly changes: max-sensitivity, and three stabilities."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.evaluation.base import Case, Metric, Steps, channel_sum
from xai_widgets.evaluation.checks import Check, number, whole
from xai_widgets.evaluation.normalise import Map
from xai_widgets.evaluation.similarity import spearman
from xai_widgets.explainers.baselines import colour_values
from xai_widgets.models.images import DisplayImage, Pixels
from xai_widgets.models.primitives import PreparedImage


def relative_change(map_: npt.ArrayLike, changed: npt.ArrayLike) -> float:
    """Return ||changed - map|| / ||map||, Frobenius norms."""
    before, after = np.asarray(map_, np.float64), np.asarray(changed, np.float64)
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


@dataclass(frozen=True)
class MaxSensitivity(Metric):
    """Largest relative change of the map over draws within a small ball around the input.

    max over ||d||_inf <= r of ||map(x + d) - map(x)|| / ||map(x)||.

    Attributes
    ----------
    n_samples
        Draws; the maximum grows with them.
    radius
        r, as a share of the range from display black to white.

    References
    ----------
    Yeh et al. 2019, arXiv:1901.09392.
    """

    name: ClassVar[str] = "max_sensitivity"
    title: ClassVar[str] = "Max-sensitivity"
    family: ClassVar[str] = "robustness"
    direction: ClassVar[str] = "lower"
    minimum: ClassVar[float | None] = 0.0
    meaning: ClassVar[str] = "noise too small to see does not change the map"
    judges: ClassVar[bool] = False
    reference: ClassVar[str] = "Yeh et al. 2019, arXiv:1901.09392"
    needs: ClassVar[tuple[str, ...]] = ("model", "method")
    checks: ClassVar[Mapping[str, Check]] = {"n_samples": whole(1), "radius": number(0)}

    n_samples: int = 10
    radius: float = 0.02

    def steps(self, case: Case) -> Steps:
        """Return the largest change."""
        assert case.model is not None and case.explain is not None
        rng = np.random.default_rng(case.seed)
        x = case.image.values
        span = colour_values(case.model, case.image, 255) - colour_values(case.model, case.image, 0)
        largest = 0.0
        for _ in range(self.n_samples):
            noise = rng.uniform(-self.radius, self.radius, x.shape).astype(np.float32) * span
            changed = case.explain(replace(case.image, values=x + noise))
            largest = max(largest, relative_change(case.attribution, changed))
            yield
        return largest


@dataclass(frozen=True)
class _Stability(Metric):
    """Rank correlation of the map with that of the picture after a change nobody minds."""

    family: ClassVar[str] = "robustness"
    direction: ClassVar[str] = "higher"
    minimum: ClassVar[float | None] = -1.0
    maximum: ClassVar[float | None] = 1.0
    reference: ClassVar[str] = "Alvarez-Melis, Jaakkola 2018, arXiv:1806.08049"
    needs: ClassVar[tuple[str, ...]] = ("model", "method")

    def steps(self, case: Case) -> Steps:
        """Return the mean rank correlation over the changes."""
        assert case.model is not None and case.explain is not None
        found = []
        for pixels, shift in self.changes(case):
            display = DisplayImage(pixels, case.image.display.name)
            values, placement = case.model.preprocess(display)
            changed = channel_sum(case.explain(PreparedImage(display, values, placement)))
            cells = _on_grid(shift, case.image)
            found.append(spearman(*_overlap(case.signed, changed, cells)))
            yield
        return float(np.mean(found))

    def changes(self, case: Case) -> list[tuple[Pixels, tuple[int, int]]]:
        """Return changed pictures, and by how many pixels (down, right) each was shifted."""
        raise NotImplementedError


@dataclass(frozen=True)
class ShiftStability(_Stability):
    """Mean rank correlation with the maps of the picture shifted a little, shifted back.

    Attributes
    ----------
    pixels
        By how many display pixels, in each of the four directions; the border is repeated.

    References
    ----------
    Alvarez-Melis, Jaakkola 2018, arXiv:1806.08049, for robustness at large.
    """

    name: ClassVar[str] = "shift_stability"
    title: ClassVar[str] = "Stability under shifts"
    meaning: ClassVar[str] = "the map moves along when the picture is moved by some pixels"
    judges: ClassVar[bool] = False
    checks: ClassVar[Mapping[str, Check]] = {"pixels": whole(1)}

    pixels: int = 2

    def changes(self, case: Case) -> list[tuple[Pixels, tuple[int, int]]]:
        """Return four shifted pictures."""
        n = self.pixels
        return [
            (shifted(case.image.display.pixels, shift), shift)
            for shift in ((n, 0), (-n, 0), (0, n), (0, -n))
        ]


@dataclass(frozen=True)
class NoiseStability(_Stability):
    """Mean rank correlation with the maps of the picture with a little noise.

    Attributes
    ----------
    level
        Standard deviation, in display levels of 0..255.
    n_samples
        Draws.

    References
    ----------
    Alvarez-Melis, Jaakkola 2018, arXiv:1806.08049, for robustness at large.
    """

    name: ClassVar[str] = "noise_stability"
    title: ClassVar[str] = "Stability under noise"
    meaning: ClassVar[str] = "camera noise does not change the map"
    judges: ClassVar[bool] = False
    checks: ClassVar[Mapping[str, Check]] = {"level": number(0), "n_samples": whole(1)}

    level: float = 4.0
    n_samples: int = 4

    def changes(self, case: Case) -> list[tuple[Pixels, tuple[int, int]]]:
        """Return noisy pictures."""
        rng = np.random.default_rng(case.seed)
        pixels = case.image.display.pixels
        return [
            (_to_pixels(pixels + self.level * rng.standard_normal(pixels.shape)), (0, 0))
            for _ in range(self.n_samples)
        ]


@dataclass(frozen=True)
class LightingStability(_Stability):
    """Mean rank correlation with the maps of the picture a little brighter and darker.

    Attributes
    ----------
    factor
        What the display levels are multiplied with, and divided by; above 1.

    References
    ----------
    Alvarez-Melis, Jaakkola 2018, arXiv:1806.08049, for robustness at large.
    """

    name: ClassVar[str] = "lighting_stability"
    title: ClassVar[str] = "Stability under lighting"
    meaning: ClassVar[str] = "a little more or less light does not change the map"
    judges: ClassVar[bool] = False
    checks: ClassVar[Mapping[str, Check]] = {"factor": number(1)}

    factor: float = 1.1

    def changes(self, case: Case) -> list[tuple[Pixels, tuple[int, int]]]:
        """Return a brighter and a darker picture."""
        pixels = case.image.display.pixels
        factors = (self.factor, 1 / self.factor)
        return [(_to_pixels(pixels * factor), (0, 0)) for factor in factors]


def shifted(pixels: Pixels, shift: tuple[int, int]) -> Pixels:
    """Return a picture moved by (down, right) pixels, with its border repeated."""
    down, right = shift
    rows = np.clip(np.arange(pixels.shape[0]) - down, 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(pixels.shape[1]) - right, 0, pixels.shape[1] - 1)
    return np.ascontiguousarray(pixels[rows][:, columns])


def _on_grid(shift: tuple[int, int], image: PreparedImage) -> tuple[int, int]:
    """Return a shift in display pixels as whole pixels of the input grid."""
    rows, columns = image.values.shape[:2]
    place = image.placement
    return round(shift[0] * rows / place.height), round(shift[1] * columns / place.width)


def _overlap(before: Map, after: Map, shift: tuple[int, int]) -> tuple[Map, Map]:
    """Return the parts of two maps that show the same, the second being shifted."""
    for axis, by in enumerate(shift):
        n = before.shape[axis]
        here, there = np.arange(max(0, -by), n - max(0, by)), np.arange(max(0, by), n + min(0, by))
        before, after = before.take(here, axis), after.take(there, axis)
    return before, after


def _to_pixels(values: npt.NDArray[np.floating[Any]]) -> Pixels:
    return np.asarray(values.round().clip(0, 255), dtype=np.uint8)
