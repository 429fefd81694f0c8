"""How each demo network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Recipe:
    """How one demo network is trained.

    Attributes
    ----------
    data : str
        Name of the data set.
    options : mapping
        Options of the data set, for training.
    n : int
        Training pictures, drawn once and augmented anew in every epoch.
    epochs, batch : int
        Passes over the pictures, and pictures per step.
    rate : float
        Highest learning rate; it rises over the first tenth of the steps and falls as a cosine.
    smoothing : float
        Label smoothing: keeps probabilities away from 0 and 1, where gradients vanish.
    decay : float
        Weight decay (AdamW).
    turns, mirrors : bool
        Whether quarter turns and up-down mirrors, or left-right mirrors, keep the class.
    shift_px : int
        Largest random shift.
    seed : int
        Seed of data, weights and augmentation.
    task : str
        "classification" of a picture; "segmentation", the class of each pixel; or "regression" of
        the share of the picture that a mask covers.
    mask : str
        The mask that a regression measures.
    longest_step : float
        Largest norm of a gradient, beyond which it is shortened; 0 for any.
    start : str
        Shipped network of the same shape that all but the head starts from, if any.
    """

    data: str
    options: Mapping[str, str] = field(default_factory=dict)
    n: int = 4000
    epochs: int = 12
    batch: int = 50
    rate: float = 4e-3
    smoothing: float = 0.08
    decay: float = 2e-2
    turns: bool = False
    mirrors: bool = True
    shift_px: int = 6
    seed: int = 1
    task: str = "classification"
    mask: str = ""
    longest_step: float = 0.0
    start: str = ""


_LESIONS = Recipe("lesions", {"ruler": "random"}, turns=True)
RECIPES = {
    "lesions": _LESIONS,
    "lesions-shortcut": replace(_LESIONS, options={"ruler": "malignant"}),
    "lesion-area": replace(
        _LESIONS,
        n=2500,
        epochs=8,
        batch=25,
        rate=2e-3,
        task="regression",
        mask="lesion",
        start="lesions",
    ),
    "animals": Recipe("animals", n=5000, epochs=12),
    # No distillation and no pictures from elsewhere. With a plain patch embedding it was right in
    # 30 % after six epochs and not in 90 %, even with the CNN's probabilities to learn from.
    "animals-vit": Recipe(
        "animals", n=6000, epochs=16, batch=64, rate=1e-3, decay=5e-2, longest_step=1.0
    ),
    "scenes": Recipe(
        "scenes", n=4000, epochs=7, batch=20, rate=3e-3, smoothing=0.02, task="segmentation"
    ),
    "digits": Recipe("digits", n=1240, epochs=25, mirrors=False, shift_px=2),
}
