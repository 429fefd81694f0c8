"""One concept at one layer: its CAVs, whether they separate, and the null it is tested against.

Everything is fitted once from inner products and holds for every class; a class then costs one
product of its gradients with the pictures' features.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.cav import fit, held_out_accuracy, stratified_folds
from xai_widgets.concepts.sampling import (
    PseudoConcept,
    pseudo_concepts,
    random_sets,
    set_size,
    shuffled_concepts,
)
from xai_widgets.concepts.statistics import bootstrap_interval, permutation_p, wilson

Array = npt.NDArray[np.float64]
Streams = Callable[..., np.random.Generator]

N_FOLDS = 5
CHUNK_FITS = 100
"""Fits between two chances to cancel, or those of one pseudo-concept."""

BATCH_BYTES = 8 * 1024**2
"""Kernels of fits that are solved at once."""


@dataclass(frozen=True, eq=False)
class Separation:
    """A concept against its random sets at one layer.

    Attributes
    ----------
    coefficients
        [S, n + P]: the unit CAV against each random set, as weights of the concept's n and the
        pool's P examples.
    sets
        [S, m]: the random sets, as positions in the pool.
    n
        Number of the concept's examples.
    accuracy, low, high
        Held-out accuracy, balanced, mean over the random sets, with the 95 % Wilson interval for
        as many examples as one set and the concept have.
    """

    coefficients: Array
    sets: npt.NDArray[np.intp]
    n: int
    accuracy: float
    low: float
    high: float

    @property
    def separates(self) -> bool:
        """Whether the held-out accuracy is above chance, by its interval."""
        return self.low > 0.5

    @property
    def direction(self) -> Array:
        """The mean CAV as weights of the examples, [n + P]."""
        mean: Array = self.coefficients.mean(axis=0)
        return mean


@dataclass(frozen=True, eq=False)
class Null:
    """Pseudo-concepts in the concept's place.

    Attributes
    ----------
    coefficients
        The mean over the random sets of each pseudo-concept's unit CAVs, as weights of the pool's
        examples, [N, P]; where ``shuffled``, of the concept's and the pool's, [N, n + P].
    shuffled
        True if concept and pool were shuffled together: the pool alone was too small, or there is
        no pool but other concepts.
    """

    coefficients: Array
    shuffled: bool

    def values(self, projections: npt.NDArray[Any]) -> Array:
        """Return sum_i c_i projections_i for each pseudo-concept, [N], of projections [n + P]."""
        found: Array = self.coefficients @ projections[-self.coefficients.shape[1] :]
        return found


def joined(own: Array, cross: Array, pool: Array) -> Array:
    """Return the kernel of the concept's examples and the pool's, [n + P, n + P]."""
    return np.block([[own, cross], [cross.T, pool]])


def separate(kernel: Array, n: int, classifier: str, n_sets: int, streams: Streams) -> Separation:
    """Fit a concept against random sets.

    Parameters
    ----------
    kernel
        [n + P, n + P]: inner products of the concept's examples and then the pool's.
    n
        Number of the concept's examples.
    classifier
        One of `CLASSIFIERS`.
    n_sets
        Number of random sets.
    streams
        Returns random numbers that belong to a purpose.
    """
    pool = len(kernel) - n
    sets = _sets(n, pool, n_sets, streams)
    observed = PseudoConcept(np.arange(n), n + sets)
    rows = _rows(observed)
    coefficients = _spread(_fit(kernel, rows, n, classifier), rows, len(kernel))
    folds = stratified_folds(n, sets.shape[1], min(N_FOLDS, n), streams("folds", n, pool))
    right = [
        held_out_accuracy(kernels, n, folds, classifier) * len(kernels)
        for kernels in _batches(kernel, rows)
    ]
    accuracy = sum(right) / len(rows)
    low, high = wilson(accuracy, n + sets.shape[1])
    return Separation(coefficients, sets, n, accuracy, low, high)


def pool_null_steps(
    kernel: Array, n: int, classifier: str, n_sets: int, n_null: int, streams: Streams
) -> Generator[int, None, Null]:
    """Fit pseudo-concepts of n pictures from the pool; yields how many are done, in chunks.

    Parameters
    ----------
    kernel
        [P, P]: inner products of the pool's examples.
    n, classifier, n_sets, streams
        As for `separate`, whose random sets these are.
    n_null
        How many pseudo-concepts.
    """
    sets = _sets(n, len(kernel), n_sets, streams)
    drawn = pseudo_concepts(n, len(kernel), sets, _null_stream(n, len(kernel), streams))
    return _fit_null(kernel, n, classifier, n_sets, n_null, drawn, shuffled=False)


def shuffled_null_steps(
    kernel: Array, n: int, classifier: str, n_sets: int, n_null: int, streams: Streams
) -> Generator[int, None, Null]:
    """Fit pseudo-concepts shuffled from concept and pool, kernel [n + P, n + P]."""
    pool = len(kernel) - n
    sets = _sets(n, pool, n_sets, streams)
    drawn = shuffled_concepts(n, pool, sets, _null_stream(n, pool, streams))
    return _fit_null(kernel, n, classifier, n_sets, n_null, drawn, shuffled=True)


def _sets(n: int, pool: int, n_sets: int, streams: Streams) -> npt.NDArray[np.intp]:
    return random_sets(pool, set_size(n, pool), n_sets, streams("sets", n, pool))


def _null_stream(n: int, pool: int, streams: Streams) -> Callable[[int], np.random.Generator]:
    return lambda j: streams("null", n, pool, j)


def _fit_null(
    kernel: Array,
    n: int,
    classifier: str,
    n_sets: int,
    n_null: int,
    drawn: Iterator[PseudoConcept],
    shuffled: bool,
) -> Generator[int, None, Null]:
    found = np.zeros((n_null, len(kernel)))
    at_once = max(1, CHUNK_FITS // n_sets)
    for start in range(0, n_null, at_once):
        chunk = list(islice(drawn, min(at_once, n_null - start)))
        rows = np.concatenate([_rows(pseudo) for pseudo in chunk])
        spread = _spread(_fit(kernel, rows, n, classifier), rows, len(kernel))
        found[start : start + len(chunk)] = spread.reshape(len(chunk), -1, len(kernel)).mean(axis=1)
        yield start + len(chunk)
    return Null(found, shuffled)


def _rows(pseudo: PseudoConcept) -> npt.NDArray[np.intp]:
    """Return the rows of each fit, the positive ones first, [S, n + m]."""
    shape = (len(pseudo.sets), len(pseudo.positive))
    return np.concatenate([np.broadcast_to(pseudo.positive, shape), pseudo.sets], axis=1)


def _batches(kernel: Array, rows: npt.NDArray[np.intp]) -> Iterator[Array]:
    """Yield the kernels of fits [B, N, N], as many at once as memory is meant for."""
    size = max(1, BATCH_BYTES // (8 * rows.shape[1] ** 2))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield kernel[part[:, :, None], part[:, None, :]]


def _fit(kernel: Array, rows: npt.NDArray[np.intp], n: int, classifier: str) -> Array:
    """Return the coefficients of the fits of rows [B, N], the first n of each positive."""
    return np.concatenate(
        [fit(kernels, n, classifier).coefficients for kernels in _batches(kernel, rows)]
    )


def _spread(coefficients: Array, rows: npt.NDArray[np.intp], n_rows: int) -> Array:
    """Place each fit's coefficients at the rows of its examples, [B, n_rows]."""
    spread = np.zeros((len(rows), n_rows))
    spread[np.arange(len(rows))[:, None], rows] = coefficients
    return spread


@dataclass(frozen=True, eq=False)
class Score:
    """What a class's gradients say of a concept at a layer.

    Attributes
    ----------
    fraction
        Kim's TCAV score: the share of images whose directional derivative is positive, mean over
        the random sets, 0..1.
    magnitude
        Mean directional derivative divided by the mean length of the gradient, -1..1.
    low, high
        95 % bootstrap interval of the magnitude, over images and random sets.
    p
        Two-sided permutation p; None without a null.
    """

    fraction: float
    magnitude: float
    low: float
    high: float
    p: float | None


def score(
    projections: npt.NDArray[Any],
    norms: npt.NDArray[Any],
    separation: Separation,
    null: Null | None,
    rng: np.random.Generator,
) -> Score:
    """Score a concept for a class.

    Parameters
    ----------
    projections
        [N, n + P]: each image's gradient times each example's features.
    norms
        [N]: length of each image's gradient; not all zero.
    separation, null
        What was fitted.
    rng
        For the bootstrap.
    """
    derivatives = separation.coefficients @ projections.T
    length = float(norms.mean())
    magnitude = float(derivatives.mean()) / length
    low, high = bootstrap_interval(derivatives, norms, rng)
    p = None
    if null is not None:
        p = permutation_p(magnitude, null.values(projections.mean(axis=0)) / length)
    return Score(float((derivatives > 0).mean()), magnitude, low, high, p)
