"""Whether a map adds up: its sum against the difference of scores that it distributes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_widgets.errors import MetricError
from xai_widgets.evaluation.base import Case, Metric
from xai_widgets.explainers.masking import whole_score


@dataclass(frozen=True)
class CompletenessGap(Metric):
    """|sum of the map - (f(x) - f(b))| / |f(x) - f(b)|, for methods that distribute the score.

    The baseline's score is what the method says of itself; else b is the zero tensor.

    References
    ----------
    Sundararajan et al. 2017, arXiv:1703.01365.
    """

    name: ClassVar[str] = "completeness_gap"
    title: ClassVar[str] = "Completeness gap"
    family: ClassVar[str] = "axioms"
    direction: ClassVar[str] = "lower"
    minimum: ClassVar[float | None] = 0.0
    meaning: ClassVar[str] = "the map's sum is the difference of the scores it distributes"
    failing: ClassVar[str] = "the map's sum misses the difference of the scores: take more steps"
    reference: ClassVar[str] = "Sundararajan et al. 2017, arXiv:1703.01365"
    needs: ClassVar[tuple[str, ...]] = ("model",)
    controls: ClassVar[tuple[str, ...]] = ("zero",)

    def score(self, case: Case) -> float:
        """Return the gap as a share of the difference."""
        assert case.model is not None and case.target is not None
        if not case.distributes:
            raise MetricError(
                f"{self.title} is for methods that distribute the score, and {case.method} does "
                "not: leave it out."
            )
        baseline = case.diagnostics.get("score_baseline")
        if baseline is None:
            baseline = whole_score(case.model, np.zeros_like(case.image.values), case.target)
        difference = whole_score(case.model, case.image.values, case.target) - float(baseline)
        if difference == 0:
            raise MetricError(
                f"{self.title} is not defined here: picture and baseline have the same score. "
                "Choose another baseline."
            )
        return abs(float(case.attribution.sum(dtype=np.float64)) - difference) / abs(difference)
