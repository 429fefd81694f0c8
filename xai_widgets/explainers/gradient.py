"""Methods that look at the gradient at the image itself: vanilla, and input x gradient."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream
from xai_widgets.explainers.space import (
    contributions,
    patch_layer,
    sensitivities,
    space_parameter,
)
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class Gradient(Explainer):
    """Vanilla gradient: d score / d input, [H, W, C].

    How the score would change if a pixel changed a little: sensitivity, not contribution. With
    ``space="patches"`` the length of the gradient at each patch embedding, [H, W].

    References
    ----------
    Simonyan et al. 2013, arXiv:1312.6034.
    """

    name: ClassVar[str] = "gradient"
    title: ClassVar[str] = "Gradient"
    family: ClassVar[str] = "gradient"
    reference: ClassVar[str] = "Simonyan et al. 2013, arXiv:1312.6034"
    uses_forward_pass: ClassVar[bool] = True

    space: str = space_parameter()

    @property
    def cost(self) -> Cost:
        """One pass each way."""
        return Cost(1, 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Take one backward pass from the retained forward pass."""
        layer = patch_layer(model, self.space)
        yield Progress(0, 1)
        forward = model.forward_pass(image)
        gradient = forward.gradient(target, layer)[0]
        if layer is None:
            values = model.backend.to_numpy(gradient)
        else:
            values = sensitivities(model, layer, gradient, image.values.shape[:2])
        return Attribution(values, model.target_score(forward, target))


@dataclass(frozen=True)
class InputXGradient(Explainer):
    """Input times gradient: x * d score / d x, [H, W, C], in units of the score.

    For a network that is linear around the image it distributes the score over the pixels. With
    ``space="patches"`` the same product at each patch embedding, shared out among the patch's
    pixels, [H, W].

    References
    ----------
    Shrikumar et al. 2016, arXiv:1605.01713.
    """

    name: ClassVar[str] = "input_x_gradient"
    title: ClassVar[str] = "Input x gradient"
    family: ClassVar[str] = "gradient"
    reference: ClassVar[str] = "Shrikumar et al. 2016, arXiv:1605.01713"
    uses_forward_pass: ClassVar[bool] = True

    space: str = space_parameter()

    @property
    def cost(self) -> Cost:
        """One pass each way."""
        return Cost(1, 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Multiply the vanilla gradient with what it was taken at."""
        layer = patch_layer(model, self.space)
        yield Progress(0, 1)
        forward = model.forward_pass(image)
        gradient = forward.gradient(target, layer)[0]
        if layer is None:
            with np.errstate(invalid="ignore"):  # infinite gradients are refused by explain_stream
                values = model.backend.to_numpy(gradient) * image.values
        else:
            tokens = forward.activation(layer)[0] * gradient
            values = contributions(model, layer, tokens, image.values.shape[:2])
        return Attribution(values, model.target_score(forward, target))
