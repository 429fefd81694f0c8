"""Methods that look at the gradient at the image: vanilla, input x gradient, SmoothGrad."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.models.base import ExplainableModel, PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class Gradient(Explainer):
    """Vanilla gradient: d score / d input, [H, W, C].

    How the score would change if a pixel changed a little: sensitivity, not contribution.

    References
    ----------
    Simonyan et al. 2013, arXiv:1312.6034.
    """

    name: ClassVar[str] = "gradient"
    title: ClassVar[str] = "Gradient"
    family: ClassVar[str] = "gradient"
    reference: ClassVar[str] = "Simonyan et al. 2013, arXiv:1312.6034"
    uses_forward_pass: ClassVar[bool] = True

    @property
    def cost(self) -> Cost:
        """One pass each way."""
        return Cost(1, 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Take one backward pass from the retained forward pass."""
        yield Progress(0, 1)
        forward = model.forward_pass(image)
        gradient = model.backend.to_numpy(forward.gradient(target))[0]
        return Attribution(gradient, model.target_score(forward, target))


@dataclass(frozen=True)
class InputXGradient(Explainer):
    """Input times gradient: x * d score / d x, [H, W, C], in units of the score.

    For a network that is linear around the image it distributes the score over the pixels.

    References
    ----------
    Shrikumar et al. 2016, arXiv:1605.01713.
    """

    name: ClassVar[str] = "input_x_gradient"
    title: ClassVar[str] = "Input x gradient"
    family: ClassVar[str] = "gradient"
    reference: ClassVar[str] = "Shrikumar et al. 2016, arXiv:1605.01713"
    uses_forward_pass: ClassVar[bool] = True

    @property
    def cost(self) -> Cost:
        """One pass each way."""
        return Cost(1, 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Multiply the vanilla gradient with the model input."""
        plain = yield from Gradient().stream(model, image, target, layer)
        with np.errstate(invalid="ignore"):  # infinite gradients are refused by explain_stream
            return Attribution(plain.values * image.values, plain.score)


@dataclass(frozen=True)
class SmoothGrad(Explainer):
    """SmoothGrad: the mean gradient over noisy copies of the image, [H, W, C].

    Noise is normal with a standard deviation of ``noise_level`` times the range of the input's
    values, drawn from a generator of its own.

    References
    ----------
    Smilkov et al. 2017, arXiv:1706.03825.
    """

    name: ClassVar[str] = "smoothgrad"
    title: ClassVar[str] = "SmoothGrad"
    family: ClassVar[str] = "gradient"
    reference: ClassVar[str] = "Smilkov et al. 2017, arXiv:1706.03825"

    n_samples: int = parameter(
        25, "How many noisy copies are averaged.", minimum=1, maximum=500, label="Samples"
    )
    noise_level: float = parameter(
        0.15,
        "Standard deviation of the noise, as a share of the range of the input's values.",
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Noise",
    )
    seed: int = parameter(0, "Seed of the noise.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every copy, and one forward for the score."""
        return Cost(self.n_samples + 1, self.n_samples)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over chunks of noisy copies; the noise does not depend on the chunk size."""
        generator = np.random.default_rng(self.seed)
        spread = np.float32(self.noise_level * np.ptp(image.values))
        values = model.backend.asarray(image.values)
        score = float(model.backend.to_numpy(model.target_scores(image.values[None], target))[0])
        total = 0.0
        for start in range(0, self.n_samples, model.chunk_size):
            n = min(model.chunk_size, self.n_samples - start)
            noise = generator.standard_normal((n, *image.values.shape), dtype=np.float32)
            noisy = values + spread * model.backend.asarray(noise)
            total = total + model.gradients(noisy, target, weights=np.ones(n)).values
            mean = Attribution(model.backend.to_numpy(total / (start + n)), score)
            if start + n < self.n_samples:
                yield Progress(start + n, self.n_samples, mean)
        return mean
