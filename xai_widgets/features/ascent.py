"""Gradient ascent on pictures, on the model's device: Adam, transforms, penalties, best so far."""

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, ModelError
from xai_widgets.features.inputs import InputMap
from xai_widgets.features.objective import Objective
from xai_widgets.features.parameterisation import Parameterisation
from xai_widgets.features.transforms import Transforms
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.layered import Look

Values = npt.NDArray[np.float32]

MOMENTUM, SPREAD, TINY = 0.9, 0.999, 1e-8
"""Adam's averages of gradients and of their squares, and what it adds to a root."""

NOISE = 0.01
"""Standard deviation of the parameters of a start picture."""

LOUDER = (4.0, 16.0, 64.0)
"""Where a start picture moves nothing, it is drawn again with so many times the noise."""

NO_DEPENDENCE = (
    "The objective {what} does not depend on the picture: no gradient comes back to it. Choose "
    "another layer, channel or class."
)


@dataclass(frozen=True)
class Regularisers:
    """What is subtracted from the objective, of the picture 0..1 before any transform.

    Attributes
    ----------
    l2
        Times the mean squared distance from grey.
    total_variation
        Times the mean absolute difference between neighbours.
    """

    l2: float = 0.0
    total_variation: float = 0.0


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that defines an ascent but its start.

    Attributes
    ----------
    model
        Loaded; with input gradients.
    objective
        Resolved for the model.
    parameterisation, input_map, transforms, regularisers
        From numbers to pictures to inputs, and what keeps the pictures natural.
    learning_rate
        Adam's.
    """

    model: ExplainableModel
    objective: Objective
    parameterisation: Parameterisation
    input_map: InputMap
    transforms: Transforms
    regularisers: Regularisers = field(default_factory=Regularisers)
    learning_rate: float = 0.05

    def value(self, look: Look, pictures: Array) -> Array:
        """Return the objective of pictures [N, H, W, P], 0..1."""
        backend = self.model.backend
        return self.objective(look(self.input_map.inputs(pictures, backend)), backend)

    def step(
        self, look: Look, parameters: Array, mean: Array, square: Array, matrix: Array, rates: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Return parameters and Adam's two averages after one step, and the value before it.

        Kingma and Ba, "Adam", ICLR 2015: ``p += rate m' / (sqrt(s') + tiny)``, where m' and s' are
        decaying sums of gradients and of their squares, over the sums of their weights. All these
        factors are in `adam_rates`, so that arrays are passed through as rarely as possible.
        """
        backend = self.model.backend

        def gain(parameters: Array) -> Array:
            pictures = self.parameterisation.pictures(parameters, backend)
            moved = pictures
            if not self.transforms.still:
                moved = backend.warp(pictures - 0.5, matrix) + 0.5
            return self.value(look, moved) - self._penalty(pictures)

        values, (gradient,) = backend.gradients(gain, (parameters,))
        if gradient is None:
            what = self.objective.text(self.model.labels)
            raise MethodError(NO_DEPENDENCE.format(what=what))
        mean = mean * MOMENTUM + gradient
        square = square * SPREAD + gradient * gradient
        parameters = parameters + mean / (square**0.5 * rates[0] + rates[1])
        return parameters, mean, square, values

    def _penalty(self, pictures: Array) -> Array | float:
        backend, weights = self.model.backend, self.regularisers
        total: Array | float = 0.0
        if weights.l2:
            total = total + backend.mean((pictures - 0.5) ** 2, (1, 2, 3)) * weights.l2
        if weights.total_variation:
            down = backend.abs(pictures[:, 1:] - pictures[:, :-1])
            right = backend.abs(pictures[:, :, 1:] - pictures[:, :, :-1])
            rough = backend.mean(down, (1, 2, 3)) + backend.mean(right, (1, 2, 3))
            total = total + rough * weights.total_variation
        return total

    def look_at(self, look: Look, parameters: Array) -> tuple[Array, Array]:
        """Return pictures, untransformed, and their values."""
        pictures = self.parameterisation.pictures(parameters, self.model.backend)
        return pictures, self.value(look, pictures)


def adam_rates(learning_rate: float, done: int) -> Values:
    """Return a and b of Adam's step ``m / (sqrt(s) a + b)``, m and s being decaying sums.

    Parameters
    ----------
    learning_rate
        How far a parameter moves whose gradient stays the same.
    done
        Which step it is, from 1.
    """
    gradients = (1 - MOMENTUM**done) / (1 - MOMENTUM)
    squares = (1 - SPREAD**done) / (1 - SPREAD)
    return np.array([squares**-0.5, TINY], np.float32) * np.float32(gradients / learning_rate)


@dataclass(frozen=True, eq=False)
class Point:
    """Where an ascent is: after how many steps, with pictures [B, H, W, P] and values [B]."""

    done: int
    pictures: Values
    values: Values


class Ascent:
    """One ascent of a batch of pictures.

    Parameters
    ----------
    problem
        What is climbed.
    n_pictures
        B.
    seed
        Of noise and transforms. The noise of a picture depends on its place in the batch, and not
        on the size of the batch.
    start
        Parameters of a given picture, the same for all; None for noise.
    same_start
        The same noise for all.

    Attributes
    ----------
    dead
        Positions of pictures that no gradient ever reached.
    """

    def __init__(
        self,
        problem: Problem,
        n_pictures: int,
        seed: int,
        start: Values | None = None,
        same_start: bool = False,
    ) -> None:
        self.problem, self.n_pictures, self.seed = problem, n_pictures, seed
        self._same_start = same_start
        self._given = start
        self.dead: tuple[int, ...] = ()
        model, layers = problem.model, problem.objective.layers
        self._step = model.compiled(problem.step, layers)
        self._look_at = model.compiled(problem.look_at, layers)

    def run(self, n_steps: int, every: int) -> Generator[Point, None, None]:
        """Climb; yields at the start, every so many steps, and at the end.

        Raises
        ------
        ModelError
            If the objective is NaN or infinite.
        MethodError
            If no gradient reaches any of the pictures.
        """
        backend, rate = self.problem.model.backend, self.problem.learning_rate
        rng = np.random.default_rng([self.seed, 1])
        parameters = backend.asarray(self._start())
        yield self._point(0, parameters)
        parameters = self._alive(parameters)
        mean = square = parameters * 0
        for done in range(1, n_steps + 1):
            matrix = self.problem.transforms.draw(rng, self.problem.parameterisation.size)
            rates = adam_rates(rate, done)
            parameters, mean, square, _ = self._step(parameters, mean, square, matrix, rates)
            if done % every == 0 or done == n_steps:
                yield self._point(done, parameters)

    def _start(self, loudness: float = 1.0) -> Values:
        if self._given is not None:
            return np.repeat(self._given[None], self.n_pictures, axis=0)
        places = [0 if self._same_start else i for i in range(self.n_pictures)]
        rngs = [np.random.default_rng([self.seed, 0, i]) for i in places]
        return np.stack([self.problem.parameterisation.noise(g, NOISE * loudness) for g in rngs])

    def _alive(self, parameters: Array) -> Array:
        """Return parameters that a gradient reaches, with more noise where none did.

        A channel behind a ReLU that is zero all over a grey picture would otherwise stay so.
        """
        unmoved = self._unmoved(parameters)
        for loudness in LOUDER if self._given is None else ():
            if not unmoved.any():
                break
            louder = self._start(loudness)
            kept = self.problem.model.backend.to_numpy(parameters).copy()
            kept[unmoved] = louder[unmoved]
            parameters = self.problem.model.backend.asarray(kept)
            unmoved = self._unmoved(parameters)
        if unmoved.all():
            what = self.problem.objective.text(self.problem.model.labels)
            raise MethodError(NO_DEPENDENCE.format(what=what))
        self.dead = tuple(int(i) for i in np.flatnonzero(unmoved))
        return parameters

    def _unmoved(self, parameters: Array) -> npt.NDArray[np.bool_]:
        """Return which pictures no gradient reaches, [B]."""
        still = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
        zero = parameters * 0
        _, _, square, _ = self._step(parameters, zero, zero, still, adam_rates(1.0, 1))
        axes = tuple(range(1, len(parameters.shape)))
        return np.asarray(
            self.problem.model.backend.to_numpy(self.problem.model.backend.max(square, axes)) == 0
        )

    def _point(self, done: int, parameters: Array) -> Point:
        pictures, values = map(self.problem.model.backend.to_numpy, self._look_at(parameters))
        if not np.isfinite(values).all():
            what = self.problem.objective.text(self.problem.model.labels)
            raise ModelError(
                f"The objective {what} is NaN or infinite after {done} steps: check the model's "
                "weights, or use a smaller learning_rate."
            )
        return Point(done, pictures, values)
