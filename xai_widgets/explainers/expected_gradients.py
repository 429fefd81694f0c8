"""Expected gradients: integrated gradients averaged over a background of baselines."""

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
from xai_widgets.explainers.baselines import (
    BACKGROUNDS,
    MAX_BACKGROUND,
    N_NOISE,
    background_values,
    share_equal,
    split_sigma,
)
from xai_widgets.explainers.quadrature import integrate
from xai_widgets.explainers.smoothing import score_of
from xai_widgets.explainers.straight_path import Estimate, StraightPath
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

QUADRATURES = ("monte_carlo", "trapezoid")


@dataclass(frozen=True)
class ExpectedGradients(Explainer):
    """Expected gradients: integrated gradients, averaged over baselines from a background.

    attribution = E[(x - b) * d f(b + alpha (x - b)) / d x] over baselines b and alpha uniform in
    0..1, [H, W, C], by Monte Carlo. The draws are stratified: every baseline comes up equally
    often (but for a remainder), and there is one alpha in each of ``n_samples`` equal parts of
    0..1, in random order. Each sample's own b is in the product.

    With ``quadrature="trapezoid"`` nothing but the baselines is drawn: it is the mean of integrated
    gradients from each of them, ``n_samples`` intervals a path, which the path scrubber takes
    apart step by step. It costs (``n_samples`` + 1) evaluations for every baseline.

    GradientSHAP is the same expectation with normal noise added to the image.

    Diagnostics: as of integrated gradients, ``score_baseline`` being the mean over the baselines
    drawn; ``n_background`` is how many there are.

    References
    ----------
    Erion et al. 2019, arXiv:1906.10670.
    """

    name: ClassVar[str] = "expected_gradients"
    title: ClassVar[str] = "Expected gradients"
    family: ClassVar[str] = "path"
    reference: ClassVar[str] = "Erion et al. 2019, arXiv:1906.10670"

    background: Any = parameter(
        "blur", "The pictures that paths start from: what counts as nothing.", choices=BACKGROUNDS
    )
    n_samples: int = parameter(
        64,
        "How many points are drawn, each on the path from one of the baselines; of the trapezoid, "
        "intervals of every path.",
        minimum=1,
        maximum=2000,
        label="Samples",
    )
    quadrature: str = parameter(
        "monte_carlo",
        "Points drawn on paths drawn, or every path followed in equal steps.",
        choices=QUADRATURES,
    )
    n_baselines: int = parameter(
        0,
        "At most so many baselines, drawn by the seed; 0 takes all there are, up to 64.",
        minimum=0,
        maximum=MAX_BACKGROUND,
        label="Baselines",
    )
    seed: int = parameter(0, "Seed of the draws.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every sample, a forward for the image and each baseline."""
        named = isinstance(self.background, str)
        noise = named and split_sigma(self.background)[0] == "noise"
        n = (self.n_baselines or N_NOISE) if noise else 1
        if self.quadrature == "trapezoid":
            return Cost(n * (self.n_samples + 1), n * (self.n_samples + 1))
        return Cost(self.n_samples + 1 + min(n, self.n_samples), self.n_samples)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over chunks of samples; the draws do not depend on the chunk size."""
        limit = self.n_baselines or None
        baselines = background_values(model, image, self.background, self.seed, limit)
        if self.quadrature == "trapezoid":
            return (yield from _paths(model, image, target, baselines, self.n_samples))
        backend, n = model.backend, self.n_samples
        generator = np.random.default_rng(self.seed)
        drawn = generator.permutation(len(baselines))[np.arange(n) % len(baselines)]
        alphas = (generator.permutation(n) + generator.random(n)) / n
        equal = float(np.mean([share_equal(model, image, one) for one in baselines[:n]]))
        score = score_of(model, image, target)
        used = np.unique(drawn)
        scores = backend.to_numpy(model.target_scores(baselines[used], target))
        of_baseline = dict(zip(used.tolist(), scores.tolist(), strict=True))
        values = backend.asarray(image.values)
        total, done = 0.0, 0
        for start in range(0, n, model.chunk_size):
            chosen = drawn[start : start + model.chunk_size]
            steps = values - backend.asarray(baselines[chosen])
            left = 1 - alphas[start : start + model.chunk_size].reshape(-1, 1, 1, 1)
            gradients = model.gradients(values - backend.asarray(left) * steps, target).values
            total = total + backend.sum(gradients * steps, (0,))
            done += len(chosen)
            mean = backend.to_numpy(total / done)
            score_baseline = float(np.mean([of_baseline[int(i)] for i in drawn[:done]]))
            told = completeness(mean, score, score_baseline)
            told |= {"share_equal_to_baseline": equal, "n_background": len(baselines)}
            attribution = Attribution(mean, score, told)
            if done < n:
                yield Progress(done, n, attribution)
        return attribution


def _paths(
    model: ExplainableModel, image: PreparedImage, target: Target, baselines: Any, n: int
) -> Stream:
    """Follow the path from every baseline in ``n`` steps; each that is done is an estimate."""
    total: Any = 0.0
    scores, shares = [], []
    each, every = n + 1, len(baselines) * (n + 1)
    for number, baseline in enumerate(baselines):
        path = StraightPath(model, target, baseline, image.values)
        estimates = integrate(path, "trapezoid", n, 0.0)
        while True:
            try:
                yield Progress(number * each + next(estimates).done, every)
            except StopIteration as stop:
                estimate: Estimate = stop.value
                break
        total = total + estimate.gradient * path.displacement
        scores.append(estimate.ends[0])
        shares.append(share_equal(model, image, baseline))
        mean = model.backend.to_numpy(total / (number + 1))
        told = completeness(mean, estimate.ends[1], float(np.mean(scores)))
        told |= {
            "share_equal_to_baseline": float(np.mean(shares)),
            "n_background": len(baselines),
        }
        attribution = Attribution(mean, estimate.ends[1], told)
        if number + 1 < len(baselines):
            yield Progress((number + 1) * each, every, attribution)
    return attribution
