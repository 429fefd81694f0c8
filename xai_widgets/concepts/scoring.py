"""Score concepts at layers for a target, from features and gradients: the arithmetic of TCAV."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.cav import products
from xai_widgets.concepts.fits import Examples, Features, Fits, LayerFits
from xai_widgets.concepts.layer_test import Null, Score, Separation, score
from xai_widgets.concepts.options import Options
from xai_widgets.concepts.refusals import constant, constant_pool, too_small
from xai_widgets.concepts.statistics import holm, n_pseudo_concepts, stream
from xai_widgets.errors import ConceptError

Values = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

SAME = 1e-4
"""Gradients closer to their mean than this share of its length are the same for every image."""


@dataclass(frozen=True, eq=False)
class TcavResult:
    """What a test of concepts found.

    Attributes
    ----------
    records
        A dict per concept and layer, in the order of the concepts, with the keys that `tcav`
        describes.
    vectors
        {(concept, layer): float32 [D]}: the mean CAV over the random sets, of length one.
    derivatives
        {(concept, layer): float32 [n_images]}: each image's gradient times that vector.
    cosines
        {layer: float32 [C, C]}: cosine similarity of the concepts' vectors, in their order.
    """

    records: list[dict[str, Any]]
    vectors: Mapping[tuple[str, str], Values]
    derivatives: Mapping[tuple[str, str], Values]
    cosines: Mapping[str, Values]


@dataclass(frozen=True)
class TcavProgress:
    """One step of a test.

    Attributes
    ----------
    done, total
        How far the present part of the work is.
    text
        What is being done, for people.
    partial
        A first result without p, once there is one.
    """

    done: int
    total: int
    text: str
    partial: TcavResult | None = None


TcavSteps = Generator[TcavProgress, None, TcavResult]
"""Yields progress wherever the work may be stopped, returns the result; closing it cancels."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that is scored, as arrays.

    Attributes
    ----------
    model
        What stands for the model and its weights, for what is kept.
    class_name
        The target, for people.
    concepts
        {name: keys of its pictures, sorted, none twice}.
    pool
        Keys of the random pictures, likewise; none of them a concept's.
    layers
        Names of the layers.
    features
        Returns float32 [n, D] of pictures by key at a layer.
    gradients
        Returns float32 [N, D] of the images at a layer.
    options
        How to test.
    notes
        Sentences that hold for every record.
    strict
        Raise a `ConceptError` for concepts and layers that say nothing at all, instead of marking
        them as not testable.
    """

    model: str
    class_name: str
    concepts: Mapping[str, tuple[str, ...]]
    pool: tuple[str, ...]
    layers: Sequence[str]
    features: Callable[[str, Sequence[str]], Features]
    gradients: Callable[[str], Features]
    options: Options = field(default_factory=Options)
    notes: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True, eq=False)
class _Case:
    """One concept at one layer."""

    name: str
    layer: str
    n: int
    n_images: int
    pool: int
    concept: Examples | None = None
    fits: LayerFits | None = None
    separation: Separation | None = None
    projections: Array | None = None
    norms: Values | None = None
    same: bool = False
    reason: str = ""
    vector: Values | None = None
    derivatives: Values | None = None

    @property
    def testable(self) -> bool:
        return not self.reason


def test_steps(problem: Problem, fits: Fits) -> TcavSteps:
    """Score every concept at every layer; what fits hold already is not computed again.

    A concept with too few examples, or that does not separate from what it is compared with, is
    not scored but marked as not testable, with the reason.
    """
    options = problem.options
    cases: list[_Case] = []
    total = len(problem.concepts) * len(problem.layers)
    for layer in problem.layers:
        place = _Place(problem, layer)
        # By name, so that the order in which concepts are given does not reach the numbers.
        for name in sorted(problem.concepts):
            yield TcavProgress(len(cases), total, f"Fitting {name} at {layer}")
            cases.append(_case(problem, fits, place, name))
        place.release()
    order = {name: i for i, name in enumerate(problem.concepts)}
    places = {layer: i for i, layer in enumerate(problem.layers)}
    cases.sort(key=lambda case: (order[case.name], places[case.layer]))
    first = _result(problem, cases, [None] * len(cases))
    if options.quick:
        return first
    yield TcavProgress(total, total, "Scored; testing for significance", first)
    n_null = n_pseudo_concepts(options.n_null, len(cases), options.alpha)
    nulls: list[Null | None] = []
    n_testable = sum(case.testable for case in cases)
    tested = 0
    for case in cases:
        if case.fits is None or case.concept is None or not case.testable:
            nulls.append(None)
            continue
        text = f"Testing {case.name} at {case.layer} against {n_null} pseudo-concepts"
        steps = case.fits.null_steps(case.concept, n_null)
        while True:
            try:
                done = next(steps)
            except StopIteration as stop:
                nulls.append(stop.value)
                break
            yield TcavProgress(tested * n_null + done, n_testable * n_null, text)
        tested += 1
    return _result(problem, cases, nulls)


def _same_for_all(gradients: Features, norms: Values) -> bool:
    """Whether every image has the same gradient, as in a pooled linear head."""
    mean = gradients.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if len(gradients) < 2 or length == 0:
        return False
    return bool(max(np.linalg.norm(row - mean) for row in gradients) <= SAME * length)


class _Place:
    """What the concepts share at one layer."""

    def __init__(self, problem: Problem, layer: str) -> None:
        self.layer = layer
        self.gradients = problem.gradients(layer)
        self.norms = np.linalg.norm(self.gradients, axis=1)
        self.same = _same_for_all(self.gradients, self.norms)
        self._problem = problem
        self._pools: dict[tuple[str, ...], tuple[Examples, Array]] = {}

    def pool(self, keys: tuple[str, ...]) -> tuple[Examples, Array]:
        """Return a pool and the gradients' products with it, [N, P]; the last one is held."""
        if keys not in self._pools:
            self.release()
            pool = _examples(self._problem, self.layer, keys)
            self._pools = {keys: (pool, products(self.gradients, pool.features))}
        return self._pools[keys]

    def release(self) -> None:
        """Let go of the pool's features."""
        for pool, _ in self._pools.values():
            pool.release()
        self._pools = {}


def _examples(problem: Problem, layer: str, keys: tuple[str, ...]) -> Examples:
    return Examples(keys, lambda: problem.features(layer, keys))


def _compared_with(problem: Problem, name: str) -> tuple[str, ...]:
    """Return the keys of the pictures that a concept's negative sets are drawn from."""
    if problem.options.against == "random":
        return problem.pool
    others = {key for other, keys in problem.concepts.items() if other != name for key in keys}
    return tuple(sorted(others - set(problem.concepts[name])))


def _case(problem: Problem, fits: Fits, place: _Place, name: str) -> _Case:
    """Fit a concept at a layer, and say whether it can be tested."""
    layer = place.layer
    keys, pool_keys = problem.concepts[name], _compared_with(problem, name)
    case = _Case(name, layer, len(keys), len(place.gradients), len(pool_keys))
    reason = too_small(name, len(keys), len(pool_keys), problem.options.against)
    if reason:
        return _refused(problem, case, reason)
    concept = _examples(problem, layer, keys)
    pool, pool_products = place.pool(pool_keys)
    if bool((pool.features == pool.features[0]).all()):
        all_same = bool((concept.features == pool.features[0]).all())
        return _refused(problem, case, constant(layer) if all_same else constant_pool(layer))
    layer_fits = LayerFits(fits, problem.model, layer, pool, problem.options)
    separation = layer_fits.separation(concept)
    weights = separation.direction.astype(np.float32)
    vector = weights[: concept.n] @ concept.features + weights[concept.n :] @ pool.features
    length = float(np.linalg.norm(vector))
    vector = np.asarray(vector / length if length > 0 else vector, np.float32)
    # The coefficients sum to zero, so that the features' origin does not matter.
    projections = np.concatenate([products(place.gradients, concept.features), pool_products], 1)
    concept.release()
    return replace(
        case,
        concept=concept,
        fits=layer_fits,
        separation=separation,
        projections=projections,
        norms=place.norms,
        same=place.same,
        reason=_untestable(problem, layer, separation, float(place.norms.mean())),
        vector=vector,
        derivatives=np.asarray(place.gradients @ vector, np.float32),
    )


def _refused(problem: Problem, case: _Case, reason: str) -> _Case:
    if problem.strict:
        raise ConceptError(reason)
    return replace(case, reason=reason)


def _untestable(problem: Problem, layer: str, separation: Separation, length: float) -> str:
    """Say why a fitted concept cannot be tested; "" where it can."""
    if not separation.separates:
        return (
            f"Not testable: held-out examples are told from {_against(problem)} in "
            f"{separation.accuracy:.0%} of the cases ({separation.low:.0%} to "
            f"{separation.high:.0%}), which is not above chance; give more or clearer examples, "
            "or another layer."
        )
    if not length > 0:
        return (
            f"Not testable: the gradient of {problem.class_name!r} is zero at layer {layer!r} for "
            "every image."
        )
    return ""


def _against(problem: Problem) -> str:
    return "random pictures" if problem.options.against == "random" else "the other concepts'"


def _result(problem: Problem, cases: Sequence[_Case], nulls: Sequence[Null | None]) -> TcavResult:
    scores: list[Score | None] = []
    for case, null in zip(cases, nulls, strict=True):
        if not case.testable or case.separation is None:
            scores.append(None)
            continue
        assert case.projections is not None and case.norms is not None
        rng = stream(problem.options.seed, "bootstrap", case.n, case.n_images)
        scores.append(score(case.projections, case.norms, case.separation, null, rng))
    # What cannot be tested counts as a test that found nothing.
    found_p = [1.0 if s is None or s.p is None else s.p for s in scores]
    records = [
        _record(problem, case, found, null, adjusted)
        for case, found, null, adjusted in zip(cases, scores, nulls, holm(found_p), strict=True)
    ]
    vectors = {(c.name, c.layer): c.vector for c in cases if c.vector is not None}
    derivatives = {(c.name, c.layer): c.derivatives for c in cases if c.derivatives is not None}
    cosines = {layer: _cosines(vectors, layer, problem.concepts) for layer in problem.layers}
    return TcavResult(records, vectors, derivatives, cosines)


def _cosines(
    vectors: Mapping[tuple[str, str], Values], layer: str, names: Mapping[str, object]
) -> Values:
    """Return the cosines between the concepts' vectors; zero where there is none."""
    size = next((len(v) for (_, place), v in vectors.items() if place == layer), 1)
    rows = np.stack([vectors.get((name, layer), np.zeros(size, np.float32)) for name in names])
    return np.asarray(rows @ rows.T, np.float32)


def _record(
    problem: Problem, case: _Case, found: Score | None, null: Null | None, adjusted: float
) -> dict[str, Any]:
    p = None if found is None else found.p
    p_adjusted = None if p is None else adjusted
    separation = case.separation
    return {
        "concept": case.name,
        "layer": case.layer,
        "class": problem.class_name,
        "score": None if found is None else found.fraction,
        "magnitude": None if found is None else found.magnitude,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "p": p,
        "p_adjusted": p_adjusted,
        "significant": p_adjusted is not None and p_adjusted <= problem.options.alpha,
        "accuracy": None if separation is None else separation.accuracy,
        "accuracy_low": None if separation is None else separation.low,
        "accuracy_high": None if separation is None else separation.high,
        "testable": case.testable,
        "note": " ".join(_notes(problem, case, null)),
        "n_examples": case.n,
        "n_images": case.n_images,
    }


def _notes(problem: Problem, case: _Case, null: Null | None) -> list[str]:
    """Return what a reader of a record has to know."""
    notes = [case.reason] if case.reason else []
    if case.same and case.testable:
        notes.append(
            "The gradient is the same for every image, so against one random set the fraction can "
            "only be 0 or 1: read the magnitude."
        )
    if case.testable and case.separation is not None:
        notes += _drawn(problem.options, case, case.separation, null)
    return [*notes, *problem.notes]


def _drawn(options: Options, case: _Case, separation: Separation, null: Null | None) -> list[str]:
    """Say how far the pictures that the concept is compared with go."""
    n_sets, size = separation.sets.shape
    what = "random sets" if options.against == "random" else "sets of the others' examples"
    if n_sets == 1 < options.n_random_sets:
        notes = [f"There are only {case.pool} pictures to compare with: one set, of all of them."]
    elif n_sets * size > case.pool:
        notes = [f"Drawn from {case.pool} pictures, the {n_sets} {what} of {size} overlap."]
    else:
        notes = []
    if null is not None and null.shuffled and options.against == "random":
        notes.append(
            f"The pool of {case.pool} is too small to draw pseudo-concepts of {case.n} from it "
            "alone: concept and pool were shuffled together, an exact test of less power."
        )
    elif null is not None and not null.shuffled and len(null.coefficients) * case.n > case.pool:
        notes.append(f"The {len(null.coefficients)} pseudo-concepts overlap.")
    return notes
