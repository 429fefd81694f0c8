"""What was fitted at a layer, kept by content: another class or an edited concept reuses it."""

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.cav import products
from xai_widgets.concepts.layer_test import (
    Array,
    Null,
    Separation,
    joined,
    pool_null_steps,
    separate,
    shuffled_null_steps,
)
from xai_widgets.concepts.options import Options
from xai_widgets.concepts.sampling import leave_out
from xai_widgets.concepts.statistics import stream

Features = npt.NDArray[np.float32]
Found = TypeVar("Found")

LIMIT_BYTES = 256 * 1024**2


class Examples:
    """Pictures of one set at one layer, loaded when their features are first looked at.

    Parameters
    ----------
    keys
        Their n keys, sorted, none twice.
    load
        Returns their features, float32 [n, D].
    """

    def __init__(self, keys: tuple[str, ...], load: Callable[[], Features]) -> None:
        self.keys = keys
        self._load = load
        self._held: Features | None = None

    @property
    def n(self) -> int:
        """Number of the pictures."""
        return len(self.keys)

    @property
    def features(self) -> Features:
        """Float32 [n, D]."""
        if self._held is None:
            self._held = self._load()
        return self._held

    def release(self) -> None:
        """Let go of the features; they are loaded again if need be."""
        self._held = None


@dataclass
class Fits:
    """Kernels, separations and nulls, the newest that fit into a number of bytes."""

    limit_bytes: int = LIMIT_BYTES
    _kept: "OrderedDict[Hashable, tuple[Any, int]]" = field(default_factory=OrderedDict)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    @property
    def nbytes(self) -> int:
        """What is kept, in bytes."""
        return sum(size for _, size in self._kept.values())

    def kept(self, key: Hashable, make: Callable[[], Found], nbytes: Callable[[Found], int]) -> Any:
        """Return what is kept under a key, made first where there is nothing."""
        if key not in self._kept:
            found = make()
            self.put(key, found, nbytes(found))
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under a key, or None."""
        return self._kept[key][0] if key in self._kept else None

    def put(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keep something, dropping the oldest; the newest stays however large it is."""
        self._kept[key] = (value, nbytes)
        while self.nbytes > self.limit_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)


class LayerFits:
    """Concepts at one layer against one pool.

    Parameters
    ----------
    fits
        Where results are kept.
    model
        What stands for the model and its weights: results of another one are not found.
    layer
        The layer's name.
    pool
        The random pool, or the other concepts' examples.
    options
        How to test.
    """

    def __init__(
        self, fits: Fits, model: str, layer: str, pool: Examples, options: Options
    ) -> None:
        self._fits, self._pool, self._options = fits, pool, options
        self._place = (model, layer, options.pooled, pool.keys)
        self._how = (options.classifier, options.n_random_sets, options.seed)
        self._streams = partial(stream, options.seed)

    @property
    def origin(self) -> Features:
        """The pool's mean, [D], which float32 products are taken around."""
        mean = self._fits.kept(
            ("origin", *self._place), lambda: self._pool.features.mean(axis=0), lambda m: m.nbytes
        )
        return np.asarray(mean, np.float32)

    def pool_kernel(self) -> Array:
        """Return the inner products of the pool's examples, [P, P]."""
        kernel: Array = self._fits.kept(
            ("pool", *self._place),
            lambda: products(self._pool.features, origin=self.origin),
            lambda found: found.nbytes,
        )
        return kernel

    def kernel(self, concept: Examples) -> Array:
        """Return the inner products of a concept's examples and the pool's, [n + P, n + P]."""

        def make() -> tuple[Array, Array]:
            return (
                products(concept.features, origin=self.origin),
                products(concept.features, self._pool.features, self.origin),
            )

        own, cross = self._fits.kept(
            ("kernel", *self._place, concept.keys),
            make,
            lambda found: sum(part.nbytes for part in found),
        )
        return joined(own, cross, self.pool_kernel())

    def separation(self, concept: Examples) -> Separation:
        """Return a concept's CAVs and their held-out accuracy."""
        o = self._options
        found: Separation = self._fits.kept(
            ("separation", *self._place, *self._how, concept.keys),
            lambda: separate(
                self.kernel(concept), concept.n, o.classifier, o.n_random_sets, self._streams
            ),
            lambda made: made.coefficients.nbytes,
        )
        return found

    def null_steps(self, concept: Examples, n_null: int) -> Generator[int, None, Null]:
        """Return the null of a concept's size, yielding how many pseudo-concepts are done.

        Concepts of the same size share it, unless they have to be shuffled with the pool.
        """
        o = self._options
        shuffled = o.against == "others" or self._pool.n < leave_out(concept.n)
        who: Sequence[Hashable] = (concept.keys,) if shuffled else ("pool", concept.n)
        key = ("null", *self._place, *self._how, *who, n_null)
        found: Null | None = self._fits.get(key)
        if found is None:
            steps = shuffled_null_steps if shuffled else pool_null_steps
            kernel = self.kernel(concept) if shuffled else self.pool_kernel()
            found = yield from steps(
                kernel, concept.n, o.classifier, o.n_random_sets, n_null, self._streams
            )
            self._fits.put(key, found, found.coefficients.nbytes)
        return found
