"""Score-CAM: channels weighted by the score of the picture seen through each of them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.baselines import BASELINES, baseline_values
from xai_widgets.explainers.masking import Hiding, chunks
from xai_widgets.maps import upsample
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]


def channel_masks(maps: Array, size: tuple[int, int], backend: Backend) -> Array:
    """Resize channels [N, h, w, 1] to masks [N, H, W, 1], each scaled to 0..1; constant ones to 0.

    Scaled after resizing, so that each mask reaches both ends.
    """
    masks = backend.resize(maps, size)
    shape = (int(masks.shape[0]), 1, 1, 1)
    low = -backend.reshape(backend.max(-masks, (1, 2)), shape)
    spread = backend.reshape(backend.max(masks, (1, 2)), shape) - low
    return (masks - low) / backend.where(spread > 0, spread, 1.0)


@dataclass(frozen=True)
class ScoreCAM(Explainer):
    """Score-CAM: relu(sum of w_k A_k), w_k the score of the picture seen through channel k.

    w = softmax over channels of score(b + M_k (x - b)) - score(b), where M_k is channel k, resized
    to the input and scaled to 0..1. With the baseline b "zeros" this is the published
    score(x M_k); the score of b cancels in the softmax and is not computed. [H, W], never negative.
    No gradients are used, and one forward pass for each channel.

    Diagnostics: ``channels``, how many of the layer's channels were tried, and ``weight_entropy``,
    of the softmax, 0..1: near 1 all channels weigh alike and the map knows little of the class,
    near 0 a single channel is the map.

    References
    ----------
    Wang et al. 2020, arXiv:1910.01279.
    """

    name: ClassVar[str] = "score_cam"
    title: ClassVar[str] = "Score-CAM"
    family: ClassVar[str] = "cam"
    reference: ClassVar[str] = "Wang et al. 2020, arXiv:1910.01279"
    needs: ClassVar[tuple[str, ...]] = ("feature_maps",)
    uses_layer: ClassVar[bool] = True
    uses_forward_pass: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    n_channels: int = parameter(
        0,
        "How many channels are tried, those that vary most over the picture; 0 for all.",
        minimum=0,
        maximum=8192,
        label="Channels",
    )
    baseline: Any = parameter("zeros", "What is seen where a channel is silent.", choices=BASELINES)

    @property
    def cost(self) -> Cost:
        """A forward for every channel, and one for the activations."""
        if self.n_channels:
            return Cost(self.n_channels + 1, 0)
        return Cost(1, 0, per="channel of the layer")

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Try the channels chunk by chunk; each chunk gives a map of the channels so far."""
        layer = model.resolve_layer(layer)
        backend, size = model.backend, (image.values.shape[0], image.values.shape[1])
        forward = model.forward_pass(image)
        score = model.target_score(forward, target)
        activation = backend.to_numpy(model.feature_map(layer, forward.activation(layer)))[0]
        maps = _chosen(activation, self.n_channels)
        yield Progress(0, len(maps))
        on_device = backend.asarray(maps[..., None])
        hiding = Hiding(model, image, baseline_values(model, image, self.baseline))
        scores = np.empty(len(maps), dtype=np.float32)
        for start, stop in chunks(len(maps), model.chunk_size):
            masks = channel_masks(on_device[start:stop], size, backend)
            scores[start:stop] = backend.to_numpy(hiding.scores(masks, target))
            found = _attribution(maps[:stop], scores[:stop], size, score, activation.shape)
            if stop < len(maps):
                yield Progress(stop, len(maps), found)
        return found


def _chosen(activation: Floats, n_channels: int) -> Floats:
    """Return the channels [K, h, w] of [h, w, C], with a limit those of largest variance."""
    maps = np.ascontiguousarray(np.moveaxis(activation, 2, 0))
    if not 0 < n_channels < len(maps):
        return maps
    order = np.argsort(-maps.reshape(len(maps), -1).var(axis=1), kind="stable")
    return maps[np.sort(order[:n_channels])]


def _attribution(
    maps: Floats, scores: Floats, size: tuple[int, int], score: float, shape: tuple[int, ...]
) -> Attribution:
    powers = np.exp(scores.astype(np.float64) - scores.max())
    weights = powers / powers.sum()
    coarse = np.maximum(np.tensordot(weights.astype(np.float32), maps, axes=1), 0)
    positive = weights[weights > 0]
    entropy = float(-(positive * np.log(positive)).sum() / np.log(max(len(weights), 2)))
    return Attribution(
        upsample(coarse, size),
        score,
        {"layer_shape": list(shape), "channels": len(maps), "weight_entropy": entropy},
    )
