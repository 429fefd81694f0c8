"""`visualise`: the picture that a class, a channel, a neuron or a direction likes best."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, TargetError
from xai_widgets.features.ascent import Ascent, Point, Problem, Regularisers
from xai_widgets.features.inputs import InputMap, input_map
from xai_widgets.features.objective import Objective, OneEach
from xai_widgets.features.objectives import as_objective
from xai_widgets.features.parameterisation import parameterisation_of
from xai_widgets.features.provenance import image_record, provenance_of
from xai_widgets.features.settings import count, number, size_of
from xai_widgets.features.transforms import Transforms, transforms_of
from xai_widgets.features.visualisation import Best, History, Visualisation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

Values = npt.NDArray[np.float32]

MAX_BATCH = 64
N_FRAMES = 16
PROBABILITIES = (
    "The model returns probabilities, whose gradients vanish where its softmax is sure: load it "
    'without its last softmax (output="logits" for a Keras model) for pictures of its classes.'
)


@dataclass(frozen=True, eq=False)
class Step:
    """Where an optimisation is.

    Attributes
    ----------
    done, total
        Steps.
    images
        float32 [B, H, W, 3], 0..1, red, green and blue.
    values
        float32 [B]: the objective on these pictures, untransformed.
    """

    done: int
    total: int
    images: Values = field(repr=False)
    values: Values
    _so_far: Callable[[], Visualisation] = field(repr=False)

    @cached_property
    def result(self) -> Visualisation:
        """What would be returned if the optimisation ended here, the best pictures included."""
        return self._so_far()

    @property
    def best(self) -> Best:
        """The best picture of each position so far."""
        return self.result.best


VisualisationStream = Generator[Step, None, Visualisation]


def visualise(
    model: Any,
    objective: Any = None,
    *,
    objectives: Sequence[Any] | None = None,
    n: int = 1,
    n_steps: int = 256,
    size: int | tuple[int, int] | None = None,
    parameterisation: str = "fourier",
    transforms: str | Transforms = "standard",
    l2: float = 0.0,
    total_variation: float = 0.0,
    learning_rate: float = 0.05,
    start: Any = None,
    same_start: bool = False,
    seed: int = 0,
) -> Visualisation:
    """Return pictures that make a class, a layer, a channel, a neuron or a direction answer most.

    Olah, Mordvintsev and Schubert, "Feature visualization", Distill 2017.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    objective
        A class by label or position, a target, or out of `xai_widgets.features.objectives`. A list
        of them is optimised at once, a picture each.
    objectives
        The same as a list given as ``objective``.
    n
        How many pictures of one objective.
    n_steps
        Steps of Adam.
    size
        Side, or (height, width), in pixels; else the model's input size.
    parameterisation
        "fourier", or "pixels" as the plain alternative.
    transforms
        "standard", "none", or `Transforms`.
    l2, total_variation
        What to subtract from the objective for distance from grey, and for differences between
        neighbours; see `Regularisers`.
    learning_rate
        Adam's.
    start
        An image to start from, else grey noise.
    same_start
        Start all pictures of a batch from the same noise, so that they can be compared.
    seed
        Of noise and transforms: the same seed gives the same picture.

    Returns
    -------
    Visualisation

    Raises
    ------
    XaiError
        One sentence that names what was wrong: model, objective, layer, or a parameter.
    """
    stream = visualise_stream(
        model,
        objective,
        objectives=objectives,
        n=n,
        n_steps=n_steps,
        size=size,
        parameterisation=parameterisation,
        transforms=transforms,
        l2=l2,
        total_variation=total_variation,
        learning_rate=learning_rate,
        start=start,
        same_start=same_start,
        seed=seed,
        every=max(1, n_steps // N_FRAMES) if isinstance(n_steps, int) else 8,
    )
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            result: Visualisation = stop.value
            return result


def visualise_stream(
    model: Any,
    objective: Any = None,
    *,
    objectives: Sequence[Any] | None = None,
    n: int = 1,
    n_steps: int = 256,
    size: int | tuple[int, int] | None = None,
    parameterisation: str = "fourier",
    transforms: str | Transforms = "standard",
    l2: float = 0.0,
    total_variation: float = 0.0,
    learning_rate: float = 0.05,
    start: Any = None,
    same_start: bool = False,
    seed: int = 0,
    every: int = 8,
) -> VisualisationStream:
    """Optimise in steps: yields a `Step` at the start and every so many, returns the result.

    Closing the generator cancels the work and leaves the model as it was; the last `Step` has the
    best so far. Parameters are those of `visualise`, and

    Parameters
    ----------
    every
        Steps between two yields; each costs a forward pass.
    """
    started = time.perf_counter()
    loaded = load(model)
    check_ascends(loaded, "Feature visualisation")
    n_steps, every = count("n_steps", n_steps), count("every", every)
    goal, n_pictures = _goal(loaded, objective, objectives, n)
    colours = input_map(loaded)
    form = parameterisation_of(parameterisation, size_of(size, loaded), colours.channels)
    problem = Problem(
        loaded,
        goal,
        form,
        colours,
        transforms_of(transforms),
        Regularisers(number("l2", l2), number("total_variation", total_variation)),
        number("learning_rate", learning_rate, above=True),
    )
    given = None
    if start is not None:
        given = form.parameters_of(_picture(loaded, colours, start, form.size))
    ascent = Ascent(problem, n_pictures, count("seed", seed, 0), given, same_start)
    settings = {
        "n": n_pictures,
        "n_steps": n_steps,
        "size": list(form.size),
        "parameterisation": form.name,
        "transforms": problem.transforms.to_dict(),
        "l2": problem.regularisers.l2,
        "total_variation": problem.regularisers.total_variation,
        "learning_rate": problem.learning_rate,
        "start": image_record(loaded, start),
        "same_start": bool(same_start),
        "seed": ascent.seed,
        "every": every,
    }

    def provenance() -> dict[str, Any]:
        return provenance_of(loaded, "visualise", settings, time.perf_counter() - started)

    kept = _Kept(problem, ascent, n_steps, every, provenance)
    points = ascent.run(n_steps, every)
    try:
        for point in points:
            yield kept.add(point)
    finally:
        points.close()
    return kept.result()


class _Kept:
    """What is kept of the way, to make a result of at any time."""

    def __init__(
        self,
        problem: Problem,
        ascent: Ascent,
        n_steps: int,
        every: int,
        provenance: Callable[[], dict[str, Any]],
    ) -> None:
        self._problem, self._ascent, self._provenance = problem, ascent, provenance
        self._total = n_steps
        stops = sorted({*range(0, n_steps + 1, every), n_steps})
        chosen = np.linspace(0, len(stops) - 1, min(N_FRAMES, len(stops))).round().astype(int)
        self._framed = {stops[i] for i in chosen}
        self._frames: list[tuple[int, npt.NDArray[np.uint8]]] = []
        self._steps: list[int] = []
        self._values: list[Values] = []
        self._best: Best | None = None
        self.result: Callable[[], Visualisation]

    def add(self, point: Point) -> Step:
        """Keep a point, and return it as people see it."""
        shown = self._problem.input_map.shown(point.pictures)
        pixels = np.rint(shown * 255).astype(np.uint8)
        self._steps.append(point.done)
        self._values.append(point.values)
        if point.done in self._framed:
            self._frames.append((point.done, pixels))
        steps = np.full(len(pixels), point.done)
        if self._best is None:
            self._best = Best(pixels, point.values, steps)
        else:
            better = point.values > self._best.values
            rows = better[:, None, None, None]
            self._best = Best(
                np.where(rows, pixels, self._best.images),
                np.where(better, point.values, self._best.values),
                np.where(better, steps, self._best.steps),
            )
        so_far = partial(self._result, self._best, pixels, len(self._steps), len(self._frames))
        self.result = so_far
        return Step(point.done, self._total, shown, point.values, so_far)

    def _result(
        self, best: Best, last: npt.NDArray[np.uint8], n_points: int, n_frames: int
    ) -> Visualisation:
        """Return what there was after so many points."""
        goal, labels = self._problem.objective, self._problem.model.labels
        parts = goal.parts if isinstance(goal, OneEach) else (goal,) * len(last)
        steps, values = self._steps[:n_points], self._values[:n_points]
        frames = self._frames[:n_frames]
        if frames[-1][0] != steps[-1]:
            frames.append((steps[-1], last))
        texts = tuple(part.text(labels) for part in parts)
        return Visualisation(
            images=last,
            values=values[-1],
            start_values=values[0],
            best=best,
            history=History(np.array(steps), np.stack(values)),
            frames=np.stack([pixels for _, pixels in frames]),
            frame_steps=np.array([step for step, _ in frames]),
            objective=goal,
            texts=texts,
            notes=self._notes(texts),
            provenance=self._provenance(),
        )

    def _notes(self, texts: Sequence[str]) -> tuple[str, ...]:
        goal, model = self._problem.objective, self._problem.model
        sure = model.outputs_probabilities and model.is_classifier and None in goal.layers
        dead = tuple(
            f"No gradient reached the picture for {texts[i]}: it is the noise of the start. Start "
            "from an image that the channel answers to."
            for i in self._ascent.dead
        )
        notes = (self._problem.input_map.note, PROBABILITIES if sure else None)
        return (*(note for note in notes if note), *dead)


def check_ascends(model: ExplainableModel, what: str) -> None:
    """Refuse a model without input gradients.

    Raises
    ------
    MethodError
        With the reason.
    """
    reason = model.capabilities.reason(("input_gradients",))
    if reason is not None:
        raise MethodError(f"{what} needs gradients down to the picture. {reason}")


def _goal(
    model: ExplainableModel, objective: Any, objectives: Sequence[Any] | None, n: int
) -> tuple[Objective, int]:
    """Return the resolved objective of a batch, and how many pictures the batch has."""
    if (objective is None) == (objectives is None):
        raise TargetError("Give one objective, or a list of objectives.")
    given = objective if objectives is None else objectives
    n = count("n", n)
    if not isinstance(given, list | tuple):
        n_pictures, goal = n, as_objective(given)
    elif n != 1:
        raise MethodError(f"n is {n} for a list of objectives, which get a picture each: leave it.")
    else:
        n_pictures, goal = len(given), OneEach(tuple(map(as_objective, given)))
    if not 1 <= n_pictures <= MAX_BATCH:
        raise MethodError(f"{n_pictures} pictures at once: give 1 to {MAX_BATCH}.")
    return goal.resolved(model), n_pictures


def _picture(
    model: ExplainableModel, colours: InputMap, image: Any, size: tuple[int, int]
) -> Values:
    """Return an image as a picture [H, W, P], 0..1, of a size."""
    picture = colours.picture_of(model.prepare(image).values)
    if picture.shape[:2] == size:
        return picture
    backend = model.backend
    resized = backend.to_numpy(backend.resize(backend.asarray(picture[None]), size))
    return np.asarray(resized[0])
