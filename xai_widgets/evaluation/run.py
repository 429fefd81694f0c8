"""`evaluate`: methods x images x metrics, as records; `evaluate_stream` is the same in steps."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xai_widgets.errors import MapError, MetricError, XaiError
from xai_widgets.evaluation.base import Metric, drain
from xai_widgets.evaluation.checks import confidence_level, true_labels, whole
from xai_widgets.evaluation.judging import Judge
from xai_widgets.evaluation.masks import masks_for
from xai_widgets.evaluation.normalise import Normalisation
from xai_widgets.evaluation.records import Record, with_intervals
from xai_widgets.evaluation.registry import DEFAULT, DEFAULT_WITH_MASKS, metric
from xai_widgets.evaluation.subjects import subjects
from xai_widgets.explanation import Explanation
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.targets import resolve_target

RESERVED = frozenset(Record.__annotations__)


@dataclass(frozen=True, eq=False)
class Progress:
    """One step of an evaluation.

    Attributes
    ----------
    done, total
        Cells of the table, a cell being one metric of one method on one image.
    records
        Those that this step finished, without intervals: they need all images.
    """

    done: int
    total: int
    records: list[dict[str, Any]] = field(default_factory=list)


def evaluate(
    model: Any,
    images: Any = None,
    methods: Any = None,
    metrics: Sequence[Any] | Any = None,
    masks: Any = None,
    seed: int = 0,
    *,
    target: Any = None,
    labels: Sequence[Any] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    normalisation: Normalisation | None = None,
    controls: bool = True,
    confidence: float = 0.95,
    explanations: Explanation | Sequence[Explanation] | None = None,
    random_label_model: Any = None,
) -> list[dict[str, Any]]:
    """Judge explanations by several independent tests, each beside a control.

    Either ``model, images, methods``, or finished explanations: ``evaluate(explanations)`` for
    what needs no model, ``evaluate(model, explanations=...)`` for what does.

    Parameters
    ----------
    model
        A loaded model, anything `load` takes, or a list of `Explanation`.
    images
        Whatever `ImageSet` takes.
    methods
        Names out of ``methods(model)``, objects of registered `Explainer` classes, pairs (name,
        parameters), or a mapping from labels to these. "layer" among the parameters is the layer.
    metrics
        Names out of ``evaluation.metrics()`` or `Metric` objects; None for the usual ones.
    masks
        One a picture: bool [N, H, W], or a sequence of [H, W], of regions in their wire form
        ({"type": "rect", "x", ...}) or lists of them; None where there is none. Or (store, name):
        a `ConceptStore` and a concept, whose marked examples are the masks of their pictures.
    seed
        Of everything that is drawn.
    target
        What to explain, as in `explain`; None for each picture's predicted class.
    labels
        The true classes, positions or labels, None where one is not known: records then say
        "correct".
    columns
        More columns for the records, to slice by: name -> one value a picture.
    normalisation
        How maps are standardised before their shape is judged; None for the default.
    controls
        Whether each metric is computed for its control maps too.
    confidence
        Of the intervals.
    explanations
        Judge these instead of explaining.
    random_label_model
        The same architecture trained on random labels, for "data_randomisation".

    Returns
    -------
    list of dict
        One `Record` per picture, method and metric. What could not be computed has the value None
        and says why in "note"; everything else goes on.

    Raises
    ------
    XaiError
        If a method, metric, target, label, parameter or the number of masks, labels or columns is
        wrong; before anything is computed.
    """
    stream = evaluate_stream(
        model,
        images,
        methods,
        metrics,
        masks,
        seed,
        target=target,
        labels=labels,
        columns=columns,
        normalisation=normalisation,
        controls=controls,
        confidence=confidence,
        explanations=explanations,
        random_label_model=random_label_model,
    )
    records: list[dict[str, Any]] = drain(stream)
    return records


def evaluate_stream(
    model: Any,
    images: Any = None,
    methods: Any = None,
    metrics: Sequence[Any] | Any = None,
    masks: Any = None,
    seed: int = 0,
    *,
    target: Any = None,
    labels: Sequence[Any] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    normalisation: Normalisation | None = None,
    controls: bool = True,
    confidence: float = 0.95,
    explanations: Explanation | Sequence[Explanation] | None = None,
    random_label_model: Any = None,
) -> Generator[Progress, None, list[dict[str, Any]]]:
    """Evaluate in steps: yields `Progress` with the records so far, returns all with intervals.

    One picture after the other, so that only its maps are in memory. Closing the generator between
    two steps cancels the work and leaves the model as it was.
    """
    seed, confidence = whole(0)("seed", seed), confidence_level(confidence)
    if normalisation is not None and not isinstance(normalisation, Normalisation):
        raise MetricError(
            f"normalisation is {normalisation!r}: give a Normalisation of "
            "xai_widgets.evaluation, or None."
        )
    if columns is not None and not isinstance(columns, Mapping):
        raise MetricError(
            f"columns is a {type(columns).__name__}: give a mapping from names to one value a "
            "picture."
        )
    if isinstance(explanations, Explanation):
        explanations = [explanations]
    if explanations is not None and not _are_explanations(explanations):
        raise MetricError(
            "explanations must be a sequence of at least one Explanation: give what explain "
            "returned."
        )
    if explanations is None and _are_explanations(model):
        model, explanations = None, [model] if isinstance(model, Explanation) else list(model)
    loaded = None if model is None else load(model)
    judged = _metrics(metrics, masks is not None)
    pictures: Sequence[Any]
    if explanations is not None:
        pictures = list({one.image.display.key: one.image for one in explanations}.values())
        names = list(dict.fromkeys(one.method for one in explanations))
        chosen = None
    else:
        if images is None or methods is None:
            raise MetricError("Give images and methods along with the model, or explanations.")
        pictures = images if isinstance(images, ImageSet) else ImageSet(images)
        chosen = subjects(methods)
        names = [subject.label for subject in chosen]
        if loaded is not None:
            # Only what the target names is checked here: what it becomes depends on the picture.
            known = resolve_target(target, loaded.labels, 0)
            if known.layer is not None:
                loaded.resolve_layer(known.layer)
    n = len(pictures)
    given = {
        "masks": masks_for(masks, n),
        **_per_picture({"labels": labels}, n),
        **_per_picture(dict(columns or {}), n),
    }
    if loaded is not None:
        given["labels"] = true_labels(given["labels"], loaded.labels)
    clash = RESERVED & set(columns or {})
    if clash:
        raise MetricError(f"A column cannot be called {sorted(clash)[0]!r}: records have that one.")
    judge = Judge(
        model=loaded,
        metrics=judged,
        subjects=chosen,
        target=target,
        normalisation=normalisation or Normalisation(),
        controls=controls,
        seed=seed,
        random_label_model=None if random_label_model is None else load(random_label_model),
    )
    total = n * len(names) * len(judged)
    records: list[dict[str, Any]] = []
    for i in range(n):
        ready = None
        if explanations is not None:
            key = pictures[i].display.key
            ready = [one for one in explanations if one.image.display.key == key]
        more = {name: given[name][i] for name in columns or {}}
        try:
            picture: Any = pictures[i]
        except XaiError as error:  # its file cannot be opened
            picture = error
        name = pictures.name(i) if isinstance(pictures, ImageSet) else pictures[i].display.name
        row = (i, name, given["masks"][i], given["labels"][i])
        stream = judge.picture(picture, *row, ready, names)
        for found in stream:
            for record in found:
                record.update(more)
            records += found
            yield Progress(len(records), total, found)
    return with_intervals(records, confidence, seed)


def _are_explanations(value: Any) -> bool:
    return isinstance(value, Explanation) or (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(one, Explanation) for one in value)
    )


def _metrics(given: Any, with_masks: bool) -> list[Metric]:
    """Return the metrics that a user named.

    Raises
    ------
    MetricError
        If there is none, or one comes twice with the same parameters.
    """
    if given is None:
        given = DEFAULT_WITH_MASKS if with_masks else DEFAULT
    if isinstance(given, str | Metric):
        given = [given]
    if not isinstance(given, Iterable):
        raise MetricError(f"metrics is {given!r}: give names out of metrics(), or Metric objects.")
    found = [metric(one) for one in given]
    if not found:
        raise MetricError("The list of metrics is empty: give at least one, or None.")
    texts = [repr(one) for one in found]
    twice = next((one for one in found if texts.count(repr(one)) > 1), None)
    if twice is not None:
        raise MetricError(f"{twice.title} is among the metrics twice: leave one out.")
    return found


def _per_picture(given: Mapping[str, Any], n: int) -> dict[str, list[Any]]:
    """Return lists with one entry a picture, None where nothing was given."""
    found = {}
    for name, values in given.items():
        try:
            entries = [None] * n if values is None else list(values)
        except TypeError:  # no sequence, or an array without a dimension
            raise MapError(
                f"{name} is {values!r}: give a sequence, one for each picture."
            ) from None
        if len(entries) != n:
            raise MapError(
                f"{name} has {len(entries)} entries, and there are {n} pictures: give one each."
            )
        found[name] = entries
    return found
