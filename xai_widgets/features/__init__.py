"""Feature visualisation and DeepDream: what classes, layers, channels and directions look for."""

from xai_widgets.features import objectives
from xai_widgets.features.transforms import Transforms
from xai_widgets.features.visualisation import Visualisation
from xai_widgets.features.visualise import Step, visualise, visualise_stream

__all__ = [
    "Step",
    "Transforms",
    "Visualisation",
    "objectives",
    "visualise",
    "visualise_stream",
]
