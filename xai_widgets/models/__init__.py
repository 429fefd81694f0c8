"""Anything that predicts becomes an `ExplainableModel`."""

from xai_widgets.models.architecture import Layer
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import DisplayImage, ImageSet, open_image
from xai_widgets.models.loading import load
from xai_widgets.models.preprocessing import Placement, Preprocessing
from xai_widgets.models.primitives import Capabilities, ForwardPass, Gradients, PreparedImage
from xai_widgets.models.targets import (
    ClassTarget,
    FunctionTarget,
    LayerTarget,
    RegionTarget,
    Target,
)

__all__ = [
    "Capabilities",
    "ClassTarget",
    "DisplayImage",
    "ExplainableModel",
    "ForwardPass",
    "FunctionTarget",
    "Gradients",
    "ImageSet",
    "Layer",
    "LayerTarget",
    "Placement",
    "PreparedImage",
    "Preprocessing",
    "RegionTarget",
    "Target",
    "load",
    "open_image",
]
