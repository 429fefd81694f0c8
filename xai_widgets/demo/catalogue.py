"""The trained demo networks by name, ready to be explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import DependencyError

from .data import CLASS_NAMES
from .designs import DESIGNS
from .names import choice

if TYPE_CHECKING:
    from xai_widgets.models.base import ExplainableModel

DATA_OF = {
    "lesions": "lesions",
    "lesions-shortcut": "lesions",
    "lesion-area": "lesions",
    "animals": "animals",
    "scenes": "scenes",
    "digits": "digits",
}
"""The data set that each demo network was made for."""

TASKS = {"scenes": "segmentation", "lesion-area": "regression"}
"""What the networks do that do not classify pictures."""

FRAMEWORKS = ("torch", "tensorflow")
ARCHITECTURES = {"animals": ("cnn", "vit")}
"""The architectures of the networks that have several; the first is the usual one."""


def model(name: str, framework: str = "torch", architecture: str = "cnn") -> ExplainableModel:
    """Return a trained demo network.

    Parameters
    ----------
    name : str
        "lesions" and "lesions-shortcut" tell benign from malignant; the second was trained where a
        ruler lay beside every malignant lesion and no other. "lesion-area" estimates the share of
        the picture that the lesion covers. "animals" tells five coats apart, "digits" ten digits.
        "scenes" gives each pixel one of five classes or the background.
    framework : str
        "torch" or "tensorflow" (Keras 3): the same weights in either.
    architecture : str
        "cnn": a small residual network, for "scenes" a U-Net. "vit", for "animals": a small vision
        transformer with a class token.

    Raises
    ------
    DemoError
        If there is no such model.
    DependencyError
        If the framework is not installed.
    """
    name = choice(name, DATA_OF, "demo model")
    framework = choice(framework, FRAMEWORKS, "framework for the demo models called")
    known = ARCHITECTURES.get(name, ("cnn",))
    architecture = choice(architecture, known, f'architecture of the demo model "{name}" called')
    weights = name if architecture == known[0] else f"{name}-{architecture}"
    build = _builder(framework)
    from xai_widgets.models import Preprocessing, load

    design = DESIGNS[weights]
    task = TASKS.get(name)
    return load(
        build(weights),
        labels=("lesion area",) if task == "regression" else CLASS_NAMES[DATA_OF[name]],
        preprocessing=Preprocessing(
            size=(design.size, design.size), mean=design.mean, std=design.std
        ),
        task=task,
    )


def _builder(framework: str) -> Callable[[str], Any]:
    """Return what builds the demo networks of a framework, which is imported here."""
    title, extra = {"torch": ("PyTorch", "torch"), "tensorflow": ("TensorFlow", "tensorflow")}[
        framework
    ]
    try:
        if framework == "tensorflow":
            from .keras_networks import build as build_keras

            return build_keras
        from .networks import build

        return build
    except ImportError as error:
        raise DependencyError(
            f"The demo models need {title}, which is not installed; install it with: "
            f'pip install "xai-widgets[{extra}]".'
        ) from error
