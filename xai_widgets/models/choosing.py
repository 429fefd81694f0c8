"""Find the input a model accepts, by trying: shared by the adapters of all frameworks."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xai_widgets.errors import ModelError
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.preprocessing import Preprocess, Preprocessing, Values

TRIED_SIZES = (224, 256, 299, 384, 128, 64, 32, 28)
TASKS = ("classification", "segmentation", "regression")
NO_PREPROCESSING = (
    "No preprocessing was given: pixels are divided by 255 and not normalised. "
    "Pass preprocessing= if the model was trained otherwise."
)

Size = tuple[int, int]


def choose_input(
    run: Callable[[Values], Any],
    preprocess: Preprocess | None,
    size: Size | None,
    own_size: Size | None,
    channels: Sequence[int],
    notes: list[str],
) -> tuple[Preprocess, Values]:
    """Find preprocessing whose result the model accepts, and an input to try the model with.

    Parameters
    ----------
    run
        Passes values [1, H, W, C] through the model; raises `ModelError` if it cannot take them.
    preprocess
        What the user gave or the model carries; None divides pixels by 255.
    size
        What the user gave, (height, width).
    own_size
        What the model says of itself, used where the user says nothing.
    channels
        Numbers of channels to try where there is no preprocessing.
    notes
        Gets a sentence for everything that was assumed.

    Returns
    -------
    tuple
        The preprocessing with its size settled, and noise that went through it, [1, H, W, C].

    Raises
    ------
    ModelError
        What the model said of the first input that was tried, if it accepts none.
    """
    if preprocess is not None and not isinstance(preprocess, Preprocessing):
        return preprocess, _accepted(run, preprocess, size or own_size)
    if preprocess is None:
        forms = [Preprocessing(channels=n) for n in channels]
        notes.append(NO_PREPROCESSING)
    else:
        forms = [preprocess]
        size = preprocess.size or size
    size = size or own_size
    tried = [(side, side) for side in TRIED_SIZES] if size is None else [size]
    errors: list[ModelError] = []
    for form, sides in itertools.product(forms, tried):
        settled = dataclasses.replace(form, size=sides)
        try:
            probe = _accepted(run, settled, sides)
        except ModelError as error:
            errors.append(error)
            continue
        if size is None:
            notes.append(
                f"No input size was given: images are resized to {sides[0]} x {sides[1]}. "
                "Pass input_size= if the model expects another."
            )
        return settled, probe
    raise errors[0]


def _accepted(run: Callable[[Values], Any], preprocess: Preprocess, size: Size | None) -> Values:
    height, width = size or (224, 224)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    values, _ = preprocess(DisplayImage(noise, "probe"))
    run(values[None])
    return values[None]


def choose_labels(
    given: Sequence[str] | None,
    own: Sequence[str] | None,
    n_outputs: int,
    notes: list[str],
) -> tuple[str, ...]:
    """Return the names of the outputs: the user's, else the model's own, else by position.

    Raises
    ------
    ModelError
        If the user's are not one per output.
    """
    if given is not None:
        if len(given) != n_outputs:
            raise ModelError(
                f"{len(given)} labels were given for {n_outputs} outputs: give one per output."
            )
        return tuple(str(label) for label in given)
    if own is not None and len(own) == n_outputs:
        return tuple(str(label) for label in own)
    if n_outputs > 1:
        notes.append("No labels were given: classes are called by their position. Pass labels=.")
    return tuple(f"class {i}" for i in range(n_outputs))


def choose_task(given: str | None, shape: Sequence[int], name: str) -> str:
    """Return what a model is for: what the user says, else what the shape of its output says.

    Parameters
    ----------
    given
        What the user says, or None.
    shape
        Of the outputs, [N, K] or dense [N, H, W, K]; a single score per image is a regression.
    name
        The model's name.

    Raises
    ------
    ModelError
        If there is no such task, or the output does not fit it.
    """
    dense = len(shape) == 4
    if given is None:
        return "segmentation" if dense else "regression" if shape[-1] == 1 else "classification"
    if given not in TASKS:
        raise ModelError(f"There is no task {given!r}: give one of {', '.join(TASKS)}.")
    if dense and given == "classification":
        raise ModelError(
            f"{name} gives scores per pixel: its task is 'segmentation', or 'regression'."
        )
    if not dense and given == "segmentation":
        raise ModelError(
            f"{name} gives one score per picture and class: its task is 'classification', or "
            "'regression'."
        )
    return given


def are_probabilities(scores: Any) -> bool:
    """Tell whether outputs [N, K] or [N, H, W, K] (NumPy) are probabilities of K classes."""
    scores = scores.reshape(-1, scores.shape[-1])
    return bool(
        scores.shape[1] > 1
        and (scores >= 0).all()
        and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3)
    )
