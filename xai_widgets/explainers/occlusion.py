"""Occlusion: what the score loses when a window of the picture is covered."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.baselines import BASELINES, baseline_values
from xai_widgets.explainers.masking import Hiding, chunks, whole_score
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]
WINDOWS_A_SIDE = 8
"""The default window is this part of the shorter side."""


def window_indicators(side: int, window: int, stride: int) -> Floats:
    """Return which of ``side`` pixels lie in each window, float32 [windows, side].

    The last window ends where the picture does, even if that is less than a stride further.
    """
    starts = np.arange(0, side - window + 1, stride)
    if starts[-1] + window < side and stride <= window:
        starts = np.append(starts, side - window)
    pixels = np.arange(side)
    inside = (pixels >= starts[:, None]) & (pixels < starts[:, None] + window)
    return inside.astype(np.float32)


@dataclass(frozen=True)
class Occlusion(Explainer):
    """Occlusion: the drop of the score when a square window is replaced by a baseline.

    A pixel gets the mean of score(x) - score(x with the window replaced) over all windows that
    cover it, [H, W], in units of the score: positive where the picture speaks for the target. The
    map is as coarse as the window, and pictures with a hole may be unlike anything the model has
    seen. Needs no gradients: it applies to every model that predicts.

    Diagnostics: ``window_size`` and ``stride`` in pixels of the input, and ``windows``.

    References
    ----------
    Zeiler and Fergus 2014, arXiv:1311.2901.
    """

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    family: ClassVar[str] = "perturbation"
    reference: ClassVar[str] = "Zeiler and Fergus 2014, arXiv:1311.2901"
    needs: ClassVar[tuple[str, ...]] = ()

    window_size: int = parameter(
        0,
        "Side of the window that is covered; 0 for an eighth of the input's shorter side.",
        minimum=0,
        maximum=2048,
        unit="px",
        label="Window",
    )
    stride: int = parameter(
        0, "Step from window to window; 0 for half a window.", minimum=0, maximum=2048, unit="px"
    )
    baseline: Any = parameter("grey", "What the window is filled with.", choices=BASELINES)

    @property
    def cost(self) -> Cost:
        """A forward for every window, and one for the whole picture."""
        return Cost(1, 0, per="window")

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Cover window after window, row by row; the map fills from the top."""
        height, width = image.values.shape[:2]
        window = min(
            self.window_size or max(1, min(height, width) // WINDOWS_A_SIDE), height, width
        )
        stride = self.stride or max(1, window // 2)
        rows = window_indicators(height, window, stride)
        columns = window_indicators(width, window, stride)
        total, backend = len(rows) * len(columns), model.backend
        yield Progress(0, total)
        hiding = Hiding(model, image, baseline_values(model, image, self.baseline))
        score = whole_score(model, image.values, target)
        positions = np.arange(total)
        covered = np.zeros((height, width), dtype=np.float32)
        lost: Any = backend.asarray(np.zeros((height, width), dtype=np.float32))
        diagnostics = {"window_size": window, "stride": stride, "windows": total}
        for start, stop in chunks(total, model.chunk_size):
            down, across = np.divmod(positions[start:stop], len(columns))
            in_rows = backend.asarray(rows[down][:, :, None, None])
            masks = in_rows * backend.asarray(columns[across][:, None, :, None])
            drops = score - hiding.scores(1.0 - masks, target)
            weighted = masks * backend.reshape(drops, (-1, 1, 1, 1))
            lost = lost + backend.sum(weighted, (0, 3))
            covered += np.einsum("nh,nw->hw", rows[down], columns[across])
            mean = np.asarray(backend.to_numpy(lost) / np.maximum(covered, 1), dtype=np.float32)
            found = Attribution(mean, score, diagnostics)
            if stop < total:
                yield Progress(stop, total, found)
        return found
