"""Maps that know nothing: what every score is held against."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xai_widgets.evaluation.base import Case, Metric
from xai_widgets.evaluation.normalise import Map
from xai_widgets.evaluation.randomisation import randomised
from xai_widgets.models.primitives import PreparedImage

SHARED = ("edges", "random", "zero")
"""Controls that are the same for all methods."""
MEANINGS = {
    "edges": "an edge map of the picture, which no model entered",
    "random": "a map of noise",
    "zero": "a map of zeros",
    "random_weights": "the same method on the same network with random weights",
}


def edge_map(image: PreparedImage) -> Map:
    """Return the strength of edges in the model's input, float32 [H, W] (Sobel)."""
    from scipy.ndimage import sobel

    grey = image.values.mean(axis=2)
    return np.asarray(np.hypot(sobel(grey, axis=0), sobel(grey, axis=1)), dtype=np.float32)


def control_case(control: str, case: Case) -> Case:
    """Return a case whose map is a control's, on the image and with all else of another case.

    Its seed is another than the case's, so that noise in the map is not the noise it is judged
    with.
    """
    image = case.image
    size = image.values.shape[:2]
    if control == "random_weights":
        assert case.model is not None and case.explain is not None
        with randomised(case.model, None, case.seed):
            return replace(case, attribution=case.explain(image), method=control)
    makers: dict[str, Callable[[PreparedImage], Map]] = {
        "edges": edge_map,
        "random": lambda _: np.random.default_rng([case.seed, 1]).random(size, dtype=np.float32),
        "zero": lambda _: np.zeros(size, dtype=np.float32),
    }
    return replace(
        case,
        attribution=makers[control](image),
        method=control,
        explain=makers[control],
        random_label_model=None
        if case.random_label_model is None
        else (case.random_label_model[0], makers[control]),
        distributes=True,
        diagnostics=case.diagnostics,
    )


def hardest(metric: Metric, values: dict[str, float]) -> str | None:
    """Return which control is hardest to beat, or None where there is none."""
    if not values:
        return None
    best = max if metric.direction == "higher" else min
    return best(values, key=lambda name: values[name])
