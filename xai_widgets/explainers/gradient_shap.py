"""GradientSHAP: expected gradients by random draws, with noise on the image."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    completeness,
    parameter,
)
from xai_widgets.explainers.baselines import BACKGROUNDS, background_values
from xai_widgets.explainers.masking import chunks, whole_score
from xai_widgets.explainers.smoothing import noise_level
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class GradientSHAP(Explainer):
    """GradientSHAP: the mean of (x' - b) * d f(b + alpha (x' - b)) / d x over random draws.

    Each of the samples draws its own baseline b from the background, its own alpha ~ U(0, 1), and
    its own x' = x + noise, and uses all three in the product, [H, W, C], in units of the score. It
    is the Monte-Carlo form of expected gradients, to which noise on the image is added; without
    noise the two have the same expectation.

    Diagnostics: ``convergence_delta`` = sum of the attributions - (f(x) - mean f(b)), where the
    mean is that over the baselines that were drawn; ``convergence_delta_relative``;
    ``score_baseline``, that mean; and ``sum_standard_error``, of the sum of the attributions: a
    delta of this size is chance.

    References
    ----------
    Lundberg and Lee 2017, arXiv:1705.07874; Erion et al. 2021, arXiv:1906.10670.
    """

    name: ClassVar[str] = "gradient_shap"
    title: ClassVar[str] = "GradientSHAP"
    family: ClassVar[str] = "shap"
    reference: ClassVar[str] = "Lundberg and Lee 2017, arXiv:1705.07874"

    background: Any = parameter(
        "blur",
        "The pictures that stand for nothing: each draw takes one.",
        choices=BACKGROUNDS,
    )
    n_samples: int = parameter(
        50, "How many draws are averaged.", minimum=1, maximum=2000, label="Samples"
    )
    noise_level: float = noise_level(0.1)
    seed: int = parameter(0, "Seed of all draws.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every draw, one forward for the score and one for a baseline."""
        return Cost(self.n_samples + 2, self.n_samples)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over chunks of draws; the draws do not depend on the chunk size."""
        yield Progress(0, self.n_samples)
        backend, n = model.backend, self.n_samples
        background = background_values(model, image, self.background, self.seed)
        draws, noise = (np.random.default_rng([self.seed, stream]) for stream in range(2))
        chosen = draws.integers(0, len(background), n)
        alphas = draws.random(n, dtype=np.float32).reshape(-1, 1, 1, 1)
        spread = np.float32(self.noise_level * np.ptp(image.values))
        score = whole_score(model, image.values, target)
        drawn, counts = np.unique(chosen, return_counts=True)
        ends = backend.to_numpy(model.target_scores(background[drawn], target))
        score_baseline = float(np.average(ends.astype(np.float64), weights=counts))
        values, totals = backend.asarray(image.values), np.empty(n)
        total: Any = 0.0
        for start, stop in chunks(n, model.chunk_size):
            origins = backend.asarray(background[chosen[start:stop]])
            shape = (stop - start, *image.values.shape)
            paths = values - origins
            if spread:
                noisy = noise.standard_normal(shape, dtype=np.float32)
                paths = paths + spread * backend.asarray(noisy)
            points = origins + backend.asarray(alphas[start:stop]) * paths
            products = model.gradients(points, target).values * paths
            totals[start:stop] = backend.to_numpy(backend.sum(products, (1, 2, 3)))
            total = total + backend.sum(products, (0,))
            mean = backend.to_numpy(total) / np.float32(stop)
            error = float(totals[:stop].std(ddof=1) / np.sqrt(stop)) if stop > 1 else None
            diagnostics = completeness(mean, score, score_baseline)
            found = Attribution(mean, score, {**diagnostics, "sum_standard_error": error})
            if stop < n:
                yield Progress(stop, n, found)
        return found
