"""Several layers looked at together: the mean of their maps, each scaled to a maximum of one."""

from collections.abc import Sequence

import numpy as np

from xai_widgets.explainers.base import Attribution, Explainer, Progress, Stream, Values
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

PARTS = 1000
"""Progress of one layer: streams of different layers count in different steps."""


def fused_stream(
    explainer: Explainer,
    model: ExplainableModel,
    image: PreparedImage,
    target: Target,
    layers: Sequence[str],
) -> Stream:
    """Explain with one layer after the other; each finished layer gives a partial map.

    Maps of different layers differ in size by orders of magnitude, so each is divided by its
    largest magnitude before the mean is taken; a map of zeros stays one.
    """
    maps: list[Values] = []
    diagnostics: dict[str, dict[str, object]] = {}
    fused = Attribution(np.zeros(image.values.shape[:2], dtype=np.float32), 0.0)
    yield Progress(0, PARTS * len(layers))
    for layer in layers:
        inner = explainer.stream(model, image, target, layer)
        try:
            while True:
                progress = next(inner)
                done = PARTS * len(maps) + (PARTS * progress.done) // progress.total
                if progress.done:
                    yield Progress(done, PARTS * len(layers))
        except StopIteration as stop:
            found: Attribution = stop.value
        finally:
            inner.close()
        largest = float(np.abs(found.values).max())
        maps.append(found.values / np.float32(largest) if largest else found.values)
        diagnostics[layer] = dict(found.diagnostics)
        mean = np.asarray(np.mean(maps, axis=0), dtype=np.float32)
        fused = Attribution(mean, found.score, {"layers": dict(diagnostics)})
        if len(maps) < len(layers):
            yield Progress(PARTS * len(maps), PARTS * len(layers), fused)
    return fused
