"""How many pictures and steps are done at once, so that a cancel and other tools need not wait."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xai_widgets.models.base import ExplainableModel

if TYPE_CHECKING:
    from xai_widgets.widgets.engine import ResultCache

BATCH = 8
LOOKS = 32
"""So often in an optimisation its pictures are looked at, which costs a forward pass each."""
LEAST_STEPS, MOST_STEPS = 2, 8
WAIT_SECONDS = 1.0
"""What is aimed at between two looks."""
PASSES = 3.0
"""What a step costs in forward passes: forward, and twice as much backward."""
TRIES = 3


@dataclass(frozen=True)
class Pace:
    """How fast a model is.

    Attributes
    ----------
    seconds
        Of one picture's forward pass.
    """

    seconds: float

    @property
    def batch(self) -> int:
        """Pictures that are optimised at once: fewer where a model is slow, and gains little."""
        return int(np.clip(WAIT_SECONDS / (PASSES * self.seconds), 1, BATCH))

    def every(self, n_steps: int) -> int:
        """Return the steps from one look to the next."""
        due = int(WAIT_SECONDS / (PASSES * self.seconds * self.batch))
        wanted = max(1, n_steps // LOOKS)
        return min(wanted, max(LEAST_STEPS, min(due, MOST_STEPS)))


def pace_of(model: ExplainableModel, cache: "ResultCache") -> Pace:
    """Return how fast a model is: measured, and remembered with its results."""
    known = cache.get("pace")
    if isinstance(known, Pace):
        return known
    inputs = np.zeros((1, *model.input_shape), np.float32)
    seconds = float("inf")
    for _ in range(TRIES):  # the first one may have to trace, and the machine to do something else
        started = time.perf_counter()
        model.backend.to_numpy(model.scores(model.backend.asarray(inputs)))
        seconds = min(seconds, max(1e-6, time.perf_counter() - started))
        if Pace(seconds).batch == BATCH:
            break
    pace = Pace(seconds)
    cache.put("pace", pace, 64)
    return pace
