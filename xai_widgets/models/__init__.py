"""Anything that predicts becomes an `ExplainableModel`."""

from xai_widgets.models.base import (
    Capabilities,
    ExplainableModel,
    ForwardPass,
    Gradients,
    Layer,
    PreparedImage,
)
from xai_widgets.models.images import DisplayImage, ImageSet, open_image
from xai_widgets.models.loading import load
from xai_widgets.models.preprocessing import Placement, Preprocessing
from xai_widgets.models.targets import ClassTarget

__all__ = [
    "Capabilities",
    "ClassTarget",
    "DisplayImage",
    "ExplainableModel",
    "ForwardPass",
    "Gradients",
    "ImageSet",
    "Layer",
    "Placement",
    "PreparedImage",
    "Preprocessing",
    "load",
    "open_image",
]
