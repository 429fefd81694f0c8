"""Explain vision models by clicking: checked, verified explanations in JupyterLab.

Frameworks, plotting and widgets are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_widgets import demo, errors, evaluation, features
    from xai_widgets.concepts.store import ConceptStore
    from xai_widgets.concepts.tcav import tcav
    from xai_widgets.evaluation.normalise import normalise
    from xai_widgets.evaluation.run import evaluate
    from xai_widgets.explainers.registry import methods
    from xai_widgets.explainers.run import explain
    from xai_widgets.explanation import Explanation
    from xai_widgets.features.dream import deep_dream
    from xai_widgets.features.visualise import visualise
    from xai_widgets.models.base import ExplainableModel
    from xai_widgets.models.images import ImageSet, open_image
    from xai_widgets.models.loading import load
    from xai_widgets.models.preprocessing import Preprocessing
    from xai_widgets.models.readiness.checking import check
    from xai_widgets.models.readiness.report import Report
    from xai_widgets.models.targets import (
        ClassTarget,
        FunctionTarget,
        LayerTarget,
        RegionTarget,
    )
    from xai_widgets.widgets.attention.view import AttentionView
    from xai_widgets.widgets.comparison.comparison import Comparison
    from xai_widgets.widgets.explorer.explorer import Explorer, explore
    from xai_widgets.widgets.gallery.gallery import FeatureGallery
    from xai_widgets.widgets.lesson.canvas import lesson_canvas
    from xai_widgets.widgets.readiness.panel import ReadinessPanel
    from xai_widgets.widgets.scrubber.scrubber import PathScrubber
    from xai_widgets.widgets.sketch.pad import SketchPad
    from xai_widgets.widgets.workbench.workbench import ConceptWorkbench

_HOMES = {
    "AttentionView": "xai_widgets.widgets.attention.view",
    "ClassTarget": "xai_widgets.models.targets",
    "Comparison": "xai_widgets.widgets.comparison.comparison",
    "ConceptStore": "xai_widgets.concepts.store",
    "ConceptWorkbench": "xai_widgets.widgets.workbench.workbench",
    "FunctionTarget": "xai_widgets.models.targets",
    "LayerTarget": "xai_widgets.models.targets",
    "RegionTarget": "xai_widgets.models.targets",
    "ExplainableModel": "xai_widgets.models.base",
    "Explanation": "xai_widgets.explanation",
    "Explorer": "xai_widgets.widgets.explorer.explorer",
    "FeatureGallery": "xai_widgets.widgets.gallery.gallery",
    "ImageSet": "xai_widgets.models.images",
    "PathScrubber": "xai_widgets.widgets.scrubber.scrubber",
    "Preprocessing": "xai_widgets.models.preprocessing",
    "ReadinessPanel": "xai_widgets.widgets.readiness.panel",
    "SketchPad": "xai_widgets.widgets.sketch.pad",
    "Report": "xai_widgets.models.readiness.report",
    "deep_dream": "xai_widgets.features.dream",
    "check": "xai_widgets.models.readiness.checking",
    "evaluate": "xai_widgets.evaluation.run",
    "explain": "xai_widgets.explainers.run",
    "explore": "xai_widgets.widgets.explorer.explorer",
    "lesson_canvas": "xai_widgets.widgets.lesson.canvas",
    "load": "xai_widgets.models.loading",
    "methods": "xai_widgets.explainers.registry",
    "normalise": "xai_widgets.evaluation.normalise",
    "open_image": "xai_widgets.models.images",
    "tcav": "xai_widgets.concepts.tcav",
    "visualise": "xai_widgets.features.visualise",
}
_MODULES = ("demo", "errors", "evaluation", "features")

__version__ = "0.1.0"
__all__ = [
    "AttentionView",
    "ClassTarget",
    "Comparison",
    "ConceptStore",
    "ConceptWorkbench",
    "ExplainableModel",
    "Explanation",
    "Explorer",
    "FeatureGallery",
    "FunctionTarget",
    "ImageSet",
    "LayerTarget",
    "PathScrubber",
    "Preprocessing",
    "ReadinessPanel",
    "RegionTarget",
    "Report",
    "SketchPad",
    "check",
    "deep_dream",
    "demo",
    "errors",
    "evaluate",
    "evaluation",
    "explain",
    "explore",
    "features",
    "lesson_canvas",
    "load",
    "methods",
    "normalise",
    "open_image",
    "tcav",
    "visualise",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"xai_widgets.{name}")
    raise AttributeError(f"module 'xai_widgets' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names without importing them."""
    return sorted([*__all__, "__version__"])
