"""What a workbench's test finds: scores, vectors and rankings, step by step."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.fits import Fits
from xai_widgets.concepts.options import Options
from xai_widgets.concepts.pictures import stored
from xai_widgets.concepts.scoring import TcavResult
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.concepts.tcav import TcavRequest, tcav_steps
from xai_widgets.errors import ConceptError
from xai_widgets.models.targets import ClassTarget
from xai_widgets.widgets.workbench.images import ClassImages

RANKING_BYTES = 256 * 1024**2
"""Activations that a ranking may look at; whole ones of many images are more than that."""

Floats = npt.NDArray[np.float32]
Place = tuple[str, str]


@dataclass(frozen=True)
class Question:
    """What is tested: everything that the numbers depend on, beside model, images and examples.

    Attributes
    ----------
    target, others
        The class, and those whose scores stand beside.
    layers, classifier, pooled, against
        As the traits of the workbench.
    """

    target: ClassTarget
    others: tuple[ClassTarget, ...]
    layers: tuple[str, ...]
    classifier: str
    pooled: bool
    against: str

    @property
    def targets(self) -> tuple[ClassTarget, ...]:
        """All classes, the first of them the one that is asked about."""
        others = tuple(other for other in self.others if other != self.target)
        return (self.target, *others)

    def settings(self) -> dict[str, Any]:
        """Return everything but the classes, as JSON."""
        return {
            "layers": list(self.layers),
            "classifier": self.classifier,
            "pooled": self.pooled,
            "against": self.against,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the question as JSON."""
        targets = [target.to_dict() for target in self.targets]
        return {**self.settings(), "targets": targets}


@dataclass(frozen=True, eq=False)
class Scored:
    """The answer to a question.

    Attributes
    ----------
    target_text
        The class in words.
    records
        Those of `tcav`, of one class after the other.
    vectors
        Unit vectors [D] by (concept, layer).
    rankings
        By (concept, layer): positions of the images, int32 [n], the most of the concept first,
        and the projections of their activations on the vector, around their mean.
    n_images
        On how many images of the class it was tested.
    alpha
        Level of significance.
    note
        What a reader has to know.
    partial
        True as long as there is no p.
    stored
        True if it was read from disk.
    asked, trained_with
        The question as JSON, and the hash of the examples; None and "" where that is not known.
    elsewhere
        True if it was tested on other images, or with other classes of them.
    """

    target_text: str
    records: list[dict[str, Any]]
    vectors: Mapping[Place, Floats]
    rankings: Mapping[Place, tuple[npt.NDArray[np.int32], Floats]] = field(default_factory=dict)
    n_images: int = 0
    alpha: float = 0.05
    note: str | None = None
    partial: bool = False
    stored: bool = False
    asked: dict[str, Any] | None = None
    trained_with: str = ""
    elsewhere: bool = False

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return 4096 * len(self.records) + sum(vector.nbytes for vector in self.vectors.values())

    def bars(self, note: str | None = None) -> dict[str, Any]:
        """Return the payload of the `bars` message, with another sentence before the note."""
        said = " ".join(text for text in (note, self.note) if text)
        return {
            "partial": self.partial,
            "stored": self.stored,
            "target_text": self.target_text,
            "n_images": self.n_images,
            "alpha": self.alpha,
            "note": said or None,
            "records": self.records,
            "cosines": cosines(self.vectors),
            "rankings": [
                {"concept": concept, "layer": layer, "indices": indices, "values": values}
                for (concept, layer), (indices, values) in self.rankings.items()
            ],
        }


def cosines(vectors: Mapping[Place, Floats]) -> list[dict[str, Any]]:
    """Return how far the concepts' vectors agree, layer by layer."""
    found = []
    for layer in dict.fromkeys(layer for _, layer in vectors):
        names = [concept for concept, place in vectors if place == layer]
        rows = np.stack([vectors[name, layer] for name in names])
        found.append({"layer": layer, "names": names, "array": np.asarray(rows @ rows.T)})
    return found


@dataclass(frozen=True)
class Told:
    """How far a test is, and from time to time what it has found so far."""

    done: int
    total: int
    text: str
    found: Scored | None = None


def score_steps(
    question: Question, view: Evidence, fits: Fits, images: ClassImages, store: ConceptStore
) -> Generator[Told, None, Scored]:
    """Answer a question, telling the scores without p as soon as they are there.

    What `view`, evidence at the question's layers, and `fits` know is not computed again.

    Raises
    ------
    XaiError
        If it cannot be answered.
    """
    for step in images.every(view.activations_of):
        yield Told(step.done, step.total, "Looking at the images")
    concepts, pool, options = _sets(question, store)
    records: list[dict[str, Any]] = []
    scored: Scored | None = None
    for target in question.targets:
        chosen, note = yield from _chosen(images, view, target)
        told_of_all = (note,) if note else ()
        entries = images.entries(chosen)
        request = TcavRequest(entries, target, concepts, pool, options, told_of_all)
        testing = tcav_steps(view, request, fits)
        text = target.text(view.model.labels)
        main = scored is None
        notes = " ".join([*([note] if note else []), *images.notes]) or None
        made = Scored(text, [], {}, {}, len(chosen), options.alpha, notes)
        try:
            while True:
                told = next(testing)
                found = None
                if told.partial is not None:
                    if main:
                        made = replace(made, rankings=rankings(images, view, told.partial))
                        scored = _with(made, records, told.partial, partial=True)
                        found = scored
                    else:
                        assert scored is not None
                        both = records + told.partial.records
                        found = replace(scored, records=both, partial=True)
                yield Told(told.done, told.total, told.text, found)
        except StopIteration as stop:
            result: TcavResult = stop.value
        finally:
            testing.close()
        if main:
            scored = _with(made, records, result, partial=False)
        records += result.records
    assert scored is not None
    return replace(scored, records=records, partial=False)


def vector_steps(
    question: Question,
    concept: str,
    view: Evidence,
    fits: Fits,
    images: ClassImages,
    store: ConceptStore,
) -> Generator[Told, None, Floats]:
    """Train the vector of a concept at the layer of a view, as a test does, and nothing else.

    Raises
    ------
    ConceptError
        If it cannot be trained.
    """
    concepts, pool, options = _sets(question, store)
    # Vectors depend on no image of a class; a test looks at one all the same.
    one = images.entries([images.first()])
    request = TcavRequest(one, question.target, concepts, pool, replace(options, quick=True))
    steps = tcav_steps(view, request, fits)
    try:
        while True:
            told = next(steps)
            yield Told(told.done, told.total, told.text)
    except StopIteration as stop:
        result: TcavResult = stop.value
    finally:
        steps.close()
    (layer,) = view.layers
    if (concept, layer) in result.vectors:
        return result.vectors[concept, layer]
    notes = [record["note"] for record in result.records if record["concept"] == concept]
    raise ConceptError(notes[0] if notes else f"There is no concept {concept!r}.")


def _sets(
    question: Question, store: ConceptStore
) -> tuple[dict[str, Any], dict[str, Any], Options]:
    """Return the concepts and the random pool, as pictures by key, and how to test."""
    pools = stored(store, "random").values()
    pool = {key: picture for found in pools for key, picture in found.items()}
    options = Options(classifier=question.classifier, against=question.against)
    return stored(store, "concept"), pool, options


def _chosen(
    images: ClassImages, view: Evidence, target: ClassTarget
) -> Generator[Told, None, tuple[list[int], str | None]]:
    steps = images.of_class(view, int(target.index))
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            found: tuple[list[int], str | None] = stop.value
            return found
        yield Told(step.done, step.total, "Predicting")


def _with(made: Scored, records: list[dict[str, Any]], result: TcavResult, partial: bool) -> Scored:
    """Return an answer with a test's records and vectors."""
    return replace(
        made, records=records + result.records, vectors=dict(result.vectors), partial=partial
    )


def rankings(
    images: ClassImages, view: Evidence, result: TcavResult
) -> dict[Place, tuple[npt.NDArray[np.int32], Floats]]:
    """Sort the images by each concept, from activations that are known already."""
    readable = images.readable
    width = sum({layer: vector.nbytes for (_, layer), vector in result.vectors.items()}.values())
    if width * len(readable) > RANKING_BYTES:
        return {}
    activations = result_of(view.activations_of(images.entries(readable)))
    found = {}
    for (concept, layer), vector in result.vectors.items():
        values = activations[layer] @ vector
        values -= values.mean()
        order = np.argsort(-values, kind="stable")
        positions = np.asarray(readable, dtype=np.int32)[order]
        found[concept, layer] = (positions, np.asarray(values[order], dtype=np.float32))
    return found
