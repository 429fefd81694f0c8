"""Which metrics exist, by name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from xai_widgets.errors import MetricError, near_matches
from xai_widgets.evaluation.agreement import Agreement
from xai_widgets.evaluation.base import Metric
from xai_widgets.evaluation.completeness import CompletenessGap
from xai_widgets.evaluation.complexity import Complexity, Sparseness
from xai_widgets.evaluation.faithfulness import Deletion, Infidelity, Insertion, PixelFlipping
from xai_widgets.evaluation.localisation import (
    MassAccuracy,
    MassDensity,
    PointingGame,
    RankAccuracy,
    TopAreaIoU,
)
from xai_widgets.evaluation.robustness import (
    LightingStability,
    MaxSensitivity,
    NoiseStability,
    ShiftStability,
)
from xai_widgets.evaluation.sanity import DataRandomisation, WeightRandomisation

BUILT_IN: tuple[type[Metric], ...] = (
    Complexity,
    Sparseness,
    Deletion,
    Insertion,
    PixelFlipping,
    Infidelity,
    MaxSensitivity,
    ShiftStability,
    NoiseStability,
    LightingStability,
    PointingGame,
    MassAccuracy,
    MassDensity,
    RankAccuracy,
    TopAreaIoU,
    WeightRandomisation,
    DataRandomisation,
    CompletenessGap,
    Agreement,
)
METRICS: Mapping[str, type[Metric]] = {metric.name: metric for metric in BUILT_IN}

DEFAULT = ("complexity", "sparseness", "deletion", "insertion", "weight_randomisation")
DEFAULT_WITH_MASKS = (*DEFAULT, "pointing_game", "mass_accuracy", "rank_accuracy")


def metric(metric: Any, **parameters: Any) -> Metric:
    """Return a metric by its name, or the instance that was given.

    Raises
    ------
    MetricError
        If there is no such metric, or a parameter of it, with near matches.
    """
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str) or metric not in METRICS:
        raise MetricError(f"There is no metric {metric!r}.{near_matches(str(metric), METRICS)}")
    kind = METRICS[metric]
    known = [entry.name for entry in fields(kind)]
    for name in parameters:
        if name not in known:
            raise MetricError(f"{kind.title} has no parameter {name!r}.{near_matches(name, known)}")
    return kind(**parameters)


def metrics() -> list[dict[str, Any]]:
    """List all metrics: records of name, direction, range, meaning, needs, controls and paper."""
    return [
        {
            "metric": kind.name,
            "title": kind.title,
            "family": kind.family,
            "direction": kind.direction,
            "minimum": kind.minimum,
            "maximum": kind.maximum,
            "unit": kind.unit,
            "meaning": kind.meaning,
            "needs": list(kind.needs),
            "controls": list(kind.controls),
            "parameters": kind().parameters(),
            "reference": kind.reference,
        }
        for kind in BUILT_IN
    ]
