"""The paper of a sketch pad: its size, its colour, and whether the model's view is fitted."""

import math
from dataclasses import dataclass

import numpy as np

from xai_widgets.models.base import ExplainableModel
from xai_widgets.sketch import MAX_BYTES

DIGITS = tuple("0123456789")
DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MNIST_SIDE, MNIST_MARGIN = 28, 4
DARK = 0.35


@dataclass(frozen=True)
class Paper:
    """What a pad starts with.

    Attributes
    ----------
    ground
        "#000000" or "#ffffff".
    fit
        Margin of the view that is fitted to the drawing, or None for the whole pad.
    width
        Of the brush, as a share of the pad's longer side.
    reason
        Why, as a sentence for the user.
    """

    ground: str
    fit: float | None
    width: float
    reason: str


def tells_digits(model: ExplainableModel) -> bool:
    """Return True if the labels of a model are the ten digits."""
    labels = tuple(label.strip().lower() for label in model.labels)
    return labels in (DIGITS, DIGIT_WORDS)


def suited(model: ExplainableModel) -> Paper:
    """Return the paper that resembles what a model was probably trained on.

    Digits are light on dark in the known data sets, and cut out: tightly, or at 28 px with 4 px
    around (MNIST). Else a grey input, or preprocessing whose mean is dark, means dark pictures;
    everything else is drawn on white.
    """
    if tells_digits(model):
        mnist = model.input_shape[0] == MNIST_SIDE
        margin = MNIST_MARGIN / MNIST_SIDE if mnist else 0.0
        reason = (
            "White on black, and fitted to the drawing, because the labels are digits: data sets "
            "show them light on dark and cut out."
        )
        return Paper("#000000", round(margin, 4), 0.12, reason)
    if model.input_shape[2] == 1:
        reason = "White on black, because the input is grey, as in MNIST and its relatives."
        return Paper("#000000", None, 0.08, reason)
    described = model.preprocess.describe()
    if described["kind"] == "standard" and any(described["mean"]):
        low, high = described["value_range"]
        level = (float(np.mean(described["mean"])) - low) / (high - low)
        if level < DARK:
            reason = (
                "White on black, because the mean colour in the preprocessing is dark "
                f"({level:.0%} of white)."
            )
            return Paper("#000000", None, 0.04, reason)
    reason = "Black on white, because nothing says that the model knows dark pictures."
    return Paper("#ffffff", None, 0.04, reason)


def picture_size(model: ExplainableModel) -> tuple[int, int]:
    """Return (height, width) of the pictures that are sent: the input's, at most 4 MiB."""
    height, width, _ = model.input_shape
    scale = min(1.0, math.sqrt(MAX_BYTES / (3 * height * width)))
    return max(1, int(height * scale)), max(1, int(width * scale))
