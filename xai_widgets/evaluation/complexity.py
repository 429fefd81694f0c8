"""How much of the picture a map points at: entropy and sparseness of the standardised map."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.evaluation.base import Case, Metric
from xai_widgets.evaluation.checks import Check, flag


def entropy(values: npt.ArrayLike) -> float:
    """Return the entropy of |a| / sum|a| in nats (Bhatt et al. 2020).

    From 0 (all on one pixel) to ln(n) (the same everywhere). Not changed by scaling the map.
    """
    magnitude = np.abs(np.asarray(values, dtype=np.float64)).ravel()
    shares = magnitude[magnitude > 0] / magnitude.sum()
    return float(-(shares * np.log(shares)).sum())


def sparseness(values: npt.ArrayLike) -> float:
    """Return the Gini index of the magnitudes (Chalasani et al. 2020).

    From 0 (the same everywhere) to (n - 1) / n (all on one pixel).
    """
    magnitude = np.sort(np.abs(np.asarray(values, dtype=np.float64)).ravel())
    n = magnitude.size
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float((weights * magnitude).sum() / (n * magnitude.sum()))


@dataclass(frozen=True)
class Complexity(Metric):
    """Entropy of the standardised map, as a share of that of a flat one if ``relative``.

    References
    ----------
    Bhatt et al. 2020, arXiv:2005.00631.
    """

    name: ClassVar[str] = "complexity"
    title: ClassVar[str] = "Complexity"
    family: ClassVar[str] = "complexity"
    direction: ClassVar[str] = "lower"
    minimum: ClassVar[float | None] = 0.0
    unit: ClassVar[str] = "nat"
    meaning: ClassVar[str] = "the map points at few pixels; says nothing on whether these matter"
    judges: ClassVar[bool] = False
    reference: ClassVar[str] = "Bhatt et al. 2020, arXiv:2005.00631"
    checks: ClassVar[Mapping[str, Check]] = {"relative": flag}

    relative: bool = False

    def score(self, case: Case) -> float:
        """Return the entropy."""
        value = entropy(case.judged)
        return value / float(np.log(case.judged.size)) if self.relative else value

    def bounds(self, case: Case) -> tuple[float | None, float | None]:
        """Return 0 and the entropy of a flat map."""
        return 0.0, 1.0 if self.relative else float(np.log(case.judged.size))


@dataclass(frozen=True)
class Sparseness(Metric):
    """Gini index of the standardised map.

    References
    ----------
    Chalasani et al. 2020, arXiv:1810.06583.
    """

    name: ClassVar[str] = "sparseness"
    title: ClassVar[str] = "Sparseness"
    family: ClassVar[str] = "complexity"
    direction: ClassVar[str] = "higher"
    minimum: ClassVar[float | None] = 0.0
    maximum: ClassVar[float | None] = 1.0
    meaning: ClassVar[str] = (
        "few pixels carry most of the map; says nothing on whether these matter"
    )
    judges: ClassVar[bool] = False
    reference: ClassVar[str] = "Chalasani et al. 2020, arXiv:1810.06583"

    def score(self, case: Case) -> float:
        """Return the Gini index."""
        return sparseness(case.judged)
