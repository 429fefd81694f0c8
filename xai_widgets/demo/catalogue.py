"""The trained demo networks by name, ready to be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xai_widgets.errors import DependencyError

from .data import CLASS_NAMES
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

FRAMEWORKS = ("torch",)
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
        "torch".
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
    try:
        import torch as _  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "The demo models need PyTorch, which is not installed; install it with: "
            'pip install "xai-widgets[torch]".'
        ) from error
    from xai_widgets.models import Preprocessing, load

    from .networks import DESIGNS, build

    design = DESIGNS[name]
    return load(
        build(name),
        labels=CLASS_NAMES[DATA_OF[name]],
        preprocessing=Preprocessing(
            size=(design.size, design.size), mean=design.mean, std=design.std
        ),
    )
