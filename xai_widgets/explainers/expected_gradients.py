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
from xai_widgets.explainers.baselines import BACKGROUNDS, N_NOISE, background_values, share_equal
from xai_widgets.explainers.smoothing import score_of
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class ExpectedGradients(Explainer):
    """Expected gradients: integrated gradients, averaged over baselines from a background.

    attribution = E[(x - b) * d f(b + alpha (x - b)) / d x] over baselines b and alpha uniform in
    0..1, [H, W, C], by Monte Carlo. The draws are stratified: every baseline comes up equally
    often (but for a remainder), and there is one alpha in each of ``n_samples`` equal parts of
    0..1, in random order. Each sample's own b is in the product.

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
        "How many points are drawn, each on the path from one of the baselines.",
        minimum=1,
        maximum=2000,
        label="Samples",
    )
    seed: int = parameter(0, "Seed of the draws.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every sample, a forward for the image and each baseline."""
        n = {"noise": N_NOISE}.get(self.background, 1) if isinstance(self.background, str) else 1
        return Cost(self.n_samples + 1 + min(n, self.n_samples), self.n_samples)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over chunks of samples; the draws do not depend on the chunk size."""
        backend, n = model.backend, self.n_samples
        generator = np.random.default_rng(self.seed)
        baselines = background_values(model, image, self.background, self.seed)
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
