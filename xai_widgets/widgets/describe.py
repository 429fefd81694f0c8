"""What the browser needs to know of a model and of a result, in words and records."""

from typing import Any

import numpy as np

from xai_widgets.explainers.base import Explainer, parameter_records
from xai_widgets.explainers.registry import explainers, find, methods
from xai_widgets.explanation import Explanation
from xai_widgets.models.architecture import Layer
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.formats import only_predicts
from xai_widgets.models.preprocessing import preprocessing_text
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.verdicts import model_verdict
from xai_widgets.widgets.regions import FILLS

MAX_THUMBNAILS = 40
PREVIEW_SIDE = 1024
HIDDEN_SHARE = 0.25


def setup(model: ExplainableModel, n_images: int) -> dict[str, Any]:
    """Return the payload of the `setup` message."""
    return {
        "title": model.name,
        "framework": model.framework,
        "labels": list(model.labels),
        "classifier": model.is_classifier,
        "task": model.task,
        "n_images": n_images,
        "layers": [layer_record(layer) for layer in model.layers],
        "methods": method_records(model),
        "fills": list(FILLS),
        "verdict": verdict(model),
        "input_shape": list(model.input_shape),
        "preprocessing": preprocessing_text(model.preprocess.describe()),
        "max_thumbnails": MAX_THUMBNAILS,
    }


def layer_record(layer: Layer) -> dict[str, Any]:
    """Return what the browser needs to know of a layer."""
    return {
        "name": layer.name,
        "kind": layer.kind,
        "shape": list(layer.shape),
        "depth": layer.depth,
        "spatial": layer.spatial,
        "main": layer.main,
        "recommended": layer.recommended,
    }


def picture(image: PreparedImage, index: int = 0) -> dict[str, Any]:
    """Return the payload of the `picture` message; ``index`` is its position among the images."""
    display = image.display
    return {
        "index": index,
        "name": display.name,
        "width": display.width,
        "height": display.height,
        "array": display.resized(PREVIEW_SIDE),
        "placement": image.placement.to_dict(),
    }


def prediction(model: ExplainableModel, outputs: Any, index: int = 0) -> dict[str, Any]:
    """Return the payload of the `prediction` message.

    Parameters
    ----------
    model
        What predicted.
    outputs
        What it returned for the image, [K] or dense [H, W, K].
    index
        Position of the image.
    """
    probabilities = model.probabilities(outputs[None])
    scores = model.class_scores(model.backend.asarray(outputs[None]))
    return {
        "index": index,
        "probabilities": None if probabilities is None else probabilities[0],
        "scores": np.asarray(model.backend.to_numpy(scores)[0], dtype=np.float32),
        "predicted": model.predicted_class(outputs),
    }


def method_records(model: ExplainableModel) -> list[dict[str, Any]]:
    """Return the methods with the parameters of their forms."""
    known = explainers()
    return [
        {
            "name": record["method"],
            **{key: value for key, value in record.items() if key != "method"},
            "parameters": form_records(known[record["method"]], model),
        }
        for record in methods(model)
    ]


def form_records(explainer: type[Explainer], model: ExplainableModel) -> list[dict[str, Any]]:
    """Return the parameters of a form: nothing to choose where the model leaves no choice."""
    gone = set() if model.capabilities.reason(("patches",)) is None else {"patches"}
    records = []
    for record in parameter_records(explainer):
        if record["choices"] is not None:
            record = {**record, "choices": [name for name in record["choices"] if name not in gone]}
            if len(record["choices"]) < 2:
                continue
        records.append(record)
    return records


def first_method(model: ExplainableModel) -> str:
    """Return the method to begin with: the first by gradients, else the one that costs least."""
    applicable = [find(record["method"]) for record in methods(model) if record["applicable"]]
    if not applicable:
        return ""
    costs = [explainer().cost for explainer in applicable]
    if any(cost.backwards for cost in costs):
        return applicable[[cost.backwards > 0 for cost in costs].index(True)].name
    return applicable[int(np.argmin([cost.forwards for cost in costs]))].name


def verdict(model: ExplainableModel) -> dict[str, Any]:
    """Say in one word and one sentence what the model allows."""
    findings = [{"level": "info", "text": text} for text in model.findings]
    name, text = model_verdict(model)
    reason = model.capabilities.reason(("input_gradients", "layer_gradients"))
    if reason is not None:
        level = "info" if only_predicts(model.format) else "warning"
        findings.insert(0, {"level": level, "text": reason})
    return {"verdict": name, "sentence": text, "findings": findings}


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
