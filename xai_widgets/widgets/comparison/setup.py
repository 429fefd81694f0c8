"""What the browser needs to know of a comparison before its first cell."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import MetricError
from xai_widgets.evaluation.base import LACKS, Metric
from xai_widgets.evaluation.registry import METRICS, metric
from xai_widgets.explainers.registry import find
from xai_widgets.widgets.comparison.axes import Axes
from xai_widgets.widgets.comparison.state import FILLS
from xai_widgets.widgets.describe import MAX_THUMBNAILS, verdict

if TYPE_CHECKING:
    from xai_widgets.widgets.comparison.comparison import Comparison

NO_RANDOM_LABELS = (
    "It compares with a model trained on random labels: use evaluate with random_label_model."
)


def metrics_by_name(given: Any) -> tuple[dict[str, Metric], list[str]]:
    """Return all metrics by the names that the trait `metrics` takes, and those to begin with.

    Parameters
    ----------
    given
        Names or `Metric` objects; one of each metric.

    Raises
    ------
    MetricError
        If there is no such metric, or it comes twice.
    """
    if isinstance(given, str | Metric):
        given = [given]
    if not isinstance(given, Iterable):
        raise MetricError(f"metrics is {given!r}: give names out of metrics(), or Metric objects.")
    chosen = [metric(each) for each in given]
    names = [each.name for each in chosen]
    twice = next((each.title for each in chosen if names.count(each.name) > 1), None)
    if twice is not None:
        raise MetricError(f"{twice} is among the metrics twice: leave one out.")
    known = {name: kind() for name, kind in METRICS.items()}
    return {**known, **{each.name: each for each in chosen}}, names


def lacking(metrics: Mapping[str, Metric], axes: Axes, masks: bool) -> dict[str, str | None]:
    """Return what has to be given for each metric, None where nothing is missing."""
    absent = {"random_label_model": NO_RANDOM_LABELS}
    if not masks:
        absent["mask"] = LACKS["mask"]
    if len(axes.subjects) < 2:
        absent["others"] = LACKS["others"]
    return {
        name: next((absent[need] for need in each.needs if need in absent), None)
        for name, each in metrics.items()
    }


def setup_payload(comparison: "Comparison") -> dict[str, Any]:
    """Return the payload of the `setup` message; the models are not asked, they may be busy."""
    axes = comparison.axes
    images = axes.images
    return {
        "title": ", ".join(axes.names),
        "framework": axes.models[0].framework,
        "verdict": verdict(axes.models[0]),
        "n_images": len(images),
        "max_thumbnails": MAX_THUMBNAILS,
        "axes": {
            "images": [{"name": images.name(index)} for index in range(len(images))],
            "methods": [_method(axes, position) for position in range(len(axes.subjects))],
            "models": [
                {
                    "label": name,
                    "framework": model.framework,
                    "verdict": verdict(model)["verdict"],
                }
                for name, model in zip(axes.names, axes.models, strict=True)
            ],
            "layers": [{"label": entry.label} for entry in axes.layers],
            "targets": [{"label": entry.label} for entry in axes.targets],
        },
        "metrics": [
            {
                "name": name,
                "title": each.title,
                "direction": each.direction,
                "minimum": each.minimum,
                "maximum": each.maximum,
                "unit": each.unit,
                "meaning": each.meaning,
                "needs_missing": comparison.missing[name],
            }
            for name, each in comparison.metric_of.items()
        ],
        "fills": list(FILLS),
    }


def _method(axes: Axes, position: int) -> dict[str, Any]:
    subject = axes.subjects[position]
    explainer = find(subject.method)
    return {
        "label": axes.title("methods", position),
        "title": explainer.title,
        "name": subject.method,
        "parameters": parameters_text(subject.parameters),
        "uses_layer": explainer.uses_layer,
        "family": explainer.family,
    }


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Return parameters in words: "n_steps 32, baseline blur"."""
    told = []
    for name, value in parameters.items():
        plain = isinstance(value, str | int | float | bool) or value is None
        shape = getattr(value, "shape", None)
        text = str(value) if plain else type(value).__name__
        told.append(f"{name} {text if shape is None else f'{text} {list(shape)}'}")
    return ", ".join(told)
