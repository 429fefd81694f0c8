"""What the browser needs to know of a model and of a result, in words and records."""

from collections.abc import Sequence
from typing import Any

from xai_widgets.explainers.base import parameter_records
from xai_widgets.explainers.registry import explainers, methods
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.widgets.regions import FILLS

MAX_THUMBNAILS = 40
HIDDEN_SHARE = 0.25


def setup(model: ExplainableModel, n_images: int) -> dict[str, Any]:
    """Return the payload of the `setup` message."""
    return {
        "title": model.name,
        "framework": model.framework,
        "labels": list(model.labels),
        "classifier": model.is_classifier,
        "n_images": n_images,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shape": list(layer.shape),
                "depth": layer.depth,
                "spatial": layer.spatial,
                "main": layer.main,
                "recommended": layer.recommended,
            }
            for layer in model.layers
        ],
        "methods": method_records(model),
        "fills": list(FILLS),
        "verdict": verdict(model),
        "input_shape": list(model.input_shape),
        "preprocessing": preprocessing_text(model.preprocess.describe()),
        "max_thumbnails": MAX_THUMBNAILS,
    }


def method_records(model: ExplainableModel) -> list[dict[str, Any]]:
    """Return the methods with the parameters of their forms."""
    known = explainers()
    return [
        {
            "name": record["method"],
            **{key: value for key, value in record.items() if key != "method"},
            "parameters": parameter_records(known[record["method"]]),
        }
        for record in methods(model)
    ]


def verdict(model: ExplainableModel) -> dict[str, Any]:
    """Say in one word and one sentence what the model allows."""
    findings = [{"level": "info", "text": text} for text in model.findings]
    reason = model.capabilities.reason(("input_gradients",))
    layers = ("feature_maps", "layer_gradients")
    if reason is not None and model.capabilities.reason(layers) is None:
        return {
            "verdict": "layer-gradients-only",
            "sentence": f"Only methods that look at a layer can explain this model. {reason}",
            "findings": [{"level": "warning", "text": reason}, *findings],
        }
    if reason is not None:
        return {
            "verdict": "inference-only",
            "sentence": f"This model predicts, but cannot be explained by gradients. {reason}",
            "findings": [{"level": "warning", "text": reason}, *findings],
        }
    return {
        "verdict": "explainable",
        "sentence": "A gradient flows from the score to the picture.",
        "findings": findings,
    }


def preprocessing_text(described: dict[str, Any]) -> str:
    """Say what happens to a picture before the model sees it."""
    if described["kind"] != "standard":
        return "your own function"
    size = described["size"]
    low, high = described["value_range"]
    parts = [
        f"{described['resize']} to {size[0]} x {size[1]}" if size else "own size",
        f"values {low:g} to {high:g}",
    ]
    if any(described["mean"]) or any(value != 1 for value in described["std"]):
        parts.append(f"mean {_numbers(described['mean'])}, std {_numbers(described['std'])}")
    return ", ".join(parts)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def facts(explanation: Explanation) -> list[dict[str, str]]:
    """Return what the status line says of a result: short text, and its meaning."""
    found = [
        {
            "text": f"score {explanation.score:.3g}",
            "title": f"The model's score for {explanation.target_text}, before any softmax.",
        }
    ]
    relative = explanation.diagnostics.get("convergence_delta_relative")
    if relative is not None:
        delta = explanation.diagnostics["convergence_delta"]
        found.append(
            {
                "text": f"gap {abs(relative):.1%}".replace("%", " %"),
                "title": (
                    f"The attributions miss f(x) - f(baseline) by {delta:.3g}. "
                    "More steps make the gap smaller."
                ),
            }
        )
    return found


def notes(explanation: Explanation) -> list[dict[str, str]]:
    """Return what a reader of the result must know, as sentences."""
    found = []
    share = explanation.diagnostics.get("share_equal_to_baseline", 0.0)
    if share > HIDDEN_SHARE:
        baseline = explanation.provenance["parameters"].get("baseline")
        advice = "" if baseline == "blur" else " Try the baseline 'blur'."
        found.append(
            {
                "level": "warning",
                "text": f"{share:.0%} of the pixels equal the baseline and get no attribution, "
                f"whatever the model does with them.{advice}",
            }
        )
    relative = explanation.diagnostics.get("convergence_delta_relative")
    if relative is not None and abs(relative) > 0.1:
        found.append(
            {
                "level": "warning",
                "text": "The attributions are more than 10 % off their sum: use more steps.",
            }
        )
    if not explanation.map.any():
        found.append(
            {
                "level": "warning",
                "text": "The map is zero everywhere: for this method nothing in the picture speaks "
                f"for {explanation.target_text}.",
            }
        )
    return found
