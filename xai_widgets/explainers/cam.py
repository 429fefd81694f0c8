"""Class activation maps: a layer's channels, weighted by how much the class uses them."""

from dataclasses import dataclass
from typing import ClassVar

from xai_widgets.errors import LayerError
from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream
from xai_widgets.maps import upsample
from xai_widgets.models.base import ExplainableModel, PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class GradCAM(Explainer):
    """Grad-CAM: relu(sum over channels k of w_k A_k), w_k the spatial mean of d score / d A_k.

    Computed at the layer's resolution and resized bilinearly to the input grid, [H, W], never
    negative. It answers where, coarsely, a layer sees evidence for the class.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391.
    """

    name: ClassVar[str] = "grad_cam"
    title: ClassVar[str] = "Grad-CAM"
    family: ClassVar[str] = "cam"
    reference: ClassVar[str] = "Selvaraju et al. 2017, arXiv:1610.02391"
    needs: ClassVar[tuple[str, ...]] = ("feature_maps", "layer_gradients")
    uses_layer: ClassVar[bool] = True
    uses_forward_pass: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    @property
    def cost(self) -> Cost:
        """One pass each way, the backward one only down to the layer."""
        return Cost(1, 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Weight the activations of the retained forward pass."""
        yield Progress(0, 1)
        layer = model.resolve_layer(layer)
        forward, backend = model.forward_pass(image), model.backend
        activation = forward.activation(layer)
        if len(activation.shape) != 4:
            raise LayerError(
                f"The output of layer {layer!r} is no feature map: choose a layer with height, "
                "width and channels."
            )
        weights = backend.mean(forward.gradient(target, layer), (1, 2))
        coarse = backend.relu(backend.sum(activation * weights[:, None, None, :], (3,)))
        values = upsample(backend.to_numpy(coarse)[0], image.values.shape[:2])
        score = model.target_score(forward, target)
        return Attribution(values, score, {"layer_shape": list(activation.shape[1:])})
