"""`mixtures`: pictures between two objectives, computed once and then scrubbed."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from xai_widgets.errors import MethodError
from xai_widgets.features.objective import Objective
from xai_widgets.features.objectives import as_objective
from xai_widgets.features.settings import count
from xai_widgets.features.visualisation import Visualisation
from xai_widgets.features.visualise import (
    MAX_BATCH,
    Step,
    VisualisationStream,
    visualise,
    visualise_stream,
)
from xai_widgets.models.loading import load

LEAST_STEPS = 16


@dataclass(frozen=True)
class Blend:
    """How much of each objective is in the pictures, from all of the first to all of the second.

    Attributes
    ----------
    shares
        Of the second objective, 0 to 1.
    rises
        How far each rises alone in a short optimisation: what their weights are divided by.
    """

    shares: tuple[float, ...]
    rises: tuple[float, float]

    def objectives(self, a: Objective, b: Objective) -> list[Objective]:
        """Return one objective per share: ``cos(s pi / 2) a / rise_a + sin(s pi / 2) b / rise_b``.

        At the ends the other one's weight is zero.
        """
        parts: list[Objective] = []
        for share in self.shares:
            angle = share * math.pi / 2
            first, second = (
                a * (math.cos(angle) / self.rises[0]),
                b * (math.sin(angle) / self.rises[1]),
            )
            parts.append(first if share == 0 else second if share == 1 else first + second)
        return parts


def mixtures(model: Any, a: Any, b: Any, n: int = 5, **settings: Any) -> VisualisationStream:
    """Optimise pictures between two objectives in steps.

    Interpolated in the objective and not between pictures, which would show one fading over the
    other; all start from the same noise. Objectives of different units are divided by how far each
    rises alone in an eighth of the steps.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    a, b
        As in `visualise`.
    n
        How many pictures, the ends included.
    settings
        Those of `visualise_stream`; ``objectives``, ``n`` and ``same_start`` are taken.

    Returns
    -------
    generator
        Yields `Step`, returns a `Visualisation` of n pictures; closing it cancels the work.

    Raises
    ------
    XaiError
        As `visualise`.
    """
    if count("n", n, 2) > MAX_BATCH:
        raise MethodError(f"n is {n}: give 2 to {MAX_BATCH} pictures.")
    return _mixed(load(model), as_objective(a), as_objective(b), n, settings)


def _mixed(
    model: Any, a: Objective, b: Objective, n: int, settings: dict[str, Any]
) -> Generator[Step, None, Visualisation]:
    n_steps = count("n_steps", settings.get("n_steps", 256))
    first = {name: value for name, value in settings.items() if name != "every"}
    first["n_steps"] = max(LEAST_STEPS, n_steps // 8)
    alone = visualise(model, objectives=[a, b], same_start=True, **first)
    rises = np.maximum(np.abs(alone.values - alone.start_values), 1e-6)
    blend = Blend(
        tuple(float(share) for share in np.linspace(0, 1, n)), (float(rises[0]), float(rises[1]))
    )
    parts = blend.objectives(a.resolved(model), b.resolved(model))
    return (yield from visualise_stream(model, objectives=parts, same_start=True, **settings))
