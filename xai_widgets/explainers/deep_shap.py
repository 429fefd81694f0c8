"""DeepSHAP: DeepLIFT's multipliers between the image and each picture of a background."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    completeness,
    parameter,
)
from xai_widgets.explainers.baselines import BACKGROUNDS, background_values
from xai_widgets.explainers.masking import chunks
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class DeepSHAP(Explainer):
    """DeepSHAP: the mean over the background of (x - b) * multiplier(x, b), [H, W, C].

    The multiplier is DeepLIFT's: a gradient in which every activation answers with its difference
    quotient between image and reference in place of its slope (the rescale rule). The attributions
    sum to f(x) - mean f(b) exactly, up to rounding, unless the model holds operations that the rule
    has no exact form for; `xw.methods` names these, and the convergence delta shows the gap.

    Diagnostics: ``convergence_delta`` = sum of the attributions - (f(x) - mean f(b)),
    ``convergence_delta_relative`` to that difference (None where it is zero), and
    ``score_baseline``, the mean of f(b).

    References
    ----------
    Shrikumar et al. 2017, arXiv:1704.02685; Lundberg and Lee 2017, arXiv:1705.07874.
    """

    name: ClassVar[str] = "deep_shap"
    title: ClassVar[str] = "DeepSHAP"
    family: ClassVar[str] = "shap"
    reference: ClassVar[str] = "Lundberg and Lee 2017, arXiv:1705.07874"

    needs: ClassVar[tuple[str, ...]] = ("input_gradients", "rescale")

    background: Any = parameter(
        "blur", "The pictures that stand for nothing; maps are averaged.", choices=BACKGROUNDS
    )
    seed: int = parameter(
        0, "Seed of noise, and of the draw from a large data set.", minimum=0, maximum=2**31 - 1
    )

    @classmethod
    def caveat(cls, model: ExplainableModel) -> str | None:
        """Name what the rescale rule cannot do exactly."""
        if not model.incomplete:
            return None
        return f"Not complete: {', '.join(model.incomplete)}. The convergence delta shows the gap."

    @property
    def cost(self) -> Cost:
        """Image and reference, each way, for every picture of the background."""
        return Cost(2, 2)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Go through the background in chunks, image and references in one batch."""
        background = background_values(model, image, self.background, self.seed)
        backend, n = model.backend, len(background)
        yield Progress(0, n)
        values = backend.asarray(image.values)
        score_sum, total = 0.0, 0.0
        for start, stop in chunks(n, max(1, model.chunk_size // 2)):
            references = backend.asarray(background[start:stop])
            inputs = references * 0.0 + values
            pairs = backend.concatenate([inputs, references])
            result = model.gradients(pairs, target, rule="rescale")
            total = total + backend.sum(result.values * (inputs - references), (0,))
            scores = backend.to_numpy(result.scores)
            score, score_sum = float(scores[0]), score_sum + float(scores[stop - start :].sum())
            mean = backend.to_numpy(total) / np.float32(stop)
            found = Attribution(mean, score, completeness(mean, score, score_sum / stop))
            if stop < n:
                yield Progress(stop, n, found)
        return found
