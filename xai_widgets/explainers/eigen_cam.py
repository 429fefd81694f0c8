"""Eigen-CAM: the strongest pattern in a layer's activations, whatever the class."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream
from xai_widgets.maps import upsample
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]


def first_component(activation: Floats) -> tuple[Floats, float]:
    """Project activations on their first right singular vector.

    Parameters
    ----------
    activation
        [h, w, C].

    Returns
    -------
    float32 [h, w], float
        A v, v the first right singular vector of A as [h w, C], not centred, as published; and the
        share of A's squared norm that it holds, 0..1. A singular vector is known up to its sign:
        the one is taken that makes the value of largest magnitude positive.
    """
    rows = activation.reshape(-1, activation.shape[-1]).astype(np.float64)
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    projected = left[:, 0] * singular[0]
    if projected[np.argmax(np.abs(projected))] < 0:
        projected = -projected
    total = float((singular**2).sum())
    share = float(singular[0] ** 2) / total if total else 0.0
    return projected.reshape(activation.shape[:2]).astype(np.float32), share


@dataclass(frozen=True)
class EigenCAM(Explainer):
    """Eigen-CAM: a layer's activations projected on their first principal direction.

    [H, W], A v with v the first right singular vector of the activations A as a matrix [h w, C],
    not centred, resized bilinearly from the layer's resolution. It knows no class: the map is the
    same whatever the target. Its sign is arbitrary, and fixed so that the largest magnitude is
    positive. It needs no gradients.

    Diagnostics: ``explained_share``, the share of the activations' squared norm in this direction.

    References
    ----------
    Muhammad and Yeasin 2020, arXiv:2008.00299.
    """

    name: ClassVar[str] = "eigen_cam"
    title: ClassVar[str] = "Eigen-CAM"
    family: ClassVar[str] = "cam"
    reference: ClassVar[str] = "Muhammad and Yeasin 2020, arXiv:2008.00299"
    needs: ClassVar[tuple[str, ...]] = ("feature_maps",)
    uses_layer: ClassVar[bool] = True
    uses_forward_pass: ClassVar[bool] = True

    @classmethod
    def caveat(cls, model: ExplainableModel) -> str | None:
        """Say that no class is in it."""
        return "Class-agnostic: the map is the same for every target, and its sign is arbitrary."

    @property
    def cost(self) -> Cost:
        """One forward pass."""
        return Cost(1, 0)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Decompose the activations of the retained forward pass."""
        yield Progress(0, 1)
        layer = model.resolve_layer(layer)
        forward = model.forward_pass(image)
        activation = model.feature_map(layer, forward.activation(layer))
        coarse, share = first_component(model.backend.to_numpy(activation)[0])
        values = upsample(coarse, image.values.shape[:2])
        shape = list(activation.shape[1:])
        score = model.target_score(forward, target)
        return Attribution(values, score, {"layer_shape": shape, "explained_share": share})
