"""TCAV: test whether a concept moves the score of a class, and more than chance would."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.fits import Features, Fits
from xai_widgets.concepts.options import Options
from xai_widgets.concepts.pictures import Pictures, opened, random_crops, stored
from xai_widgets.concepts.refusals import too_small
from xai_widgets.concepts.scoring import (
    Problem,
    TcavProgress,
    TcavResult,
    TcavSteps,
    test_steps,
)
from xai_widgets.concepts.statistics import n_pseudo_concepts
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import ConceptError
from xai_widgets.explainers.base import Progress
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

MIN_POOL_CROPS = 200
"""Random crops that are cut where no random pictures are given, or four times a concept's size."""

KEPT_FEATURES_BYTES = 512_000_000
KEPT_PASSES_BYTES = 256_000_000


@dataclass(frozen=True, eq=False)
class TcavRequest:
    """What is tested.

    Attributes
    ----------
    images
        Pictures of the class, by key.
    target
        A class position or label, or a `ClassTarget`.
    concepts
        {name: pictures by key}; the same picture under the same key everywhere.
    pool
        Random pictures by key; those that are a concept's as well are left out.
    options
        How to test.
    notes
        Sentences that hold for every record.
    strict
        Raise an error for a concept with too few examples and for a layer that answers every
        picture in the same way; else they are marked as not testable.
    """

    images: Pictures
    target: Any
    concepts: Mapping[str, Pictures]
    pool: Pictures = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    notes: tuple[str, ...] = ()
    strict: bool = False


def tcav_steps(evidence: Evidence, request: TcavRequest, fits: Fits | None = None) -> TcavSteps:
    """Test concepts step by step, at the layers of the evidence.

    Parameters
    ----------
    evidence
        What the model shows; its ``pooled`` counts, not that of the options.
    request
        What is tested. With ``options.quick`` the null is left out, and with it p; else a result
        without p is yielded as soon as it is there.
    fits
        What earlier tests fitted: give the same object again, and another class or a changed
        concept computes only what is new. Its entries belong to the weights of the model.

    Returns
    -------
    generator
        Yields `TcavProgress`, returns `TcavResult`; closing it cancels the work.

    Raises
    ------
    XaiError
        If an option or the target makes no sense, a picture cannot be opened, or the model fails.
    """
    options = replace(request.options, pooled=evidence.pooled).check()
    target = evidence.resolve_target(request.target)
    concepts = {name: tuple(sorted(found)) for name, found in request.concepts.items()}
    owned = {key for keys in concepts.values() for key in keys}
    relative = options.against == "others"
    pool = () if relative else tuple(sorted(key for key in request.pool if key not in owned))
    notes = request.notes
    shared = 0 if relative else len(request.pool) - len(pool)
    if shared:
        notes = (*notes, f"{shared} random pictures that are a concept's were left out.")
    _check_sets(request, concepts, pool, options)
    if not options.quick:
        n_pseudo_concepts(options.n_null, len(concepts) * len(evidence.layers), options.alpha)
    pictures: dict[str, Any] = {key: request.pool[key] for key in pool}
    for found in request.concepts.values():
        pictures |= found
    yield from _told(evidence.activations_of(pictures), "Looking at concepts and random pictures")
    target_text = target.text(evidence.model.labels)
    yield from _told(evidence.gradients_of(request.images, target), f"Gradients of {target_text}")

    def features(layer: str, keys: Sequence[str]) -> Features:
        known = evidence.at([layer]).activations_of({key: pictures[key] for key in keys})
        return result_of(known)[layer]

    def gradients(layer: str) -> Features:
        return result_of(evidence.at([layer]).gradients_of(request.images, target))[layer]

    problem = Problem(
        model=evidence.model.fingerprint,
        class_name=target_text,
        concepts=concepts,
        pool=pool,
        layers=evidence.layers,
        features=features,
        gradients=gradients,
        options=options,
        notes=notes,
        strict=request.strict,
    )
    return (yield from test_steps(problem, Fits() if fits is None else fits))


def _check_sets(
    request: TcavRequest,
    concepts: Mapping[str, tuple[str, ...]],
    pool: tuple[str, ...],
    options: Options,
) -> None:
    """Refuse what cannot be tested at all before any picture passes through the model."""
    if not request.images:
        raise ConceptError("There is no image to test the concepts on: give images of the class.")
    if not concepts:
        raise ConceptError("There is no concept to test: give at least one, with its examples.")
    if not request.strict:
        return
    every = {key for keys in concepts.values() for key in keys}
    for name, keys in concepts.items():
        n_pool = len(pool) if options.against == "random" else len(every - set(keys))
        reason = too_small(name, len(keys), n_pool, options.against)
        if reason:
            raise ConceptError(reason)


def _told(steps: Generator[Progress, None, Any], text: str) -> Generator[TcavProgress, None, None]:
    for step in steps:
        yield TcavProgress(step.done, step.total, text)


@dataclass(eq=False)
class _Kept:
    """What is known of a model's pictures and concepts, for as long as the model lives."""

    evidence: Evidence
    fits: Fits


def _kept_of(model: ExplainableModel, layers: Sequence[str]) -> _Kept:
    # With the model and not beside it: what is kept refers to the model, which a dictionary of
    # weak references would thereby keep for ever.
    own = vars(model)
    if "_tcav" not in own:
        evidence = Evidence(
            model, layers, cached_bytes=KEPT_FEATURES_BYTES, retained_bytes=KEPT_PASSES_BYTES
        )
        own["_tcav"] = _Kept(evidence, Fits())
    kept: _Kept = own["_tcav"]
    return kept


def tcav(
    model: Any,
    images: Any,
    target: Any,
    concepts: Any,
    layers: str | Sequence[str] | None = None,
    random: Any = None,
    *,
    classifier: str = "ridge",
    pooled: bool = True,
    n_random_sets: int = 10,
    n_null: int = 199,
    against: str = "random",
    alpha: float = 0.05,
    seed: int = 0,
    progress: Callable[[TcavProgress], None] | None = None,
) -> list[dict[str, Any]]:
    """Test whether concepts move the score of a class (TCAV), with valid statistics.

    At each layer, each concept's examples are separated from random sets by a linear classifier;
    its unit normal vector is the concept activation vector (CAV). The directional derivative of
    the class score along it says how the score answers to the concept. The magnitude is its mean
    over the images divided by the mean length of the gradient, averaged over the random sets. It
    is compared with that of at least ``n_null`` pseudo-concepts: as many random pictures as the
    concept has examples, against the same random sets, in which other random pictures replace
    those that the pseudo-concept took. p = (1 + #{|null| >= |observed|}) / (N + 1), two-sided,
    adjusted by Holm for the number of concepts x layers. Where the pool is too small for that (less
    than three times a concept's examples), concept and pool are shuffled together, which is valid
    for any size. The t-test over random sets that other tools offer is not: these runs share
    one concept, so they are not independent.

    What is computed is kept with the loaded model, for as long as that lives and its weights stay
    the same: features and gradients (512 MB at most), what was fitted (256 MiB) and the forward
    passes of the images from the first tested layer on (256 MB), so that another class or concept
    runs only pictures that are new. Load the model anew to start without any of it.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    images
        Images of the class, as `ImageSet` takes them; all of them are used.
    target
        A class position or label, or a `ClassTarget` (with ``versus`` for a contrast).
    concepts
        {name: images}, at least 5 that differ, 20 to 40 are enough for most concepts; or a
        `ConceptStore`, whose included examples count.
    layers
        One name or several; None for the recommended layer and the two main ones before it.
    random
        Random images: everything but the concepts, other textures included; several times as many
        as a concept has examples. None for the store's sets with the role "random", or else crops
        from ``images`` outside of annotated regions.
    classifier
        "ridge" (Fisher's linear discriminant with shrinkage), "mean_difference", "logistic", "svm"
        (the last two need scikit-learn).
    pooled
        Mean activations over the positions of a layer (gradients are summed), or else all of them
        flattened.
    n_random_sets
        How many random sets each concept is separated from, each as large as the concept.
    n_null
        The least number of pseudo-concepts; at least tests / alpha are drawn, concepts x layers
        being the tests, which must not be more than 100,000.
    against
        "random", or "others": sets of the other concepts' examples, a relative CAV. Then p comes
        from shuffling the concept's and the others' examples.
    alpha
        Level of significance after Holm's correction.
    seed
        The same seed gives the same records, whatever the order of concepts.
    progress
        Called with each `TcavProgress`; an exception raised in it ends the work.

    Returns
    -------
    list of dict
        A record per concept and layer: "concept", "layer", "class"; "score", Kim's fraction of
        images with a positive derivative, 0..1, mean over the random sets; "magnitude", -1..1,
        signed, with "low" and "high" of its 95 % bootstrap interval over images and random sets;
        "p", "p_adjusted", "significant"; "accuracy" of held-out examples, balanced, with
        "accuracy_low" and "accuracy_high" (95 %, Wilson); "testable", "note", "n_examples",
        "n_images". A concept whose accuracy is not above chance, by its interval, is not testable:
        its scores and p are None, and it counts as a test that found nothing.

    Raises
    ------
    ConceptError
        If a concept is empty or too small, a layer answers every picture in the same way, or an
        option makes no sense.
    LayerError, TargetError
        If a layer or a class does not exist.
    ImageError, ModelError, StoreError
        If a picture cannot be opened, or the model fails.

    References
    ----------
    Kim et al. 2018, "Interpretability Beyond Feature Attribution: Quantitative Testing with Concept
    Activation Vectors (TCAV)", arXiv:1711.11279.
    """
    options = Options(
        classifier=classifier,
        pooled=bool(pooled),
        n_random_sets=n_random_sets,
        n_null=n_null,
        against=against,
        alpha=alpha,
        seed=seed,
    ).check()
    loaded = load(model)
    places = layers_of(loaded, layers)
    kept = _kept_of(loaded, places)
    evidence = kept.evidence.at(places, bool(pooled))
    request = _request(images, target, concepts, random, options)
    steps = tcav_steps(evidence, request, kept.fits)
    try:
        while True:
            with loaded.lock:
                try:
                    step = next(steps)
                except StopIteration as stop:
                    result: TcavResult = stop.value
                    return result.records
            if progress is not None:
                progress(step)
    finally:
        with loaded.lock:
            steps.close()


def layers_of(model: ExplainableModel, layers: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the layers to test at: for None the recommended one and the two main ones before.

    Raises
    ------
    ConceptError
        If they are neither a name nor a list of names, or the list is empty.
    LayerError
        If one does not exist, or the model has none.
    """
    if layers is None:
        last = model.resolve_layer(None)
        names = [layer.name for layer in model.layers]
        until = model.layers[: names.index(last)]
        return (*[layer.name for layer in until if layer.main][-2:], last)
    chosen = [layers] if isinstance(layers, str) else layers
    if not isinstance(chosen, Sequence) or not all(isinstance(name, str) for name in chosen):
        raise ConceptError(
            f"layers is {repr(layers)[:80]} ({type(layers).__name__}): give the name of a layer, "
            "a list of names, or None for the recommended ones."
        )
    if not chosen:
        raise ConceptError("The list of layers is empty: give at least one, or None.")
    return tuple(dict.fromkeys(model.resolve_layer(name, vectors=True) for name in chosen))


def _request(images: Any, target: Any, concepts: Any, random: Any, options: Options) -> TcavRequest:
    """Open what the user gave, and find the random pictures where none were given."""
    store = concepts if isinstance(concepts, ConceptStore) else None
    if store is not None:
        sets = stored(store, "concept")
    elif isinstance(concepts, Mapping):
        sets = {str(name): opened(found, f"Concept {name!r}") for name, found in concepts.items()}
    else:
        raise ConceptError(
            f"Concepts were given as {type(concepts).__name__}: give a dict from name to images, "
            "or a ConceptStore."
        )
    pictures = opened(images, "The images of the class")
    request = TcavRequest(pictures, target, sets, {}, options, strict=True)
    if options.against == "others":
        return request
    if random is not None:
        return replace(request, pool=opened(random, "The random pictures"))
    pools = {} if store is None else stored(store, "random")
    pool = {key: picture for found in pools.values() for key, picture in found.items()}
    if pool:
        return replace(request, pool=pool)
    n = max([MIN_POOL_CROPS, *(4 * len(found) for found in sets.values())])
    crops = random_crops(pictures, () if store is None else store.concepts, n, options.seed)
    note = (
        f"No random pictures were given: {len(crops)} crops of the images stand in for them, "
        + ("outside of annotated regions." if store else "which may show the concept.")
    )
    return replace(request, pool=crops, notes=(note,))
