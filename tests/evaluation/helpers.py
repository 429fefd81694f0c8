"""Cases with known answers: a linear model, masks, and maps that are right, wrong or empty."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.models.nets import Linear, picture, seeded
from xai_widgets.evaluation import Case
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget

SIDE = 8

Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def square_mask(side: int = 20, low: int = 4, high: int = 12) -> Mask:
    mask = np.zeros((side, side), dtype=bool)
    mask[low:high, low:high] = True
    return mask


def random_map(side: int = 20, seed: int = 0) -> Map:
    return np.random.default_rng(seed).random((side, side), dtype=np.float32)


def linear_case(attribution: Any = "weights", **changes: Any) -> tuple[Case, ExplainableModel]:
    """Return a case whose map is a linear model's weights times the input, or another map."""
    source = seeded(Linear, SIDE)
    model = load(source, preprocessing={"size": SIDE})
    image = model.prepare(picture(SIDE, SIDE))
    if isinstance(attribution, str):
        attribution = source.weight(0)
        if changes.pop("times_input", True):
            attribution = attribution * image.values
            changes.setdefault("distributes", True)
    case = Case(image=image, attribution=attribution, model=model, target=ClassTarget(0), **changes)
    return case, model
