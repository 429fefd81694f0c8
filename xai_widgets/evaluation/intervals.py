"""Intervals over images: how much a mean would move had other images been drawn."""

from collections.abc import Sequence

import numpy as np

N_RESAMPLES = 2000


def interval(
    values: Sequence[float],
    confidence: float = 0.95,
    seed: int = 0,
    minimum: float | None = None,
    maximum: float | None = None,
) -> tuple[float, float] | None:
    """Return (low, high) of the mean over images, by bootstrap; None for fewer than two.

    Resampled means are spread by sqrt(n / (n - 1)) around the mean, as a resample is too narrow by
    that much, and kept within the range of the metric.

    Parameters
    ----------
    values
        One per image.
    confidence
        Share of the resampled means between low and high.
    seed
        Of the resampling.
    minimum, maximum
        Ends of the metric's range.

    References
    ----------
    Efron, Tibshirani 1993, "An Introduction to the Bootstrap".
    """
    array = np.asarray(values, dtype=np.float64)
    n = array.size
    if n < 2:
        return None
    drawn = np.random.default_rng(seed).integers(0, n, (N_RESAMPLES, n))
    means = array[drawn].mean(axis=1)
    spread = array.mean() + (means - array.mean()) * np.sqrt(n / (n - 1))
    tail = (1 - confidence) / 2
    low, high = np.clip(
        np.quantile(spread, [tail, 1 - tail]),
        -np.inf if minimum is None else minimum,
        np.inf if maximum is None else maximum,
    )
    return float(low), float(high)
