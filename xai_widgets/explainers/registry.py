"""Which methods exist and which of them apply to a model."""

import warnings
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from xai_widgets.errors import MethodError, near_matches
from xai_widgets.explainers.attention import AttentionRelevance, AttentionRollout
from xai_widgets.explainers.base import Explainer, parameter_records
from xai_widgets.explainers.blur_ig import BlurIG
from xai_widgets.explainers.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from xai_widgets.explainers.deep_shap import DeepSHAP
from xai_widgets.explainers.eigen_cam import EigenCAM
from xai_widgets.explainers.expected_gradients import ExpectedGradients
from xai_widgets.explainers.gradient import Gradient, InputXGradient
from xai_widgets.explainers.gradient_shap import GradientSHAP
from xai_widgets.explainers.guided import Deconvolution, GuidedBackprop, GuidedGradCAM
from xai_widgets.explainers.guided_ig import GuidedIG
from xai_widgets.explainers.integrated_gradients import IntegratedGradients
from xai_widgets.explainers.noise_grad import FusionGrad, NoiseGrad
from xai_widgets.explainers.occlusion import Occlusion
from xai_widgets.explainers.rise import RISE
from xai_widgets.explainers.score_cam import ScoreCAM
from xai_widgets.explainers.shapley import ShapleySampling
from xai_widgets.explainers.smoothing import SmoothGrad, SmoothGradSquared, VarGrad
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

ENTRY_POINT_GROUP = "xai_widgets.explainers"
BUILT_IN: tuple[type[Explainer], ...] = (
    GradCAM,
    IntegratedGradients,
    SmoothGrad,
    Gradient,
    InputXGradient,
    SmoothGradSquared,
    VarGrad,
    GuidedBackprop,
    Deconvolution,
    GuidedGradCAM,
    ExpectedGradients,
    BlurIG,
    GuidedIG,
    GradCAMPlusPlus,
    HiResCAM,
    XGradCAM,
    LayerCAM,
    ScoreCAM,
    EigenCAM,
    GradientSHAP,
    DeepSHAP,
    ShapleySampling,
    NoiseGrad,
    FusionGrad,
    Occlusion,
    RISE,
    AttentionRollout,
    AttentionRelevance,
)


@lru_cache(maxsize=1)
def explainers() -> dict[str, type[Explainer]]:
    """Return all explainers by name: our own, then those that other packages register.

    Somebody else's broken package must not take the other methods away: a plug-in that cannot be
    loaded, is no `Explainer`, or takes a name that is in use is left out with a warning.
    """
    known = {explainer.name: explainer for explainer in BUILT_IN}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        reason = _add(known, entry)
        if reason is not None:
            warnings.warn(
                f"The explainer plug-in {entry.value!r} {reason}: update or uninstall its package.",
                stacklevel=3,
            )
    return known


def _add(known: dict[str, type[Explainer]], entry: EntryPoint) -> str | None:
    """Add a plug-in's explainer to the known ones, or return why not."""
    try:
        plugin = entry.load()
        if not issubclass(plugin, Explainer):
            return "is no Explainer class"
        str(plugin().cost)
        parameter_records(plugin)
    except Exception as error:
        return f"cannot be loaded ({type(error).__name__}: {error})"
    if known.setdefault(plugin.name, plugin) is not plugin:
        return f"takes the name {plugin.name!r}, which is in use"
    return None


def find(method: str) -> type[Explainer]:
    """Return the explainer with this name.

    Raises
    ------
    MethodError
        If there is none, with near matches.
    """
    known = explainers()
    if method not in known:
        raise MethodError(f"There is no method {method!r}.{near_matches(str(method), known)}")
    return known[method]


def methods(model: Any) -> list[dict[str, Any]]:
    """List all methods and say which of them apply to a model.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.

    Returns
    -------
    list of dict
        Records with "method", "title", "family", "needs", "applicable", "reason" (why not, or
        None), "note" (what to know of its maps, or None), "cost" (with default parameters),
        "uses_layer" and "reference".
    """
    loaded = load(model)
    return [_record(explainer, loaded) for explainer in explainers().values()]


def _record(explainer: type[Explainer], model: ExplainableModel) -> dict[str, Any]:
    reason = model.capabilities.reason(explainer.needs)
    return {
        "method": explainer.name,
        "title": explainer.title,
        "family": explainer.family,
        "needs": list(explainer.needs),
        "applicable": reason is None,
        "reason": reason,
        "note": explainer.caveat(model) if reason is None else None,
        "cost": str(explainer().cost),
        "uses_layer": explainer.uses_layer,
        "reference": explainer.reference,
    }
