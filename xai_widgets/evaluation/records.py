"""Records of scores: their columns, their intervals over images, and their means over slices."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import numpy as np

from xai_widgets.errors import MetricError, near_matches
from xai_widgets.evaluation.checks import confidence_level, whole
from xai_widgets.evaluation.intervals import interval


class Record(TypedDict):
    """One score: of a metric, for a method, on a picture.

    Attributes
    ----------
    image, image_index
        Name and position of the picture.
    method
        The method's label.
    metric
        The metric's name.
    value
        The score; None where it could not be computed, and "note" says why.
    mean, low, high
        Mean over all pictures of this method and metric, and its interval (by default 95 %).
    control, control_name, controls
        The score of the control that is hardest to beat, which one that is, and all by name.
    control_mean, gain_low, gain_high
        Mean of that control over pictures, and the interval of mean gain over it, positive where
        the method is better: the pictures are paired.
    direction, minimum, maximum, unit
        Which way is better, and the ends of the range, None where there is none.
    parameters, normalisation
        Of the metric; and how the map was standardised.
    target, predicted, confidence, label, correct
        What was explained; the predicted class and its probability; the true class, and whether it
        was predicted.
    seed, n_images
        Of everything drawn; on how many pictures mean and interval stand.
    note
        Why there is no value, in one sentence.
    """

    image: str
    image_index: int
    method: str
    metric: str
    value: float | None
    mean: float | None
    low: float | None
    high: float | None
    control: float | None
    control_name: str | None
    controls: dict[str, float]
    control_mean: float | None
    gain_low: float | None
    gain_high: float | None
    direction: str
    minimum: float | None
    maximum: float | None
    unit: str
    parameters: dict[str, Any]
    normalisation: dict[str, Any]
    target: str | None
    predicted: str | None
    confidence: float | None
    label: Any
    correct: bool | None
    seed: int
    n_images: int
    note: str | None


def with_intervals(
    records: list[dict[str, Any]],
    confidence: float = 0.95,
    seed: int = 0,
    by: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return records with mean and interval over the pictures of each method and metric.

    Parameters
    ----------
    by
        More columns that tell groups apart: "model", "layer" ...
    """
    confidence = confidence_level(confidence)
    for group in grouped(records, ("method", "metric", "parameters", *by)).values():
        told = _statistics(group, confidence, seed)
        for record in group:
            record.update(told)
    return records


def summarise(
    records: Sequence[dict[str, Any]],
    by: str | Sequence[str] = (),
    confidence: float = 0.95,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return one row per method and metric, and per slice of the pictures.

    Parameters
    ----------
    records
        Of `evaluate`.
    by
        Columns to slice by: "label", "predicted", "correct", a column of your own, or
        "confidence_band" ("below 0.5", "0.5 to 0.9", "above 0.9").

    Returns
    -------
    list of dict
        "method", "metric", the slices' columns, "mean", "low", "high", "control_name",
        "control_mean", "gain_low", "gain_high", "direction", "minimum", "maximum", "unit",
        "parameters", "n_images", "n_failed" and "notes", why pictures failed.

    Raises
    ------
    MetricError
        If there is no such column, or confidence or seed is wrong.
    """
    confidence, seed = confidence_level(confidence), whole(0)("seed", seed)
    if not isinstance(by, Iterable):
        raise MetricError(f"by is {by!r}: give the name of a column, or several.")
    columns = (by,) if isinstance(by, str) else tuple(by)
    banded = [{**record, "confidence_band": _band(record.get("confidence"))} for record in records]
    for name in columns:
        if banded and name not in banded[0]:
            raise MetricError(
                f"Records have no column {name!r}.{near_matches(str(name), banded[0])}"
            )
    kept = ("direction", "unit", "parameters")
    found = []
    for group in grouped(banded, ("method", "metric", "parameters", *columns)).values():
        first = group[0]
        notes = list(dict.fromkeys(record["note"] for record in group if record["note"]))
        found.append(
            {
                "method": first["method"],
                "metric": first["metric"],
                **{name: first[name] for name in columns},
                **_statistics(group, confidence, seed),
                **{name: first[name] for name in kept},
                "minimum": _end(group, "minimum"),
                "maximum": _end(group, "maximum"),
                "n_failed": sum(record["value"] is None for record in group),
                "notes": notes,
            }
        )
    return found


def grouped(
    records: Sequence[dict[str, Any]], columns: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return records by the values of columns, in order of appearance."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        key = json.dumps([record[name] for name in columns], sort_keys=True, default=str)
        groups.setdefault(key, []).append(record)
    return groups


def _statistics(group: Sequence[dict[str, Any]], confidence: float, seed: int) -> dict[str, Any]:
    """Return mean and interval, and those of the gain over the control that is hardest to beat."""
    known = [record for record in group if record["value"] is not None]
    values = [record["value"] for record in known]
    ends = (_end(known, "minimum"), _end(known, "maximum"))
    low_high = interval(values, confidence, seed, *ends) if values else None
    told: dict[str, Any] = {
        "n_images": len(values),
        "mean": float(np.mean(values)) if values else None,
        "low": low_high[0] if low_high else None,
        "high": low_high[1] if low_high else None,
        "control_name": None,
        "control_mean": None,
        "gain_low": None,
        "gain_high": None,
    }
    higher = bool(group) and group[0]["direction"] == "higher"
    means = _control_means(known)
    if not means:
        return told
    name = (max if higher else min)(means, key=lambda control: means[control])
    pairs = [(r["value"], r["controls"][name]) for r in known if name in r["controls"]]
    gains = [(value - control) * (1 if higher else -1) for value, control in pairs]
    gain = interval(gains, confidence, seed)
    told["control_name"], told["control_mean"] = name, means[name]
    told["gain_low"], told["gain_high"] = gain if gain else (None, None)
    return told


def _control_means(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for record in records:
        for name, value in record["controls"].items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _end(records: Sequence[dict[str, Any]], name: str) -> float | None:
    """Return the end of the range that holds for all records."""
    ends = [record[name] for record in records]
    if not ends or any(end is None for end in ends):
        return None
    return float(min(ends) if name == "minimum" else max(ends))


def _band(confidence: float | None) -> str | None:
    if confidence is None:
        return None
    return "below 0.5" if confidence < 0.5 else "0.5 to 0.9" if confidence < 0.9 else "above 0.9"
