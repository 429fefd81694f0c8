"""Methods that explain a score, each written once over the model contract."""

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.cam import GradCAM
from xai_widgets.explainers.gradient import Gradient, InputXGradient
from xai_widgets.explainers.integrated_gradients import IntegratedGradients
from xai_widgets.explainers.registry import methods
from xai_widgets.explainers.run import explain, explain_stream
from xai_widgets.explainers.smoothing import SmoothGrad

__all__ = [
    "Attribution",
    "Cost",
    "Explainer",
    "GradCAM",
    "Gradient",
    "InputXGradient",
    "IntegratedGradients",
    "Progress",
    "SmoothGrad",
    "Stream",
    "explain",
    "explain_stream",
    "methods",
    "parameter",
]
