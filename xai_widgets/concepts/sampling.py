"""Which pictures a concept is compared with: random sets, and the pseudo-concepts of the null."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class PseudoConcept:
    """Pictures in a concept's place, and what they are compared with.

    Attributes
    ----------
    positive
        [n]: rows of the pictures in the concept's place.
    sets
        [S, m]: rows of the S random sets, none of them among the positive ones.
    """

    positive: Indices
    sets: Indices


def leave_out(n_examples: int) -> int:
    """Return how large a pool must be for pseudo-concepts to come from it alone.

    In a pool of twice the concept's size, the share of false positives was a third of alpha (in a
    simulation of 2,000 trials): what a pseudo-concept leaves is then much less than what the
    concept is compared with. With six times its size it was 0.04
    for an alpha of 0.05.
    """
    return 3 * n_examples


def set_size(n_examples: int, pool: int) -> int:
    """Return the size of a random set: that of the concept, as far as the pool goes."""
    return min(n_examples, pool)


def random_sets(pool: int, size: int, n_sets: int, rng: np.random.Generator) -> Indices:
    """Draw S sets from a pool, disjoint as far as it goes, [S, size]; one if it is the pool."""
    per_round = pool // size
    n_sets = 1 if size == pool else n_sets
    rounds = -(-n_sets // per_round)
    drawn = [rng.permutation(pool)[: per_round * size].reshape(-1, size) for _ in range(rounds)]
    return np.concatenate(drawn)[:n_sets]


def pseudo_concepts(
    n_examples: int, pool: int, sets: Indices, stream: Callable[[int], np.random.Generator]
) -> Iterator[PseudoConcept]:
    """Draw pseudo-concepts from the pool alone, against the same random sets.

    Of a random set, pictures that are in the pseudo-concept are replaced by others of the pool.
    Then the two sides never share a picture, as the concept and its random sets do not; each set
    is still a random part of the rest of the pool; and the statistic of a pseudo-concept varies
    as that of a new concept does: for a statistic that is linear in the mean of its examples,
    s^2 (1/n + 1/(P - n)) beside s^2 (1/n + 1/P), for n examples and a pool of P. Pseudo-concepts
    that overlap, against sets from another half of the pool, would vary less than a new concept
    (s^2 (1/n - 1/P)), and find effects where there are none.
    """
    n_sets, size = sets.shape
    own = np.zeros((n_sets, pool), bool)
    own[np.arange(n_sets)[:, None], sets] = True
    j = 0
    while True:
        order = stream(j).permutation(pool)
        rank = np.empty(pool, np.intp)
        rank[order] = np.arange(pool)
        # First what the set holds already, then others in random order, never the positives.
        keys = np.where(own, -1 - rank, rank)
        keys[:, order[:n_examples]] = pool
        chosen = np.argpartition(keys, size - 1, axis=1)[:, :size]
        yield PseudoConcept(order[:n_examples], np.sort(chosen, axis=1))
        j += 1


def shuffled_concepts(
    n_examples: int, pool: int, sets: Indices, stream: Callable[[int], np.random.Generator]
) -> Iterator[PseudoConcept]:
    """Shuffle concept (rows 0 .. n - 1) and pool (rows n ..) together: a permutation test.

    Valid for any size of the pool, since without an effect every assignment of the pictures to
    the two sides is as likely as the one observed. The concept's own examples widen the null.
    """
    j = 0
    while True:
        order = stream(j).permutation(n_examples + pool)
        yield PseudoConcept(order[:n_examples], order[n_examples:][sets])
        j += 1
