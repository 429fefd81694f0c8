"""Attention through all layers of a transformer: rollout, and relevance weighted by gradients."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, XaiError
from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream
from xai_widgets.explainers.masking import whole_score
from xai_widgets.maps import upsample
from xai_widgets.models.architecture import Grid
from xai_widgets.models.attention import AttentionLayer, AttentionPass
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]
READ = 1e-6
"""A token whose gradient is smaller than this part of the largest is not read by the score."""


@dataclass(frozen=True)
class AttentionExplainer(Explainer):
    """Base of the maps that follow attention from the patches to what the score is read from."""

    family: ClassVar[str] = "attention"
    needs: ClassVar[tuple[str, ...]] = ("attention",)
    signed: ClassVar[bool] = False

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Multiply through the layers; draw the CLS token's row, or the mean of the patches'."""
        yield Progress(0, 1)
        attention = model.attention(image)
        grid = token_grid(self.title, attention.layers)
        flow = model.backend.to_numpy(self.flow(model, attention, target))
        rows = read_rows(model, image, target, grid)
        received = flow[rows].mean(axis=0)[grid.patches].reshape(grid.rows, grid.columns)
        coarse = np.maximum(received, 0).astype(np.float32)
        score = _score(model, image, attention, target)
        read = "patches" if isinstance(rows, slice) else "CLS"
        return Attribution(
            upsample(coarse, image.values.shape[:2]),
            score,
            {"layers": len(attention.layers), "grid": [grid.rows, grid.columns], "read_from": read},
        )

    @abstractmethod
    def flow(self, model: ExplainableModel, attention: AttentionPass, target: Target) -> Any:
        """Return how much each token [T, T] holds of each other after the last layer."""


@dataclass(frozen=True)
class AttentionRollout(AttentionExplainer):
    """Attention rollout: the product over all layers of (mean attention of the heads + I) / 2.

    Rows are normalised, the identity stands for the skip connection, and the row of the CLS token
    is drawn on the patch grid (without one: the mean over the patches' rows), [H, W], never
    negative. It follows where information may flow, and knows no class: the map is the same for
    every target.

    References
    ----------
    Abnar and Zuidema 2020, arXiv:2005.00928.
    """

    name: ClassVar[str] = "attention_rollout"
    title: ClassVar[str] = "Attention rollout"
    reference: ClassVar[str] = "Abnar and Zuidema 2020, arXiv:2005.00928"

    @classmethod
    def caveat(cls, model: ExplainableModel) -> str | None:
        """Say that no class is in it."""
        return "Class-agnostic: the map is the same for every target."

    @property
    def cost(self) -> Cost:
        """One recorded pass, and one each way from the last layer: which tokens the score reads."""
        return Cost(2, 1)

    def flow(self, model: ExplainableModel, attention: AttentionPass, target: Target) -> Any:
        """Multiply layer by layer, the later one from the left."""
        backend = model.backend
        identity = backend.asarray(np.eye(attention.layers[0].tokens, dtype=np.float32))
        rollout = identity
        for index in range(len(attention.layers)):
            mixed = (backend.mean(attention.weights(index), (0,)) + identity) / 2.0
            mixed = mixed / backend.sum(mixed, (1,))[:, None]
            rollout = backend.matmul(mixed, rollout)
        return rollout


@dataclass(frozen=True)
class AttentionRelevance(AttentionExplainer):
    """Gradient-weighted attention relevance: R <- R + A R, A = mean of relu(dA * A) over heads.

    dA is d score / d attention probabilities, so that only attention that speaks for the target
    passes; R starts as the identity, which is subtracted in the end. The row of the CLS token is
    drawn on the patch grid (without one: the mean over the patches' rows), [H, W], never negative.

    References
    ----------
    Chefer et al. 2021, arXiv:2103.15679.
    """

    name: ClassVar[str] = "attention_relevance"
    title: ClassVar[str] = "Attention relevance"
    reference: ClassVar[str] = "Chefer et al. 2021, arXiv:2103.15679"
    needs: ClassVar[tuple[str, ...]] = ("attention", "input_gradients")

    @property
    def cost(self) -> Cost:
        """One pass each way, and another from the last layer: which tokens the score reads."""
        return Cost(2, 2)

    def flow(self, model: ExplainableModel, attention: AttentionPass, target: Target) -> Any:
        """Add what each layer passes on."""
        backend = model.backend
        identity = backend.asarray(np.eye(attention.layers[0].tokens, dtype=np.float32))
        relevance = identity
        for index, gradient in enumerate(attention.gradients(target)):
            passed = backend.mean(backend.relu(gradient * attention.weights(index)), (0,))
            relevance = relevance + backend.matmul(passed, relevance)
        return relevance - identity


def _score(
    model: ExplainableModel, image: PreparedImage, attention: AttentionPass, target: Target
) -> float:
    """Return the target's score, from the recorded pass where that has it."""
    if target.layer is not None:
        return whole_score(model, image.values, target)
    scores = target(model.backend.asarray(attention.outputs[None]), model.backend)
    return float(model.backend.to_numpy(scores)[0])


def token_grid(title: str, layers: Sequence[AttentionLayer]) -> Grid:
    """Return the grid that all attention layers share.

    Raises
    ------
    MethodError
        If attention is cut into windows, changes its tokens on the way, or has no place on the
        picture: then there is no matrix product through the layers.
    """
    if not layers:
        raise MethodError(
            f"{title} found no attention in this forward pass: choose another method."
        )
    windowed = next((layer for layer in layers if layer.windows > 1), None)
    if windowed is not None:
        raise MethodError(
            f"{title} follows attention over the whole picture, but {windowed.name!r} attends "
            f"within {windowed.windows} windows: choose another method."
        )
    if len({layer.tokens for layer in layers}) > 1:
        counts = ", ".join(str(n) for n in dict.fromkeys(layer.tokens for layer in layers))
        raise MethodError(
            f"{title} needs the same tokens in all layers, but there are {counts} of them on the "
            "way: choose another method."
        )
    grid = next((layer.grid for layer in layers if layer.grid is not None), None)
    if grid is None:
        raise MethodError(
            f"The {layers[0].tokens} tokens of this model have no known place on the picture: "
            "choose another method."
        )
    return grid


def read_rows(
    model: ExplainableModel, image: PreparedImage, target: Target, grid: Grid
) -> slice | list[int]:
    """Return the tokens that the score is read from: the CLS token, or the patches.

    A token before the patches may be a register, and CLS with one head and patches with another:
    the score's gradient at the last layer of tokens tells. Where it does not, the first token is
    taken for CLS.
    """
    if grid.prefix == 0:
        return grid.patches
    last = next((layer for layer in reversed(model.layers) if layer.grid == grid), None)
    if last is not None and target.layer is None:
        try:
            gradient = model.forward_pass(image).gradient(target, last.name)
        except XaiError:
            return [0]
        sizes = np.abs(model.backend.to_numpy(gradient)[0]).max(axis=1)
        if sizes[0] <= READ * sizes.max() < sizes[grid.patches].max():
            return grid.patches
    return [0]
