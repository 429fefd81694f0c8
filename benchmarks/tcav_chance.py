"""The test of the test: how often TCAV calls a concept of random pictures significant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ttest_ind

import xai_widgets as xw
from benchmarks.paired import Line
from benchmarks.tables import Table
from xai_widgets.concepts.cav import fit, products
from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.layer_test import (
    Null,
    Separation,
    pool_null_steps,
    score,
    separate,
    shuffled_null_steps,
)
from xai_widgets.concepts.pictures import opened
from xai_widgets.concepts.sampling import random_sets
from xai_widgets.concepts.statistics import permutation_p, stream, wilson

Array = npt.NDArray[np.float64]

N, POOL, SMALL_POOL, BANK = 20, 120, 40, 1200
N_SETS, N_NULL, ALPHA = 10, 99, 0.05
SEEDS = 200
PLACES = (("stage2", True), ("stage3", True), ("stage3", False))

HOW = {
    "pool": f"pseudo-concepts from the pool of {POOL} (ours)",
    "marked": "the same, and told from random pictures (what `tcav` marks)",
    "shuffled": f"concept and a pool of {SMALL_POOL} shuffled (ours, small pools)",
    "halves": f"pseudo-concepts from one half of {POOL}, sets from the other",
    "t-test": "t-test of fractions, concept runs beside random runs",
}


@dataclass(frozen=True)
class Bank:
    """Random pictures at one layer: their inner products, and a class's gradients with them."""

    kernel: Array
    projections: Array
    norms: npt.NDArray[np.float32]


def run(seeds: int = SEEDS) -> list[Line | Table]:
    """Draw concept and pool from the same bank of random pictures, once for each seed."""
    rows, lines = [], []
    for (layer, pooled), bank in banks():
        found: dict[str, list[bool]] = {name: [] for name in HOW}
        for seed in range(seeds):
            for name, significant in once(bank, seed).items():
                found[name].append(significant)
        place = f"{layer}, {'pooled' if pooled else 'flattened'}"
        for name, text in HOW.items():
            share = float(np.mean(found[name]))
            low, high = wilson(share, seeds)
            rows.append([place, text, f"{share:.1%}", f"{low:.1%} .. {high:.1%}"])
            if name in ("pool", "shuffled"):
                title = f"TCAV, random concepts significant, {place}, {name}"
                limit = ALPHA + 2.58 * (ALPHA * (1 - ALPHA) / seeds) ** 0.5
                lines.append(Line(title, share, low, high, f"<= {limit:.2g}", share <= limit))
    text = (
        f"A concept of {N} random pictures tested for the demo network's zebra at alpha {ALPHA:g}, "
        f"{seeds} times with pictures of their own: how often p <= alpha, with the 95 % interval "
        f"of that share. {N_SETS} random sets, {N_NULL} pseudo-concepts, ridge. The runs of the "
        "t-test share one concept set, so they are not independent."
    )
    header = ["features", "test", "significant", "interval"]
    return [*lines, Table("A concept that is none", text, header, rows)]


def banks() -> Iterator[tuple[tuple[str, bool], Bank]]:
    """Yield the bank at each place."""
    model = xw.demo.model("animals")
    pictures = opened(xw.demo.concept("random", n=BANK, exclude="stripes", seed=5), "bank")
    data = xw.demo.dataset("animals", n=100)
    zebras = opened(data.images[data.labels == data.class_names.index("zebra")], "zebras")
    for pooled in (True, False):
        evidence = Evidence(model, [layer for layer, how in PLACES if how is pooled], pooled)
        every = result_of(evidence.activations_of(pictures))
        slopes = result_of(evidence.gradients_of(zebras, "zebra"))
        for layer, features in every.items():
            gradients = slopes[layer]
            yield (
                (layer, pooled),
                Bank(
                    products(features, origin=features.mean(axis=0)),
                    products(gradients, features),
                    np.linalg.norm(gradients, axis=1),
                ),
            )


def once(bank: Bank, seed: int) -> dict[str, bool]:
    """Return what each test calls significant for the pictures of a seed."""
    chosen = stream(seed, "bank").permutation(len(bank.kernel))[: N + POOL]
    streams = partial(stream, seed)
    kernel, projections = bank.kernel[np.ix_(chosen, chosen)], bank.projections[:, chosen]
    separation = separate(kernel, N, "ridge", N_SETS, streams)
    null = _finished(pool_null_steps(kernel[N:, N:], N, "ridge", N_SETS, N_NULL, streams))
    pool = _p(bank, projections, separation, null) <= ALPHA
    part = slice(0, N + SMALL_POOL)
    small = separate(kernel[part, part], N, "ridge", N_SETS, streams)
    steps = shuffled_null_steps(kernel[part, part], N, "ridge", N_SETS, N_NULL, streams)
    return {
        "pool": pool,
        "marked": pool and separation.separates,
        "shuffled": _p(bank, projections[:, part], small, _finished(steps)) <= ALPHA,
        "halves": _halves(kernel, projections.mean(axis=0), seed) <= ALPHA,
        "t-test": _t_test(kernel, projections, separation) <= ALPHA,
    }


def _p(bank: Bank, projections: Array, separation: Separation, null: Null) -> float:
    found = score(projections, bank.norms, separation, null, stream(0, "bootstrap"))
    return 1.0 if found.p is None else found.p


def _finished(steps: Any) -> Null:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            null: Null = stop.value
            return null


def _halves(kernel: Array, mean: Array, seed: int) -> float:
    """Return p where pseudo-concepts overlap and are compared with sets from another half."""
    rng, half = stream(seed, "halves"), POOL // 2
    sets = N + random_sets(half, N, N_SETS, rng)

    def statistic(positive: npt.NDArray[np.intp]) -> float:
        return float(np.mean(_scores(kernel, mean[None], [(positive, one) for one in sets])))

    null = [statistic(N + half + rng.permutation(half)[:N]) for _ in range(N_NULL)]
    return permutation_p(statistic(np.arange(N)), np.array(null))


def _t_test(kernel: Array, projections: Array, separation: Separation) -> float:
    """Return p of the usual t-test: runs of the concept beside runs of random sets."""
    sets = N + separation.sets
    concept = _scores(kernel, projections, [(np.arange(N), one) for one in sets]) > 0
    pairs = [(sets[i], sets[(i + 1) % N_SETS]) for i in range(N_SETS)]
    random = _scores(kernel, projections, pairs) > 0
    with np.errstate(all="ignore"):
        p = float(ttest_ind(concept.mean(axis=1), random.mean(axis=1)).pvalue)
    return 1.0 if np.isnan(p) else p


def _scores(kernel: Array, projections: Array, pairs: Any) -> Array:
    """Return directional derivatives [R, N] of runs of positive and other pictures."""
    rows = np.stack([np.concatenate(pair) for pair in pairs])
    coefficients = fit(kernel[rows[:, :, None], rows[:, None, :]], N).coefficients
    found: Array = np.einsum("rk,nrk->rn", coefficients, projections[:, rows])
    return found
