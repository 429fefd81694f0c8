"""The statistics of TCAV: random streams, permutation p, Holm, Wilson and bootstrap intervals."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ConceptError

Values = npt.NDArray[np.float64]

MAX_PSEUDO_CONCEPTS = 100_000
"""More than this are not drawn: each is fitted, and their weights have to fit into memory."""


def stream(seed: int, *key: str | int) -> np.random.Generator:
    """Return the random numbers that belong to a seed and a key of words and numbers.

    What is drawn for one purpose depends on nothing that is drawn for another, so neither the
    order of the concepts nor their number changes a result.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *key))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def wilson(share: float, n: float, confidence_z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share of n trials (Wilson 1927), inside 0..1."""
    if n <= 0:
        return 0.0, 1.0
    z2 = confidence_z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = confidence_z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def permutation_p(observed: float, null: npt.NDArray[Any]) -> float:
    """Return the two-sided p = (1 + #{|null| >= |observed|}) / (N + 1).

    Parameters
    ----------
    observed
        The statistic.
    null
        [N]: the same statistic of what is exchangeable with it if there is no effect.
    """
    # Equal up to rounding counts as at least as large, as it must for p to be valid.
    edge = abs(observed) * (1 - 1e-9)
    return float((1 + np.count_nonzero(np.abs(null) >= edge)) / (len(null) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979): reject where adjusted <= alpha.

    The chance of one false rejection or more stays at most alpha, however the tests depend on one
    another.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def n_pseudo_concepts(n_null: int, n_tests: int, alpha: float) -> int:
    """Return how many pseudo-concepts let the smallest p pass Holm: N >= tests / alpha.

    Raises
    ------
    ConceptError
        If these are more than 100,000.
    """
    if n_tests > MAX_PSEUDO_CONCEPTS * alpha * (1 + 1e-9):
        raise ConceptError(
            f"alpha is {alpha:g} for {n_tests:,} test{'' if n_tests == 1 else 's'} (concepts x "
            f"layers), which takes more than {MAX_PSEUDO_CONCEPTS:,} pseudo-concepts: give an "
            f"alpha of at least {n_tests / MAX_PSEUDO_CONCEPTS:g}, or fewer concepts or layers."
        )
    return max(n_null, math.ceil(n_tests / alpha - 1e-9))


def bootstrap_interval(
    derivatives: npt.NDArray[Any],
    norms: npt.NDArray[Any],
    rng: np.random.Generator,
    n_draws: int = 1000,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the magnitude.

    Parameters
    ----------
    derivatives
        [S, N]: directional derivative of N images along the CAV against each of S random sets.
        Images and random sets are drawn anew, with replacement.
    norms
        [N]: length of each image's gradient.
    rng
        Where the draws come from.
    n_draws
        How many.
    """
    n_sets, n_images = derivatives.shape
    images = rng.multinomial(n_images, np.full(n_images, 1 / n_images), n_draws) / n_images
    sets = rng.multinomial(n_sets, np.full(n_sets, 1 / n_sets), n_draws) / n_sets
    means = np.einsum("ds,sn,dn->d", sets, derivatives, images, optimize=True)
    lengths = images @ norms
    values = np.divide(means, lengths, out=np.zeros(n_draws), where=lengths > 0)
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
