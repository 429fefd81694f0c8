"""Quantus on maps that are standardised already: an adapter to an optional package.

Quantus 0.6 normalises the whole batch at once and before taking magnitudes, so that one picture's
map changes another's score. Here it gets each map in its final form, with abs=False and
normalise=False, and copies, because it writes into what it is given.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MetricError
from xai_widgets.evaluation.base import Mask, channel_sum
from xai_widgets.evaluation.localisation import placed
from xai_widgets.evaluation.normalise import Normalisation, inside_picture
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.optional import need
from xai_widgets.models.targets import ClassTarget

NAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "complexity": ("Complexity", {}),
    "sparseness": ("Sparseness", {}),
    "pointing_game": ("PointingGame", {}),
    "mass_accuracy": ("RelevanceMassAccuracy", {}),
    "rank_accuracy": ("RelevanceRankAccuracy", {}),
    "pixel_flipping": ("PixelFlipping", {"perturb_baseline": "black"}),
    "infidelity": ("Infidelity", {"perturb_baseline": "mean"}),
}
"""Our names, and what they are called in Quantus."""

Floats = npt.NDArray[np.float32]


def quantus_scores(
    explanations: Sequence[Explanation],
    metric: str | Any,
    model: Any = None,
    masks: Sequence[Any] | None = None,
    normalisation: Normalisation | Literal[False] | None = None,
    **parameters: Any,
) -> npt.NDArray[np.float64]:
    """Let Quantus compute a metric on standardised maps.

    Parameters
    ----------
    explanations
        One a picture, of class targets, on inputs of one size.
    metric
        One of our names in `NAMES`, the name of a Quantus class, or an instance of one made with
        abs=False and normalise=False.
    model
        For metrics that ask it: a PyTorch model of 2-D outputs (Quantus asks for older Keras
        than ours).
    masks
        One a picture, for metrics that compare with them.
    normalisation
        How maps are standardised; None for the default. Metrics that multiply a map with the
        picture, as infidelity does, want the map itself: give False.
    parameters
        Of the Quantus metric.

    Returns
    -------
    ndarray
        What Quantus returns, [N] or, for curves, [N, steps].

    Raises
    ------
    DependencyError
        If Quantus is not installed.
    MetricError
        If Quantus has no such metric, or would standardise the maps once more.
    """
    package = need("quantus", "This score")
    called = _metric(package, metric, parameters)
    steps = Normalisation() if normalisation is None else normalisation
    batch = [one.image.values.transpose(2, 0, 1) for one in explanations]
    arguments = {
        "model": None if model is None else _module(load(model)),
        "x_batch": np.stack(batch).copy(),
        "y_batch": np.asarray([_class(one) for one in explanations]),
        "a_batch": np.stack([_map(one, steps) for one in explanations])[:, None],
        "s_batch": None if masks is None else _masks(masks, explanations),
        "channel_first": True,
        "softmax": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(called(**arguments), dtype=np.float64)


def _metric(package: Any, metric: Any, parameters: Mapping[str, Any]) -> Any:
    if not isinstance(metric, str):
        if metric.normalise or metric.abs:
            raise MetricError(
                "The Quantus metric would standardise maps once more, over the whole batch: make "
                "it with abs=False and normalise=False."
            )
        return metric
    name, usual = NAMES.get(metric, (metric, {}))
    kind = getattr(package, name, None)
    if kind is None:
        raise MetricError(f"Quantus has no metric {name!r}: use one of {', '.join(NAMES)}.")
    fixed = {"abs": False, "normalise": False, "disable_warnings": True}
    return kind(**{**usual, **parameters, **fixed})


def _map(explanation: Explanation, steps: Normalisation | Literal[False]) -> Floats:
    """Return the map that Quantus judges, a copy."""
    if steps is False:
        return channel_sum(explanation.attribution).copy()
    inside = inside_picture(explanation.image, steps.size or explanation.attribution.shape[:2])
    return steps(explanation.attribution, inside)


def _masks(masks: Sequence[Any], explanations: Sequence[Explanation]) -> Mask:
    placed_masks = [placed(*pair) for pair in zip(masks, _images(explanations), strict=True)]
    return np.stack(placed_masks)[:, None]


def _images(explanations: Sequence[Explanation]) -> list[Any]:
    return [explanation.image for explanation in explanations]


def _class(explanation: Explanation) -> int:
    target = explanation.target
    if not isinstance(target, ClassTarget) or target.versus is not None:
        raise MetricError(
            f"Quantus knows classes alone, and {explanation.target_text!r} is none: explain a "
            "class."
        )
    return int(target.index)


def _module(model: ExplainableModel) -> Any:
    if model.framework != "torch":
        raise MetricError(
            f"Quantus can ask PyTorch models here, and {model.name} is one of {model.framework}: "
            "use our own metric of this name, which is the same on both."
        )
    return model.source
