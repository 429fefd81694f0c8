"""Which explanation to believe: maps standardised first, then judged by several tests."""

from xai_widgets.evaluation.agreement import agreement_matrix
from xai_widgets.evaluation.base import Case, Metric
from xai_widgets.evaluation.cascade import Cascade
from xai_widgets.evaluation.curve_data import cascade, curve, random_curve
from xai_widgets.evaluation.curves import Curve
from xai_widgets.evaluation.distribution import Distribution, distribution
from xai_widgets.evaluation.normalise import Normalisation, normalise
from xai_widgets.evaluation.records import Record, summarise
from xai_widgets.evaluation.registry import metric, metrics
from xai_widgets.evaluation.run import Progress, evaluate, evaluate_stream
from xai_widgets.evaluation.scorecard import Scorecard, scorecard
from xai_widgets.evaluation.verdict import sanity_verdict

__all__ = [
    "Cascade",
    "Case",
    "Curve",
    "Distribution",
    "Metric",
    "Normalisation",
    "Progress",
    "Record",
    "Scorecard",
    "agreement_matrix",
    "cascade",
    "curve",
    "distribution",
    "evaluate",
    "evaluate_stream",
    "metric",
    "metrics",
    "normalise",
    "random_curve",
    "sanity_verdict",
    "scorecard",
    "summarise",
]
