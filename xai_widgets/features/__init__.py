"""Feature visualisation and DeepDream: what classes, layers, channels and directions look for."""

from xai_widgets.features import objectives
from xai_widgets.features.dream import DreamStep, deep_dream, deep_dream_stream
from xai_widgets.features.dreamed import Dream
from xai_widgets.features.exciting import Exciting, TopStep, top_images, top_images_stream
from xai_widgets.features.firing import Firing, firing_channels
from xai_widgets.features.mixtures import mixtures
from xai_widgets.features.objective import Objective
from xai_widgets.features.transforms import Transforms
from xai_widgets.features.visualisation import Best, History, Visualisation
from xai_widgets.features.visualise import Step, visualise, visualise_stream

__all__ = [
    "Best",
    "Dream",
    "DreamStep",
    "Exciting",
    "Firing",
    "History",
    "Objective",
    "Step",
    "TopStep",
    "Transforms",
    "Visualisation",
    "deep_dream",
    "deep_dream_stream",
    "firing_channels",
    "mixtures",
    "objectives",
    "top_images",
    "top_images_stream",
    "visualise",
    "visualise_stream",
]
