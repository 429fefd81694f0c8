"""Whether a map lies where the answer lies: against a mask of what decides, on the input grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MapError
from xai_widgets.evaluation.base import Case, Mask, Metric
from xai_widgets.evaluation.checks import Check, number
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import placed_share

CONTROLS = ("edges", "random_weights")


def placed(mask: Any, image: PreparedImage) -> Mask:
    """Return a mask of the picture on the model's input grid, bool [h, w].

    Parameters
    ----------
    mask
        [H, W] of the picture, or [h, w] of the input grid; true, or above 0.5, inside.

    Raises
    ------
    MapError
        If it has another shape, is not finite, or holds no pixel (or every one) that the model
        sees.
    """
    array = np.asarray(mask)
    grid = image.values.shape[:2]
    picture = image.display.pixels.shape[:2]
    if array.dtype.kind not in "buif" or array.ndim != 2 or array.shape not in (picture, grid):
        raise MapError(
            f"The mask of {image.display.name!r} has shape {list(array.shape)}: give "
            f"{list(picture)}, the picture's, or {list(grid)}, the model input's."
        )
    if not np.isfinite(array).all():
        raise MapError(f"The mask of {image.display.name!r} holds NaN or infinite values.")
    inside = array > 0.5 if array.dtype.kind == "f" else array > 0
    if array.shape == picture:
        inside = placed_share(inside, image.placement, (grid[0], grid[1])) > 0.5
    if not inside.any() or inside.all():
        raise MapError(
            f"The mask of {image.display.name!r} holds {'all' if inside.any() else 'none'} of the "
            "pixels that the model sees: localisation needs an inside and an outside."
        )
    return np.asarray(inside)


def pointing_game(values: npt.ArrayLike, mask: Mask) -> float:
    """Return 1 if the largest value lies inside, else 0; of ties, the share that does."""
    array = np.asarray(values)
    return float(mask[array == array.max()].mean())


def mass_accuracy(values: npt.ArrayLike, mask: Mask) -> float:
    """Return the share of the map's magnitude that lies inside, 0..1."""
    magnitude = np.abs(np.asarray(values, dtype=np.float64))
    return float(magnitude[mask].sum() / magnitude.sum())


def mass_density(values: npt.ArrayLike, mask: Mask) -> float:
    """Return the share inside, divided by the mask's share of the picture; 1 is chance."""
    return mass_accuracy(values, mask) / float(mask.mean())


def rank_accuracy(values: npt.ArrayLike, mask: Mask) -> float:
    """Return the share of the K largest values that lie inside, K the size of the mask.

    Values that tie for the last places count with the share of them that lies inside, which is
    what a random choice among them gives on average.
    """
    return _hits(values, mask, int(mask.sum())) / float(mask.sum())


def top_area_iou(values: npt.ArrayLike, mask: Mask, share: float | None = None) -> float:
    """Return intersection over union of the mask and the map's top area.

    Parameters
    ----------
    share
        Share of the picture that the top area takes; None: as much as the mask.
    """
    size = int(mask.sum()) if share is None else max(1, round(share * mask.size))
    hits = _hits(values, mask, size)
    return hits / (size + float(mask.sum()) - hits)


def _hits(values: npt.ArrayLike, mask: Mask, size: int) -> float:
    """Return how many of the ``size`` largest values lie inside, on average over ties."""
    array = np.asarray(values).ravel()
    inside = mask.ravel()
    last = np.partition(array, array.size - size)[array.size - size]
    above, tied = array > last, array == last
    return float(inside[above].sum() + (size - above.sum()) * inside[tied].mean())


@dataclass(frozen=True)
class _Localisation(Metric):
    """What all of them share: they need a mask, and are controlled by edges and random weights."""

    family: ClassVar[str] = "localisation"
    direction: ClassVar[str] = "higher"
    minimum: ClassVar[float | None] = 0.0
    maximum: ClassVar[float | None] = 1.0
    needs: ClassVar[tuple[str, ...]] = ("mask",)
    controls: ClassVar[tuple[str, ...]] = CONTROLS

    def score(self, case: Case) -> float:
        """Return the score of the standardised map."""
        assert case.mask is not None
        if case.mask.shape != case.judged.shape:
            raise MapError(
                f"The mask is {list(case.mask.shape)} and the standardised map "
                f"{list(case.judged.shape)}: leave the size of the normalisation out."
            )
        return self.of(case.judged, case.mask)

    def of(self, values: npt.ArrayLike, mask: Mask) -> float:
        """Return the score of a map [H, W] for a mask [H, W]."""
        raise NotImplementedError


@dataclass(frozen=True)
class PointingGame(_Localisation):
    """1 if the strongest pixel lies inside the mask, else 0; of ties, the share that does.

    References
    ----------
    Zhang et al. 2018, arXiv:1608.00507.
    """

    name: ClassVar[str] = "pointing_game"
    title: ClassVar[str] = "Pointing game"
    meaning: ClassVar[str] = "the strongest pixel lies inside the mask"
    failing: ClassVar[str] = "a control points inside the mask more often"
    reference: ClassVar[str] = "Zhang et al. 2018, arXiv:1608.00507"

    def of(self, values: npt.ArrayLike, mask: Mask) -> float:
        """Return 1 for a hit."""
        return pointing_game(values, mask)


@dataclass(frozen=True)
class MassAccuracy(_Localisation):
    """Share of the map inside the mask.

    References
    ----------
    Arras et al. 2022, arXiv:2003.07258.
    """

    name: ClassVar[str] = "mass_accuracy"
    title: ClassVar[str] = "Mass accuracy"
    meaning: ClassVar[str] = "most of the map lies inside the mask"
    failing: ClassVar[str] = "more of a control's map lies inside the mask"
    reference: ClassVar[str] = "Arras et al. 2022, arXiv:2003.07258"

    def of(self, values: npt.ArrayLike, mask: Mask) -> float:
        """Return the share."""
        return mass_accuracy(values, mask)


@dataclass(frozen=True)
class MassDensity(_Localisation):
    """Share of the map inside the mask, divided by the mask's share of the picture; 1 is chance.

    References
    ----------
    Theiner et al. 2022, arXiv:2104.14995, weigh by the object's size in the same way.
    """

    name: ClassVar[str] = "mass_density"
    title: ClassVar[str] = "Mass density"
    maximum: ClassVar[float | None] = None
    meaning: ClassVar[str] = "the map is denser inside the mask than by chance, which is 1"
    failing: ClassVar[str] = "a control's map is denser inside the mask"
    reference: ClassVar[str] = "Theiner et al. 2022, arXiv:2104.14995"

    def of(self, values: npt.ArrayLike, mask: Mask) -> float:
        """Return the density."""
        return mass_density(values, mask)

    def bounds(self, case: Case) -> tuple[float | None, float | None]:
        """Return 0 and the density of a map that lies wholly inside."""
        assert case.mask is not None
        return 0.0, float(1 / case.mask.mean())


@dataclass(frozen=True)
class RankAccuracy(_Localisation):
    """Share of the strongest pixels, as many as the mask has, that lie inside it.

    References
    ----------
    Arras et al. 2022, arXiv:2003.07258.
    """

    name: ClassVar[str] = "rank_accuracy"
    title: ClassVar[str] = "Rank accuracy"
    meaning: ClassVar[str] = "the strongest pixels lie inside the mask"
    failing: ClassVar[str] = "more of a control's strongest pixels lie inside the mask"
    reference: ClassVar[str] = "Arras et al. 2022, arXiv:2003.07258"

    def of(self, values: npt.ArrayLike, mask: Mask) -> float:
        """Return the share."""
        return rank_accuracy(values, mask)


@dataclass(frozen=True)
class TopAreaIoU(_Localisation):
    """Intersection over union of the mask and the strongest pixels.

    Attributes
    ----------
    share
        Share of the picture that counts as strongest; None: as much as the mask takes.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391, threshold the map in the same spirit.
    """

    name: ClassVar[str] = "top_area_iou"
    title: ClassVar[str] = "IoU of the top area"
    meaning: ClassVar[str] = "the strongest pixels and the mask cover each other"
    failing: ClassVar[str] = "a control's strongest pixels and the mask cover each other better"
    reference: ClassVar[str] = "Selvaraju et al. 2017, arXiv:1610.02391"
    checks: ClassVar[Mapping[str, Check]] = {"share": number(0, 1, none=True)}

    share: float | None = None

    def of(self, values: npt.ArrayLike, mask: Mask) -> float:
        """Return the IoU."""
        return top_area_iou(values, mask, self.share)
