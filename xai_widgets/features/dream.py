"""`deep_dream`: more and more of what some layers see in a picture, at one size after the other."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from xai_widgets.errors import LayerError, MethodError, ModelError
from xai_widgets.features.activity import all_maps
from xai_widgets.features.dreamed import Dream
from xai_widgets.features.inputs import InputMap, input_map
from xai_widgets.features.objective import Objective, Sum
from xai_widgets.features.objective_kinds import Guided, WholeLayer
from xai_widgets.features.objectives import as_objective
from xai_widgets.features.provenance import image_record, provenance_of
from xai_widgets.features.settings import MAX_SIDE, count, number
from xai_widgets.features.tiles import tiled
from xai_widgets.features.visualise import check_ascends
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.layered import Look
from xai_widgets.models.loading import load

Values = npt.NDArray[np.float32]

MAX_OCTAVES = 32
LUMINANCE = np.array([[0.299], [0.587], [0.114]], dtype=np.float32)
NOTHING = (
    "No gradient of {what} comes back to the picture: nothing there excites it. Choose another "
    "layer, or another picture."
)


@dataclass(frozen=True, eq=False)
class DreamStep:
    """Where a dream is.

    Attributes
    ----------
    done, total
        Steps, over all octaves.
    octave
        From 0, the smallest.
    image
        float32 [h, w, 3], 0..1, of the octave's size.
    value
        The objective before the step, averaged over the tiles.
    """

    done: int
    total: int
    octave: int
    image: Values = field(repr=False)
    value: float
    _so_far: Callable[[], Dream] = field(repr=False)

    @cached_property
    def result(self) -> Dream:
        """What would be returned if the dream ended here, at its full size."""
        return self._so_far()


DreamStream = Generator[DreamStep, None, Dream]


def deep_dream(
    model: Any,
    image: Any,
    layers: Any,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    n_steps: int = 10,
    jitter: int | None = None,
    step: float = 1.5 / 255,
    guide: Any = None,
    seed: int = 0,
) -> Dream:
    """Amplify what some layers see in a picture, from coarse to fine.

    Mordvintsev, Olah and Tyka, "Inceptionism", 2015: gradient ascent on the mean square of the
    layers' outputs, with steps of ``step`` times the gradient over its mean magnitude. Each octave
    is 1.4 times as large as the one before; the detail that was lost by making the picture small is
    put back.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    image
        The picture. It is enlarged where its smallest octave would be smaller than the model's
        input: the model looks at tiles of the size of its input.
    layers
        A layer, several, or objectives (`xai_widgets.features.objectives`).
    octaves
        How many sizes.
    octave_scale
        Ratio of two sizes, above 1.
    n_steps
        Steps at each size.
    jitter
        How far the tiles move in each step, in pixels; None for anywhere, which leaves no seams.
    step
        Length of a step: the mean change of a pixel, of 0..1.
    guide
        An image to dream of: each place goes along what resembles it most in the guide.
    seed
        Of the jitter.

    Returns
    -------
    Dream

    Raises
    ------
    XaiError
        One sentence that names what was wrong.
    """
    stream = deep_dream_stream(
        model,
        image,
        layers,
        octaves=octaves,
        octave_scale=octave_scale,
        n_steps=n_steps,
        jitter=jitter,
        step=step,
        guide=guide,
        seed=seed,
    )
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            result: Dream = stop.value
            return result


def deep_dream_stream(
    model: Any,
    image: Any,
    layers: Any,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    n_steps: int = 10,
    jitter: int | None = None,
    step: float = 1.5 / 255,
    guide: Any = None,
    seed: int = 0,
) -> DreamStream:
    """Dream in steps: yields a `DreamStep` before the first and after each; see `deep_dream`.

    Closing the generator cancels the work and leaves the model as it was.
    """
    started = time.perf_counter()
    loaded = load(model)
    check_ascends(loaded, "DeepDream")
    octaves, n_steps = count("octaves", octaves), count("n_steps", n_steps)
    if octaves > MAX_OCTAVES:
        raise MethodError(f"octaves is {octaves}: give at most {MAX_OCTAVES}.")
    ratio = number("octave_scale", octave_scale)
    if ratio <= 1:
        raise MethodError(f"octave_scale is {ratio:g}: give a number above 1.")
    length = number("step", step, above=True)
    reach = None if jitter is None else count("jitter", jitter, 0)
    seed = count("seed", seed, 0)
    colours = input_map(loaded)
    goal = _goal(loaded, layers, guide)
    prepared = loaded.prepare(image)
    tile = loaded.input_shape[:2]
    sizes = octave_sizes(prepared.display.pixels.shape[:2], tile, octaves, ratio)
    start = _picture(colours, prepared.display.pixels)
    dreaming = loaded.compiled(_gradient_of(loaded, colours, goal), goal.layers)

    def compute(parts: Values) -> tuple[Values, Values]:
        found = dreaming(parts)
        return loaded.backend.to_numpy(found[0]), loaded.backend.to_numpy(found[1])

    settings = {
        "layers": goal.to_dict(),
        "octaves": octaves,
        "octave_scale": ratio,
        "n_steps": n_steps,
        "jitter": reach,
        "step": length,
        "guide": image_record(loaded, guide),
        "image": image_record(loaded, image),
        "seed": seed,
    }
    values: list[float] = []
    frames: list[npt.NDArray[np.uint8]] = []

    def so_far(picture: Values, n_values: int, n_frames: int) -> Dream:
        image = _pixels(colours, resized(picture, sizes[-1]))
        return Dream(
            image=image,
            start=_pixels(colours, resized(start, sizes[-1])),
            values=np.array(values[:n_values], dtype=np.float32),
            frames=tuple(frames[:n_frames]),
            text=goal.text(loaded.labels),
            notes=() if colours.note is None else (colours.note,),
            provenance=provenance_of(loaded, "deep_dream", settings, time.perf_counter() - started),
        )

    rng = np.random.default_rng(seed)
    total, done = octaves * n_steps, 0
    detail = np.zeros_like(resized(start, sizes[0]))
    picture = resized(start, sizes[0])
    for octave, size in enumerate(sizes):
        base = resized(start, size)
        picture = np.clip(base + resized(detail, size), 0, 1)
        for _ in range(n_steps):
            limit = tile if reach is None else (min(reach, tile[0]), min(reach, tile[1]))
            offset = (int(rng.integers(0, limit[0] + 1)), int(rng.integers(0, limit[1] + 1)))
            gradient, value = tiled(picture, tile, offset, compute)
            strength = float(np.abs(gradient).mean())
            if not np.isfinite(strength) or not np.isfinite(value):
                raise ModelError(
                    f"The gradient of {goal.text(loaded.labels)} is NaN or infinite after {done} "
                    "steps: check the model's weights."
                )
            if not done:
                if not strength:
                    raise MethodError(NOTHING.format(what=goal.text(loaded.labels)))
                shown = colours.shown(picture[None])[0]
                frames.append(_pixels(colours, picture))
                yield DreamStep(
                    0, total, 0, shown, value, partial(so_far, picture, len(values), len(frames))
                )
            picture = np.clip(picture + gradient * (length / max(strength, 1e-12)), 0, 1)
            done += 1
            values.append(value)
            shown = colours.shown(picture[None])[0]
            if done % n_steps == 0:
                frames.append(_pixels(colours, picture))
            yield DreamStep(
                done,
                total,
                octave,
                shown,
                value,
                partial(so_far, picture, len(values), len(frames)),
            )
        detail = picture - base
    return so_far(picture, len(values), len(frames))


def _gradient_of(
    model: ExplainableModel, colours: InputMap, goal: Objective
) -> Callable[..., tuple[Array, ...]]:
    """Return a step from pictures [T, h, w, P] to gradients and values [T]."""
    backend = model.backend

    def step(look: Look, pictures: Array) -> tuple[Array, ...]:
        def value(pictures: Array) -> Array:
            return goal(look(colours.inputs(pictures, backend)), backend)

        values, (gradient,) = backend.gradients(value, (pictures,))
        if gradient is None:
            raise MethodError(NOTHING.format(what=goal.text(model.labels)))
        return gradient, values

    return step


def octave_sizes(
    size: tuple[int, ...], tile: tuple[int, int], octaves: int, ratio: float
) -> list[tuple[int, int]]:
    """Return the sizes (height, width), the smallest first, each at least as large as a tile.

    Raises
    ------
    MethodError
        If the largest would have a side above 2048 pixels.
    """
    shrink = ratio ** (octaves - 1)
    grow = max(1.0, *(shrink * least / side for least, side in zip(tile, size, strict=False)))
    largest = (size[0] * grow, size[1] * grow)
    if max(largest) > MAX_SIDE:
        raise MethodError(
            f"The dream would have {largest[0]:.0f} x {largest[1]:.0f} pixels: give a smaller "
            f"picture, fewer octaves or a smaller octave_scale, for at most {MAX_SIDE} a side."
        )
    sizes = []
    for octave in range(octaves):
        factor = ratio ** (octave - octaves + 1)
        height, width = (
            max(least, round(side * factor)) for least, side in zip(tile, largest, strict=True)
        )
        sizes.append((height, width))
    return sizes


def _goal(model: ExplainableModel, layers: Any, guide: Any) -> Objective:
    """Return what is dreamed of, resolved."""
    given = list(layers) if isinstance(layers, list | tuple) else [layers]
    if not given:
        raise LayerError("The list of layers is empty: give one layer or several.")
    if guide is None:
        goals: Sequence[Objective] = [
            WholeLayer(entry) if isinstance(entry, str) else as_objective(entry) for entry in given
        ]
    else:
        if not all(isinstance(entry, str) for entry in given):
            raise MethodError("A guide says what to dream of: give layers by name with it.")
        values = model.prepare(guide).values[None]
        goals = []
        for entry in given:
            name = model.resolve_layer(entry)
            maps = all_maps(model, name, values)
            goals.append(Guided(name, maps.reshape(-1, maps.shape[-1])))
    goal = goals[0] if len(goals) == 1 else Sum(tuple((1.0, part) for part in goals))
    if goal.together:
        raise MethodError("diversity and alignment compare several pictures: a dream has one.")
    return goal.resolved(model)


def _picture(colours: InputMap, pixels: npt.NDArray[np.uint8]) -> Values:
    """Return display pixels as a picture [H, W, P], 0..1."""
    levels = np.asarray(pixels / np.float32(255), dtype=np.float32)
    if colours.channels == 1:
        return np.asarray(levels @ LUMINANCE)
    if colours.channels != 3:
        raise MethodError(
            f"The model's input has {colours.channels} channels: DeepDream shows 1 or 3."
        )
    return levels


def _pixels(colours: InputMap, picture: Values) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(colours.shown(picture[None])[0] * 255), dtype=np.uint8)


def resized(picture: Values, size: tuple[int, int]) -> Values:
    """Return a picture [H, W, P] of another size, smoothed where it shrinks."""
    if picture.shape[:2] == tuple(size):
        return picture
    planes = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(picture[..., c])).resize(
                (size[1], size[0]), Image.Resampling.BICUBIC
            )
        )
        for c in range(picture.shape[2])
    ]
    return np.stack(planes, axis=-1).astype(np.float32)
