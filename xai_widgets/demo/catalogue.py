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
    "animals": "animals",
    "digits": "digits",
}
"""The data set that each demo network classifies."""

FRAMEWORKS = ("torch", "tensorflow")
ARCHITECTURES = ("cnn",)


def model(name: str, framework: str = "torch", architecture: str = "cnn") -> ExplainableModel:
    """Return a trained demo network.

    Parameters
    ----------
    name : str
        "lesions" and "lesions-shortcut" tell benign from malignant; the second was trained where a
        ruler lay beside every malignant lesion and no other. "animals" tells five coats apart,
        "digits" ten digits.
    framework : str
        "torch" or "tensorflow" (Keras 3): the same weights in either.
    architecture : str
        "cnn": a small residual network.

    Raises
    ------
    DemoError
        If there is no such model.
    DependencyError
        If the framework is not installed.
    """
    name = choice(name, DATA_OF, "demo model")
    framework = choice(framework, FRAMEWORKS, "framework for the demo models called")
    architecture = choice(architecture, ARCHITECTURES, "demo architecture")
    build = _builder(framework)
    from xai_widgets.models import Preprocessing, load

    design = DESIGNS[name]
    return load(
        build(name),
        labels=CLASS_NAMES[DATA_OF[name]],
        preprocessing=Preprocessing(
            size=(design.size, design.size), mean=design.mean, std=design.std
        ),
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
