"""Gradients whose way back through every ReLU is changed: guided backprop, deconvolution."""

from dataclasses import dataclass
from typing import ClassVar

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream
from xai_widgets.explainers.cam import GradCAM
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class _Ruled(Explainer):
    """One backward pass under a rule for ReLUs."""

    family: ClassVar[str] = "gradient"
    needs: ClassVar[tuple[str, ...]] = ("input_gradients", "relu")
    rule: ClassVar[str]

    @property
    def cost(self) -> Cost:
        """One pass each way."""
        return Cost(1, 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Take one backward pass under the rule."""
        yield Progress(0, 1)
        result = model.gradients(image.values[None], target, rule=self.rule)
        score = float(model.backend.to_numpy(result.scores)[0])
        return Attribution(model.backend.to_numpy(result.values)[0], score)


@dataclass(frozen=True)
class GuidedBackprop(_Ruled):
    """Guided backprop: at every ReLU the gradient g becomes relu(g) * 1[x > 0], [H, W, C].

    Only paths whose every step speaks for the class are kept. The maps are sharp, but close to
    an edge map: they change little with the class, and with the weights (Adebayo et al. 2018).

    References
    ----------
    Springenberg et al. 2014, arXiv:1412.6806.
    """

    name: ClassVar[str] = "guided_backprop"
    title: ClassVar[str] = "Guided backprop"
    reference: ClassVar[str] = "Springenberg et al. 2014, arXiv:1412.6806"
    rule: ClassVar[str] = "guided"


@dataclass(frozen=True)
class Deconvolution(_Ruled):
    """Deconvolution: at every ReLU the gradient g becomes relu(g), whatever x was, [H, W, C].

    It reconstructs what would speak for the class; without the forward pass's own gates it hardly
    depends on the picture where the network has no max-pooling.

    References
    ----------
    Zeiler and Fergus 2013, arXiv:1311.2901.
    """

    name: ClassVar[str] = "deconvolution"
    title: ClassVar[str] = "Deconvolution"
    reference: ClassVar[str] = "Zeiler and Fergus 2013, arXiv:1311.2901"
    rule: ClassVar[str] = "deconvolution"


@dataclass(frozen=True)
class GuidedGradCAM(Explainer):
    """Guided Grad-CAM: guided backprop times Grad-CAM at the layer, upsampled, [H, W, C].

    Grad-CAM says where, guided backprop adds the detail.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391.
    """

    name: ClassVar[str] = "guided_grad_cam"
    title: ClassVar[str] = "Guided Grad-CAM"
    family: ClassVar[str] = "gradient"
    reference: ClassVar[str] = "Selvaraju et al. 2017, arXiv:1610.02391"
    needs: ClassVar[tuple[str, ...]] = (*GradCAM.needs, "input_gradients", "relu")
    uses_layer: ClassVar[bool] = True

    @property
    def cost(self) -> Cost:
        """Grad-CAM and guided backprop, one pass each way."""
        return Cost(2, 2)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Multiply the two maps."""
        yield Progress(0, 2)
        where = _result(GradCAM().stream(model, image, target, layer))
        yield Progress(1, 2)
        detail = _result(GuidedBackprop().stream(model, image, target, None))
        values = detail.values * where.values[:, :, None]
        return Attribution(values, detail.score, where.diagnostics)


def _result(stream: Stream) -> Attribution:
    """Run a stream to its end."""
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            attribution: Attribution = stop.value
            return attribution
