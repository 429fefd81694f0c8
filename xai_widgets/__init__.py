"""Explain vision models by clicking: checked, verified explanations in JupyterLab.

Frameworks, plotting and widgets are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_widgets import demo, errors, evaluation
    from xai_widgets.concepts.store import ConceptStore
    from xai_widgets.concepts.tcav import tcav
    from xai_widgets.evaluation.normalise import normalise
    from xai_widgets.evaluation.run import evaluate
    from xai_widgets.explainers.registry import methods
    from xai_widgets.explainers.run import explain
    from xai_widgets.explanation import Explanation
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
    from xai_widgets.widgets.attention_view import AttentionView
    from xai_widgets.widgets.concept_workbench import ConceptWorkbench
    from xai_widgets.widgets.explorer import Explorer, explore
    from xai_widgets.widgets.lesson_canvas import lesson_canvas
    from xai_widgets.widgets.path_scrubber import PathScrubber
    from xai_widgets.widgets.readiness_panel import ReadinessPanel
    from xai_widgets.widgets.sketch_pad import SketchPad

_HOMES = {
    "AttentionView": "xai_widgets.widgets.attention_view",
    "ClassTarget": "xai_widgets.models.targets",
    "ConceptStore": "xai_widgets.concepts.store",
    "ConceptWorkbench": "xai_widgets.widgets.concept_workbench",
    "FunctionTarget": "xai_widgets.models.targets",
    "LayerTarget": "xai_widgets.models.targets",
    "RegionTarget": "xai_widgets.models.targets",
    "ExplainableModel": "xai_widgets.models.base",
    "Explanation": "xai_widgets.explanation",
    "Explorer": "xai_widgets.widgets.explorer",
    "ImageSet": "xai_widgets.models.images",
    "PathScrubber": "xai_widgets.widgets.path_scrubber",
    "Preprocessing": "xai_widgets.models.preprocessing",
    "ReadinessPanel": "xai_widgets.widgets.readiness_panel",
    "Report": "xai_widgets.models.readiness.report",
    "SketchPad": "xai_widgets.widgets.sketch_pad",
    "check": "xai_widgets.models.readiness.checking",
    "evaluate": "xai_widgets.evaluation.run",
    "explain": "xai_widgets.explainers.run",
    "explore": "xai_widgets.widgets.explorer",
    "lesson_canvas": "xai_widgets.widgets.lesson_canvas",
    "load": "xai_widgets.models.loading",
    "methods": "xai_widgets.explainers.registry",
    "normalise": "xai_widgets.evaluation.normalise",
    "open_image": "xai_widgets.models.images",
    "tcav": "xai_widgets.concepts.tcav",
}
_MODULES = ("demo", "errors", "evaluation")

__version__ = "0.1.0"
__all__ = [
    "AttentionView",
    "ClassTarget",
    "ConceptStore",
    "ConceptWorkbench",
    "ExplainableModel",
    "Explanation",
    "Explorer",
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
    "demo",
    "errors",
    "evaluate",
    "evaluation",
    "explain",
    "explore",
    "lesson_canvas",
    "load",
    "methods",
    "normalise",
    "open_image",
    "tcav",
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
