"""The sanity verdict: whether a method shows the same map when the network forgot its task."""

from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np

from xai_widgets.errors import MapError, MetricError, XaiError
from xai_widgets.evaluation.base import channel_sum, drain
from xai_widgets.evaluation.checks import is_number, whole
from xai_widgets.evaluation.intervals import interval
from xai_widgets.evaluation.normalise import Map
from xai_widgets.evaluation.randomisation import randomised, stages
from xai_widgets.evaluation.similarity import similarity
from xai_widgets.evaluation.subjects import Subject, subjects
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

THRESHOLD = 0.5
MIN_IMAGES, MIN_SEEDS = 12, 3

Known = list[tuple[PreparedImage, Target, Map]]


def sanity_verdict(
    model: Any,
    images: Any,
    methods: Any,
    target: Any = None,
    seeds: Sequence[int] = (0, 1, 2),
    n_stages: int = 2,
    threshold: float = THRESHOLD,
) -> list[dict[str, Any]]:
    """Flag methods whose maps do not depend on what the network learned.

    A method is flagged when the signed Spearman correlation of its maps with those of the same
    network, its head and last block drawn anew, stays above ``threshold``, over at least 12
    pictures x 3 draws.

    Parameters
    ----------
    model, images, methods, target
        As in `evaluate`.
    seeds
        Of the weights, one draw each.
    n_stages
        How many stages, from the head, are randomised; 2 are head and last block.
    threshold
        Of the mean correlation.

    Returns
    -------
    list of dict
        A record a method: "method", "verdict" ("passes", "flagged", or "undecided" on too few
        pictures or draws), "value" (mean correlation), "low", "high" (95 % over pictures),
        "absolute" (that of magnitudes, for comparison), "threshold", "stages" (what was
        randomised), "n_images", "n_seeds", "text" and "notes".
    """
    found: list[dict[str, Any]] = drain(
        verdict_stream(model, images, methods, target, seeds, n_stages, threshold)
    )
    return found


def verdict_stream(
    model: Any,
    images: Any,
    methods: Any,
    target: Any = None,
    seeds: Sequence[int] = (0, 1, 2),
    n_stages: int = 2,
    threshold: float = THRESHOLD,
) -> Generator[tuple[int, int], None, list[dict[str, Any]]]:
    """Do the same in steps: yields (done, total), with the user's own weights back at each."""
    if not isinstance(seeds, Iterable):
        raise MetricError(f"seeds is {seeds!r}: give a sequence of whole numbers.")
    seeds = [whole(0)("Each of the seeds", seed) for seed in seeds]
    n_stages = whole(0)("n_stages", n_stages)
    if not seeds or not n_stages:
        raise MetricError("The verdict needs a seed and a stage at least: give both.")
    if not is_number(threshold):
        raise MetricError(f"threshold is {threshold!r}: give a correlation, as {THRESHOLD}.")
    loaded = load(model)
    chosen = subjects(methods)
    pictures = images if isinstance(images, ImageSet) else ImageSet(images)
    parts = stages(loaded)[:n_stages]
    names = {name for part in parts for name in part.weights}
    total = len(chosen) * len(pictures) * (1 + len(seeds))
    done, records = 0, []
    for subject in chosen:
        known: Known = []
        notes: list[str] = []
        for picture in pictures:
            yield done, total
            done += 1
            try:
                known.append(_explained(loaded, subject, picture, target))
            except XaiError as error:
                notes.append(str(error))
        signed = np.zeros((len(known), len(seeds)))
        absolute = np.zeros_like(signed)
        for j, seed in enumerate(seeds):
            yield done, total
            with randomised(loaded, names, seed):
                maps = [channel_sum(subject.explainer(loaded, to)(image)) for image, to, _ in known]
            for i, (before, after) in enumerate(zip(known, maps, strict=True)):
                signed[i, j] = similarity(before[2], after, "spearman", "signed")
                absolute[i, j] = similarity(before[2], after, "spearman", "absolute")
            done += len(pictures)
        records.append(
            {
                "method": subject.label,
                **_judged(signed, absolute, threshold, len(seeds)),
                "threshold": threshold,
                "stages": [part.name for part in parts],
                "notes": list(dict.fromkeys(notes)),
            }
        )
    return records


def _explained(
    model: ExplainableModel, subject: Subject, picture: Any, target: Any
) -> tuple[PreparedImage, Target, Map]:
    image = model.prepare(picture)
    explanation = drain(subject.stream(model, image, target))
    if not explanation.map.any():
        raise MapError(f"The map of {image.display.name!r} is zero everywhere.")
    return image, explanation.target, explanation.map


def _judged(signed: Any, absolute: Any, threshold: float, n_seeds: int) -> dict[str, Any]:
    """Turn correlations [N, seeds] into a verdict in words."""
    n = len(signed)
    value = float(signed.mean()) if n else None
    low_high = interval(signed.mean(axis=1), minimum=-1, maximum=1) if n else None
    if value is None or n < MIN_IMAGES or n_seeds < MIN_SEEDS:
        verdict = "undecided"
        text = (
            f"{n} pictures and {n_seeds} draws are too few: give at least {MIN_IMAGES} and "
            f"{MIN_SEEDS}."
        )
    elif value > threshold:
        verdict = "flagged"
        text = (
            "The map stays the same when head and last block forget what they learned: it shows "
            "the picture more than the decision."
        )
    else:
        verdict = "passes"
        text = "The map changes when head and last block forget what they learned."
    return {
        "verdict": verdict,
        "value": value,
        "low": low_high[0] if low_high else None,
        "high": low_high[1] if low_high else None,
        "absolute": float(absolute.mean()) if n else None,
        "n_images": n,
        "n_seeds": n_seeds,
        "text": text,
    }
