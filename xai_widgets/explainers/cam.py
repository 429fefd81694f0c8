"""Class activation maps: a layer's channels, weighted by how much the class uses them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream
from xai_widgets.maps import upsample
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

TINY = 1e-12


@dataclass(frozen=True)
class GradientCAM(Explainer):
    """Base of the maps made from a layer's activations A and the gradients G = d score / d A.

    Computed at the layer's resolution and resized bilinearly to the input grid, [H, W]. Tokens of
    a transformer are arranged on their patch grid first, without CLS and registers.
    """

    family: ClassVar[str] = "cam"
    needs: ClassVar[tuple[str, ...]] = ("feature_maps", "layer_gradients")
    uses_layer: ClassVar[bool] = True
    uses_forward_pass: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    @property
    def cost(self) -> Cost:
        """One pass each way, the backward one only down to the layer."""
        return Cost(1, 1)

    @staticmethod
    @abstractmethod
    def combine(activation: Array, gradient: Array, backend: Backend) -> Array:
        """Return the map [1, h, w] of activations and gradients [1, h, w, C]."""

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Combine activations and gradients of the retained forward pass."""
        yield Progress(0, 1)
        layer = model.resolve_layer(layer)
        forward, backend = model.forward_pass(image), model.backend
        activation = model.feature_map(layer, forward.activation(layer))
        gradient = model.feature_map(layer, forward.gradient(target, layer))
        coarse = backend.to_numpy(self.combine(activation, gradient, backend))[0]
        values = upsample(coarse, image.values.shape[:2])
        score = model.target_score(forward, target)
        return Attribution(values, score, {"layer_shape": list(activation.shape[1:])})


def weighted(activation: Array, weights: Array, backend: Backend) -> Array:
    """Return relu(sum over channels k of w_k A_k), [1, h, w], for weights [1, C]."""
    return backend.relu(backend.sum(activation * weights[:, None, None, :], (3,)))


@dataclass(frozen=True)
class GradCAM(GradientCAM):
    """Grad-CAM: relu(sum over channels k of w_k A_k), w_k the spatial mean of d score / d A_k.

    [H, W], never negative. It answers where, coarsely, a layer sees evidence for the class. The
    mean over space may credit places whose own gradient is zero: see HiResCAM.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391.
    """

    name: ClassVar[str] = "grad_cam"
    title: ClassVar[str] = "Grad-CAM"
    reference: ClassVar[str] = "Selvaraju et al. 2017, arXiv:1610.02391"

    @staticmethod
    def combine(activation: Array, gradient: Array, backend: Backend) -> Array:
        """Weight by the mean gradient."""
        return weighted(activation, backend.mean(gradient, (1, 2)), backend)


@dataclass(frozen=True)
class GradCAMPlusPlus(GradientCAM):
    """Grad-CAM++: Grad-CAM whose weights count each place by how much of the class it explains.

    w_k = sum over space of alpha_k relu(G_k), alpha_k = G_k^2 / (2 G_k^2 + S_k G_k^3), where S_k is
    the sum of A_k over space; the map is relu(sum of w_k A_k), [H, W], never negative. Where alpha
    matters, G > 0, it is 1 / (2 + S G), which is how it is computed: G^2 of a small gradient would
    underflow. Derived for activations that are not negative; where 2 + S G is not positive, the
    place gets no weight. Several objects of the class are meant to weigh alike.

    References
    ----------
    Chattopadhay et al. 2018, arXiv:1710.11063.
    """

    name: ClassVar[str] = "grad_cam_plus_plus"
    title: ClassVar[str] = "Grad-CAM++"
    reference: ClassVar[str] = "Chattopadhay et al. 2018, arXiv:1710.11063"

    @staticmethod
    def combine(activation: Array, gradient: Array, backend: Backend) -> Array:
        """Weight by the sum of the positive gradients, each times its alpha."""
        sums = backend.sum(activation, (1, 2))[:, None, None, :]
        denominator = 2.0 + sums * gradient
        usable = denominator > TINY
        terms = backend.relu(gradient) / backend.where(usable, denominator, 1.0)
        terms = backend.where(usable, terms, 0.0)
        return weighted(activation, backend.sum(terms, (1, 2)), backend)


@dataclass(frozen=True)
class HiResCAM(GradientCAM):
    """HiResCAM: sum over channels k of G_k A_k, element by element.

    [H, W], signed. Where nothing but pooling and one linear layer follows, the map at the layer's
    resolution sums to the score less the bias: it shows the places the score is made of, and unlike
    Grad-CAM no others.

    References
    ----------
    Draelos and Carin 2020, arXiv:2011.08891.
    """

    name: ClassVar[str] = "hires_cam"
    title: ClassVar[str] = "HiResCAM"
    reference: ClassVar[str] = "Draelos and Carin 2020, arXiv:2011.08891"
    signed: ClassVar[bool] = True

    @staticmethod
    def combine(activation: Array, gradient: Array, backend: Backend) -> Array:
        """Multiply before summing."""
        return backend.sum(gradient * activation, (3,))


@dataclass(frozen=True)
class XGradCAM(GradientCAM):
    """XGrad-CAM: relu(sum of w_k A_k), w_k = sum of G_k A_k over space / sum of A_k over space.

    [H, W], never negative. The weights come nearest to two axioms, that a channel counts as much
    as the score drops without it and that the counts sum to the score. A channel whose activations
    sum to zero gets no weight.

    References
    ----------
    Fu et al. 2020, arXiv:2008.02312.
    """

    name: ClassVar[str] = "xgrad_cam"
    title: ClassVar[str] = "XGrad-CAM"
    reference: ClassVar[str] = "Fu et al. 2020, arXiv:2008.02312"

    @staticmethod
    def combine(activation: Array, gradient: Array, backend: Backend) -> Array:
        """Weight by the mean of the gradient, itself weighted by the activation."""
        sums = backend.sum(activation, (1, 2))
        alive = backend.abs(sums) > TINY
        shares = backend.sum(gradient * activation, (1, 2))
        weights = shares / backend.where(alive, sums, 1.0)
        return weighted(activation, backend.where(alive, weights, 0.0), backend)


@dataclass(frozen=True)
class LayerCAM(GradientCAM):
    """LayerCAM: relu(sum over channels k of relu(G_k) A_k), each place with its own weight.

    [H, W], never negative. Because the weights are not averaged over space it stays readable at
    early, fine layers.

    References
    ----------
    Jiang et al. 2021, doi:10.1109/TIP.2021.3089943.
    """

    name: ClassVar[str] = "layer_cam"
    title: ClassVar[str] = "LayerCAM"
    reference: ClassVar[str] = "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943"

    @staticmethod
    def combine(activation: Array, gradient: Array, backend: Backend) -> Array:
        """Weight each place by its own positive gradient."""
        return backend.relu(backend.sum(backend.relu(gradient) * activation, (3,)))
