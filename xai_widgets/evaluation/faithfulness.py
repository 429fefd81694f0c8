"""Whether the model uses what a map points at: deletion, insertion, pixel-flipping, infidelity."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.evaluation.base import Case, Metric, Steps
from xai_widgets.evaluation.checks import Check, choice, fill, flag, number, whole
from xai_widgets.evaluation.curves import ORDERS, curve_steps, has_probability
from xai_widgets.explainers.baselines import baseline_values, colour_values
from xai_widgets.explainers.masking import chunks, whole_score

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Curved(Metric):
    """What deletion and insertion share: the parameters of a curve, and its area as the score."""

    family: ClassVar[str] = "faithfulness"
    minimum: ClassVar[float | None] = 0.0
    maximum: ClassVar[float | None] = 1.0
    unit: ClassVar[str] = "probability"
    reference: ClassVar[str] = "Petsiuk et al. 2018, arXiv:1806.07421"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    controls: ClassVar[tuple[str, ...]] = ("random",)
    checks: ClassVar[Mapping[str, Check]] = {
        "n_steps": whole(1),
        "fill": fill,
        "order": choice(ORDERS),
    }

    n_steps: int = 100
    fill: Any = "mean"
    order: str = "signed"

    def steps(self, case: Case) -> Steps:
        """Return the area under the curve."""
        curve = yield from curve_steps(case, self.name, self.n_steps, self.fill, self.order)
        return curve.area

    def bounds(self, case: Case) -> tuple[float | None, float | None]:
        """Return 0 and 1 for probabilities, nothing for scores."""
        assert case.model is not None and case.target is not None
        known = has_probability(case.model, case.target)
        return (self.minimum, self.maximum) if known else (None, None)


@dataclass(frozen=True)
class Deletion(_Curved):
    """Area under the target's probability while pixels are removed, most important first.

    Attributes
    ----------
    n_steps
        Steps from the picture to nothing, with as many pixels each.
    fill
        What removed pixels become: "mean", "blur", "noise", or any other baseline.
    order
        "signed" (evidence for first) or "absolute".

    References
    ----------
    Petsiuk et al. 2018, arXiv:1806.07421.
    """

    name: ClassVar[str] = "deletion"
    title: ClassVar[str] = "Deletion"
    direction: ClassVar[str] = "lower"
    meaning: ClassVar[str] = "without the pixels the map ranks first, the model no longer sees it"
    failing: ClassVar[str] = (
        "the model sees it as long without the pixels the map ranks first as without random ones"
    )


@dataclass(frozen=True)
class Insertion(_Curved):
    """Area under the target's probability while pixels come into a blurred picture.

    Attributes
    ----------
    n_steps, order
        As for `Deletion`.
    fill
        What the picture is before its pixels come.

    References
    ----------
    Petsiuk et al. 2018, arXiv:1806.07421.
    """

    name: ClassVar[str] = "insertion"
    title: ClassVar[str] = "Insertion"
    direction: ClassVar[str] = "higher"
    meaning: ClassVar[str] = "the pixels the map ranks first are enough for the model to see it"
    failing: ClassVar[str] = (
        "random pixels bring the model to see it sooner than those the map ranks first"
    )

    fill: Any = "blur"


@dataclass(frozen=True)
class PixelFlipping(Metric):
    """Mean drop of the target's score while the most important pixels are flipped (AOPC).

    (f(x_0) - f(x_0) + f(x_0) - f(x_1) + ... + f(x_0) - f(x_L)) / (L + 1), scores before any
    softmax.

    Attributes
    ----------
    n_steps
        L.
    share
        Share of the pixels that L steps flip.
    fill
        What flipped pixels become.
    order
        "signed" or "absolute".

    References
    ----------
    Bach et al. 2015, doi:10.1371/journal.pone.0130140; Samek et al. 2017, arXiv:1509.06321.
    """

    name: ClassVar[str] = "pixel_flipping"
    title: ClassVar[str] = "Pixel-flipping"
    family: ClassVar[str] = "faithfulness"
    direction: ClassVar[str] = "higher"
    unit: ClassVar[str] = "score"
    meaning: ClassVar[str] = "the score falls fast when the pixels the map ranks first are flipped"
    failing: ClassVar[str] = "the score falls faster when random pixels are flipped"
    reference: ClassVar[str] = "Samek et al. 2017, arXiv:1509.06321"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    controls: ClassVar[tuple[str, ...]] = ("random",)
    checks: ClassVar[Mapping[str, Check]] = {
        "n_steps": whole(1),
        "share": number(0, 1),
        "fill": fill,
        "order": choice(ORDERS),
    }

    n_steps: int = 30
    share: float = 0.3
    fill: Any = "black"
    order: str = "signed"

    def steps(self, case: Case) -> Steps:
        """Return the mean drop."""
        curve = yield from curve_steps(
            case, "deletion", self.n_steps, self.fill, self.order, False, self.share
        )
        return curve.mean_drop


def infidelity(explained: npt.ArrayLike, drops: npt.ArrayLike, rescale: bool = False) -> float:
    """Return E[(I . attribution - (f(x) - f(x - I)))^2] of pairs of what was said and what was.

    Parameters
    ----------
    explained
        [N]: I . attribution, the drop that the map announces for each perturbation.
    drops
        [N]: f(x) - f(x - I), the drop that came.
    rescale
        First multiply the map by the number that fits best, and divide by E[drop^2]: 0 for a map
        that is right up to its scale, 1 for one that announces nothing.
    """
    said, came = np.asarray(explained, np.float64), np.asarray(drops, np.float64)
    if not rescale:
        return float(np.mean((said - came) ** 2))
    scale = (said * came).sum() / ((said**2).sum() or 1.0)
    return float(np.mean((scale * said - came) ** 2) / (np.mean(came**2) or 1.0))


@dataclass(frozen=True)
class Infidelity(Metric):
    """E[(I . attribution - (f(x) - f(x - I)))^2] over perturbations I, up to the map's scale.

    A gradient is multiplied with I itself; a map in units of the score (integrated gradients,
    Shapley values) already is, and is summed over what I touches.

    Attributes
    ----------
    perturbation
        "square": a square of ``size`` of the shorter side takes its values from the fill-in.
        "noise": I ~ N(0, (``size`` x the range from black to white)^2) on every value.
    n_samples
        How many perturbations; chunked through the model.
    size
        Side of the square, or standard deviation of the noise, as a share.
    fill
        What the squares are filled with.
    rescale
        Whether the map is judged up to its scale, in 0..1; see `infidelity`. A class activation map
        has no unit, and in the published form (False, in squared units of the score) only shows
        that.

    References
    ----------
    Yeh et al. 2019, arXiv:1901.09392.
    """

    name: ClassVar[str] = "infidelity"
    title: ClassVar[str] = "Infidelity"
    family: ClassVar[str] = "faithfulness"
    direction: ClassVar[str] = "lower"
    minimum: ClassVar[float | None] = 0.0
    maximum: ClassVar[float | None] = 1.0
    meaning: ClassVar[str] = "the map announces by how much the score falls where pixels change"
    failing: ClassVar[str] = "a map of zeros announces changes of the score better than this one"
    reference: ClassVar[str] = "Yeh et al. 2019, arXiv:1901.09392"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    controls: ClassVar[tuple[str, ...]] = ("zero",)
    checks: ClassVar[Mapping[str, Check]] = {
        "perturbation": choice(("square", "noise")),
        "n_samples": whole(1),
        "size": number(0, 1),
        "fill": fill,
        "rescale": flag,
    }

    perturbation: str = "square"
    n_samples: int = 64
    size: float = 0.15
    fill: Any = "mean"
    rescale: bool = True

    def steps(self, case: Case) -> Steps:
        """Return the mean squared error; the drops hold for all maps of an image."""
        assert case.model is not None and case.target is not None
        key = (id(self), case.target, case.seed)
        if key not in case.shared:
            whole = whole_score(case.model, case.image.values, case.target)
            found = []
            for removed, _ in self._perturbations(case):
                left = case.model.backend.asarray(case.image.values - removed)
                scores = case.model.target_scores(left, case.target)
                found.append(whole - case.model.backend.to_numpy(scores))
                yield
            case.shared[key] = np.concatenate(found)
        return infidelity(self._announced(case), case.shared[key], self.rescale)

    def _announced(self, case: Case) -> npt.NDArray[np.float64]:
        """Return I . attribution of every perturbation, [n_samples]."""
        x = case.image.values
        attribution = case.attribution.reshape(*x.shape[:2], -1)
        if self.perturbation == "square":
            assert case.model is not None
            fill = baseline_values(case.model, case.image, self.fill, case.seed)
            weight = attribution if case.distributes else attribution * (x - fill)
            return _square_sums(weight.sum(axis=2), *self._squares(x.shape, case.seed))
        said = [
            ((touched if case.distributes else removed) * attribution).sum(axis=(1, 2, 3))
            for removed, touched in self._perturbations(case)
        ]
        return np.concatenate(said).astype(np.float64)

    def _perturbations(self, case: Case) -> Iterator[tuple[Floats, Floats]]:
        """Yield what is taken away, I, and its share of x - fill, [n, H, W, C or 1] each."""
        assert case.model is not None
        model, x = case.model, case.image.values
        fill = baseline_values(model, case.image, self.fill, case.seed)
        rng = np.random.default_rng(case.seed)
        span = colour_values(model, case.image, 255) - colour_values(model, case.image, 0)
        tops, lefts, side = self._squares(x.shape, case.seed)
        for start, stop in chunks(self.n_samples, model.chunk_size):
            if self.perturbation == "noise":
                drawn = rng.standard_normal((stop - start, *x.shape), dtype=np.float32)
                removed = drawn * np.float32(self.size) * span
                difference = np.where(x == fill, np.float32(np.inf), x - fill)
                yield removed, np.asarray(removed / difference, dtype=np.float32)
                continue
            masks = np.zeros((stop - start, *x.shape[:2], 1), dtype=np.float32)
            for mask, top, left in zip(masks, tops[start:stop], lefts[start:stop], strict=True):
                mask[top : top + side, left : left + side] = 1
            yield masks * (x - fill), masks

    def _squares(self, shape: tuple[int, ...], seed: int) -> tuple[Positions, Positions, int]:
        """Return the upper left corners of the squares, and their side."""
        side = max(1, round(self.size * min(shape[:2])))
        rng = np.random.default_rng(seed)
        tops = rng.integers(0, shape[0] - side + 1, self.n_samples)
        return tops, rng.integers(0, shape[1] - side + 1, self.n_samples), side

    def bounds(self, case: Case) -> tuple[float | None, float | None]:
        """Return 0 and, up to scale, 1."""
        return 0.0, 1.0 if self.rescale else None


def _square_sums(
    values: npt.ArrayLike, tops: Positions, lefts: Positions, side: int
) -> npt.NDArray[np.float64]:
    """Return the sums of values [H, W] in squares, from one table of sums."""
    sums = np.pad(np.asarray(values, np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    bottoms, rights = tops + side, lefts + side
    outer, inner = sums[bottoms, rights], sums[tops, lefts]
    return np.asarray(outer - sums[tops, rights] - sums[bottoms, lefts] + inner)
