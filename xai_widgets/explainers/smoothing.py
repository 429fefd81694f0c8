"""Gradients of noisy copies of the image: their mean, their mean square and their variance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.space import patch_layer, sensitivities, space_parameter
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


def noise_level(default: float = 0.15) -> Any:
    """Return the field that asks how much noise is laid on the image."""
    return parameter(
        default,
        "Standard deviation of the noise, as a share of the range of the input's values.",
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Noise",
    )


@dataclass(frozen=True)
class _Noisy(Explainer):
    """What the methods over noisy copies have in common."""

    family: ClassVar[str] = "gradient"

    n_samples: int = parameter(
        25, "How many noisy copies are averaged.", minimum=1, maximum=500, label="Samples"
    )
    noise_level: float = noise_level()
    seed: int = parameter(0, "Seed of the noise.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A pass each way for every copy, and one forward for the score."""
        return Cost(self.n_samples + 1, self.n_samples)


def noisy_copies(
    model: ExplainableModel,
    image: PreparedImage,
    n_samples: int,
    noise_level: float,
    generator: np.random.Generator,
) -> Iterator[Array]:
    """Yield copies of the model input with normal noise, [N, H, W, C], in chunks.

    They are drawn one after the other, so that the chunk size does not change them.

    Parameters
    ----------
    noise_level
        Standard deviation, as a share of the range of the input's values.
    """
    spread = np.float32(noise_level * np.ptp(image.values))
    values = model.backend.asarray(image.values)
    for start in range(0, n_samples, model.chunk_size):
        n = min(model.chunk_size, n_samples - start)
        noise = generator.standard_normal((n, *image.values.shape), dtype=np.float32)
        yield values + spread * model.backend.asarray(noise)


def score_of(model: ExplainableModel, image: PreparedImage, target: Target) -> float:
    """Return the target's score of the image, from the pass that predicted it if there was one."""
    return model.target_score(model.forward_pass(image), target)


@dataclass(frozen=True)
class SmoothGrad(_Noisy):
    """SmoothGrad: the mean gradient over noisy copies of the image, [H, W, C].

    Noise is normal with a standard deviation of ``noise_level`` times the range of the input's
    values, drawn from a generator of its own. With ``space="patches"`` the length of the mean
    gradient at each patch embedding, [H, W].

    References
    ----------
    Smilkov et al. 2017, arXiv:1706.03825.
    """

    name: ClassVar[str] = "smoothgrad"
    title: ClassVar[str] = "SmoothGrad"
    reference: ClassVar[str] = "Smilkov et al. 2017, arXiv:1706.03825"

    space: str = space_parameter()

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average over chunks of noisy copies, reduced on the device."""
        layer = patch_layer(model, self.space)
        generator = np.random.default_rng(self.seed)
        score = score_of(model, image, target)
        total, done = 0.0, 0
        for noisy in noisy_copies(model, image, self.n_samples, self.noise_level, generator):
            n = len(noisy)
            total = total + model.gradients(noisy, target, np.ones(n), layer=layer).values
            done += n
            if layer is None:
                values = model.backend.to_numpy(total / done)
            else:
                values = sensitivities(model, layer, total / done, image.values.shape[:2])
            mean = Attribution(values, score)
            if done < self.n_samples:
                yield Progress(done, self.n_samples, mean)
        return mean


@dataclass(frozen=True)
class SmoothGradSquared(_Noisy):
    """SmoothGrad-squared: the mean square of the gradient over noisy copies, [H, W, C].

    Never negative: it tells how much the score depends on a value, not in which direction. It is
    the square of SmoothGrad plus VarGrad.

    References
    ----------
    Hooker et al. 2019, arXiv:1806.10758.
    """

    name: ClassVar[str] = "smoothgrad_squared"
    title: ClassVar[str] = "SmoothGrad squared"
    reference: ClassVar[str] = "Hooker et al. 2019, arXiv:1806.10758"
    signed: ClassVar[bool] = False

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Average the squares over chunks of noisy copies."""
        backend, generator = model.backend, np.random.default_rng(self.seed)
        score = score_of(model, image, target)
        total, done = 0.0, 0
        for noisy in noisy_copies(model, image, self.n_samples, self.noise_level, generator):
            gradients = model.gradients(noisy, target).values
            total = total + backend.sum(gradients * gradients, (0,))
            done += len(noisy)
            mean = Attribution(backend.to_numpy(total / done), score)
            if done < self.n_samples:
                yield Progress(done, self.n_samples, mean)
        return mean


@dataclass(frozen=True)
class VarGrad(_Noisy):
    """VarGrad: the variance of the gradient over noisy copies of the image, [H, W, C].

    Never negative: where the score's dependence on a value itself depends on the rest. The sum of
    squared deviations is carried from chunk to chunk (Welford, Chan), because the difference of
    two large means loses it to rounding. One sample has no variance: the map is zero.

    References
    ----------
    Adebayo et al. 2018, arXiv:1810.03307; Chan, Golub and LeVeque 1983.
    """

    name: ClassVar[str] = "vargrad"
    title: ClassVar[str] = "VarGrad"
    reference: ClassVar[str] = "Adebayo et al. 2018, arXiv:1810.03307"
    signed: ClassVar[bool] = False

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Merge the mean and the squared deviations of chunk after chunk."""
        backend, generator = model.backend, np.random.default_rng(self.seed)
        score = score_of(model, image, target)
        mean, squares, done = backend.asarray(np.zeros_like(image.values)), 0.0, 0
        for noisy in noisy_copies(model, image, self.n_samples, self.noise_level, generator):
            gradients, n = model.gradients(noisy, target).values, len(noisy)
            own_mean = backend.mean(gradients, (0,))
            deviations, shift = gradients - own_mean, own_mean - mean
            squares = squares + backend.sum(deviations * deviations, (0,))
            squares = squares + shift * shift * (done * n / (done + n))
            mean = mean + shift * (n / (done + n))
            done += n
            variance = Attribution(backend.to_numpy(squares / done), score)
            if done < self.n_samples:
                yield Progress(done, self.n_samples, variance)
        return variance
