"""Gradients of models with noisy weights: NoiseGrad, and FusionGrad with noisy inputs too."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.smoothing import noise_level, noisy_copies, score_of
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


def weight_noise() -> Any:
    """Return the field that asks how much the weights are changed."""
    return parameter(
        0.2,
        "Standard deviation of the factor, around 1, that each weight is multiplied with.",
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Weight noise",
    )


def noisy_weights(model: ExplainableModel, level: float, generator: np.random.Generator) -> Any:
    """Return a context in which every weight is its own times a draw of N(1, level^2)."""

    def change(_name: str, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        factors = generator.standard_normal(weight.shape, dtype=np.float32)
        return weight * (1 + np.float32(level) * factors)

    return model.changed_weights(change)


@dataclass(frozen=True)
class NoiseGrad(Explainer):
    """NoiseGrad: the mean gradient over models with noisy weights, [H, W, C].

    Each model is the original with every weight multiplied by a draw of N(1, ``weight_noise``^2);
    the noise is never added up. SmoothGrad asks for neighbours of the image, this for neighbours
    of the model.

    The user's own weights are in place whenever a step is over, cancelled or not.

    References
    ----------
    Bykov et al. 2022, arXiv:2106.10185.
    """

    name: ClassVar[str] = "noise_grad"
    title: ClassVar[str] = "NoiseGrad"
    family: ClassVar[str] = "noise"
    reference: ClassVar[str] = "Bykov et al. 2022, arXiv:2106.10185"
    needs: ClassVar[tuple[str, ...]] = ("input_gradients", "weights")

    n_weights: int = parameter(
        25,
        "How many models with noisy weights are averaged.",
        minimum=1,
        maximum=500,
        label="Models",
    )
    weight_noise: float = weight_noise()
    seed: int = parameter(0, "Seed of the noise.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every model, and one forward for the score."""
        return Cost(self.n_weights + 1, self.n_weights)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over models, one after the other."""
        fusion = FusionGrad(self.n_weights, 1, self.weight_noise, 0.0, self.seed)
        return fusion.stream(model, image, target, layer)


@dataclass(frozen=True)
class FusionGrad(Explainer):
    """FusionGrad: the mean gradient over models with noisy weights and noisy copies, [H, W, C].

    NoiseGrad and SmoothGrad together: ``n_samples`` noisy copies of the image for each of
    ``n_weights`` models with noisy weights.

    References
    ----------
    Bykov et al. 2022, arXiv:2106.10185.
    """

    name: ClassVar[str] = "fusion_grad"
    title: ClassVar[str] = "FusionGrad"
    family: ClassVar[str] = "noise"
    reference: ClassVar[str] = "Bykov et al. 2022, arXiv:2106.10185"
    needs: ClassVar[tuple[str, ...]] = ("input_gradients", "weights")

    n_weights: int = parameter(
        10,
        "How many models with noisy weights are averaged.",
        minimum=1,
        maximum=500,
        label="Models",
    )
    n_samples: int = parameter(
        10,
        "How many noisy copies of the image each model sees.",
        minimum=1,
        maximum=500,
        label="Samples",
    )
    weight_noise: float = weight_noise()
    noise_level: float = noise_level()
    seed: int = parameter(0, "Seed of the noise.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every copy and model, and one forward for the score."""
        passes = self.n_weights * self.n_samples
        return Cost(passes + 1, passes)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over models; the user's weights are back before each step is reported."""
        generator = np.random.default_rng(self.seed)  # as SmoothGrad's, and one for the weights
        of_weights = np.random.default_rng([self.seed, 1])
        score = score_of(model, image, target)
        total: Array = 0.0
        n = self.n_samples
        for done in range(1, self.n_weights + 1):
            with noisy_weights(model, self.weight_noise, of_weights):
                for noisy in noisy_copies(model, image, n, self.noise_level, generator):
                    total = total + model.gradients(noisy, target, np.ones(len(noisy))).values
            mean = Attribution(model.backend.to_numpy(total / (done * n)), score)
            if done < self.n_weights:
                yield Progress(done * n, self.n_weights * n, mean)
        return mean
