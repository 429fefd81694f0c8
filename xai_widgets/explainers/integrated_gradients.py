"""Integrated gradients, by four quadratures, on pixels or on patches."""

from dataclasses import dataclass
from typing import Any, ClassVar

from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    completeness,
    parameter,
)
from xai_widgets.explainers.baselines import BASELINES, baseline_values, share_equal
from xai_widgets.explainers.quadrature import QUADRATURES, integrate
from xai_widgets.explainers.space import contributions, patch_layer, space_parameter
from xai_widgets.explainers.straight_path import Estimate, StraightPath
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class IntegratedGradients(Explainer):
    """Integrated gradients: (x - b) times the mean gradient between baseline and image.

    attribution = (x - b) * integral over alpha in 0..1 of d f(b + alpha (x - b)) / d x, [H, W, C].

    The attributions sum to f(x) - f(b), which the convergence delta checks. With
    ``space="patches"`` x and b are the embeddings of the patches, an affine function of the
    pixels, so that the same path is straight there too; each patch's sum is shared out among its
    pixels, [H, W].

    Quadratures, all summed on the device:

    - "trapezoid", ``n_steps`` intervals, points nested from coarse to fine;
    - "midpoint" and "gauss_legendre", ``n_steps`` points;
    - "adaptive": the integral over any stretch of the path is exactly the difference of the scores
      at its ends, so each stretch's error e_i is known. The worst stretches are halved until
      sum |e_i| <= ``tolerance`` x |f(x) - f(b)|, with at most ``n_steps + 1`` evaluations.

    Which one: midpoint or the trapezoid. On the trained demo networks at 17, 33 and 65 evaluations
    (benchmarks/quadrature.py) the map's median error against many steps was smallest for these
    two, a tenth apart at most; it was about 1.4 times that for Gauss-Legendre, whose order is lost
    on gradients that jump, and 1.3 to 2.1 times for adaptive, which bounds the error of the sum
    and not of the map. Adaptive is for keeping the gap below a bound without trying numbers of
    steps, and wins only where the path has few kinks; it does not give the better map.

    Diagnostics: ``convergence_delta`` = sum of the attributions - (f(x) - f(b)),
    ``convergence_delta_relative`` to f(x) - f(b) (None where that is zero), ``score_baseline``,
    and ``share_equal_to_baseline``, the share of pixels that get nothing by construction; adaptive
    adds ``evaluations`` and ``tolerance_achieved`` = sum |e_i| / |f(x) - f(b)|.

    References
    ----------
    Sundararajan et al. 2017, arXiv:1703.01365.
    """

    name: ClassVar[str] = "integrated_gradients"
    title: ClassVar[str] = "Integrated gradients"
    family: ClassVar[str] = "path"
    reference: ClassVar[str] = "Sundararajan et al. 2017, arXiv:1703.01365"

    baseline: Any = parameter(
        "black", "The picture the path starts from: what counts as nothing.", choices=BASELINES
    )
    n_steps: int = parameter(
        64,
        "Intervals of the path between baseline and image; of adaptive the most it may use.",
        minimum=1,
        maximum=2048,
        label="Steps",
    )
    quadrature: str = parameter(
        "trapezoid", "How the gradients along the path are weighted.", choices=QUADRATURES
    )
    tolerance: float = parameter(
        0.01,
        "Adaptive stops where the errors of all stretches sum to this share of the score's change.",
        minimum=0.0,
        maximum=1.0,
        step=0.005,
    )
    space: str = space_parameter()
    seed: int = parameter(0, "Seed of the baseline 'noise'.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every point, and forwards for what the points do not tell."""
        n = self.n_steps
        affine = 3 if self.space == "patches" else 0
        if self.quadrature in ("trapezoid", "adaptive"):
            return Cost(n + 1 + affine, n + 1)
        return Cost(n + 2 + affine, n)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Follow the quadrature chunk by chunk; its estimates are partial maps."""
        layer = patch_layer(model, self.space)
        start = baseline_values(model, image, self.baseline, self.seed)
        equal = share_equal(model, image, start)
        path = StraightPath(model, target, start, image.values, layer)
        estimates = integrate(path, self.quadrature, self.n_steps, self.tolerance)
        while True:
            try:
                estimate = next(estimates)
            except StopIteration as stop:
                return _attribution(path, stop.value, equal)
            partial = None if estimate.gradient is None else _attribution(path, estimate, equal)
            yield Progress(estimate.done, estimate.total, partial)


def _attribution(path: StraightPath, estimate: Estimate, equal: float) -> Attribution:
    product = estimate.gradient * path.displacement
    if path.layer is None:
        values = path.model.backend.to_numpy(product)
    else:
        values = contributions(path.model, path.layer, product, path.end.shape[:2])
    told = completeness(values, estimate.ends[1], estimate.ends[0])
    told |= {"share_equal_to_baseline": equal, **estimate.told}
    return Attribution(values, estimate.ends[1], told)
