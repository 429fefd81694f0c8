"""Turn what was traced into findings: one function for each thing that is checked."""

from typing import Any

import numpy as np

from xai_widgets.errors import XaiError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.formats import only_predicts
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.readiness.causes import CAUSES
from xai_widgets.models.readiness.report import Finding
from xai_widgets.models.readiness.trace import (
    Event,
    Floats,
    Trace,
    differs,
    first_difference,
    norm,
)
from xai_widgets.models.verdicts import gradient_fault

REPEAT_TOLERANCE = 1e-4
BATCH_TOLERANCE = 1e-3
REFERENCE_TOLERANCE = 1e-3
REACTION = 1e-4
"""Scores of different pictures that differ by less do not decide anything."""
FADED = 1e-3
SURE = 1 - 1e-4
"""A softmax with a larger probability has lost its slope."""

FATES = {
    "not_finite": "becomes NaN or infinite",
    "zero": "becomes zero",
    "dead": "vanishes",
}


def gradient_findings(model: ExplainableModel, trace: Trace, values: Floats) -> list[Finding]:
    """Say whether the gradient reaches the input: existing, finite, not zero, not vanishing."""
    lack = model.capabilities.lacks.get("input_gradients")
    gradient = trace.input_gradient
    fault = None if gradient is None else gradient_fault(gradient[:1], values)
    if trace.loss is not None:
        fate = "is lost" if fault is None else FATES[fault]
        return [_loss_finding(trace.loss, fate, "error" if lack else "warning")]
    if lack is not None:
        graph = only_predicts(model.format)
        cause = "frozen_graph" if graph or model.format == "savedmodel" else None
        return [Finding("info" if graph else "error", "gradient", lack, None, None, cause)]
    if fault is not None:
        text = f"For this image the gradient at the input {FATES[fault]}."
        return [Finding("warning", "gradient", text, None, None, fault)]
    if trace.input_gradient_norm is None:
        return [Finding("ok", "gradient", "The gradient reaches the input.")]
    size = f"{trace.input_gradient_norm:.2e}"
    return [
        Finding(
            "ok",
            "gradient",
            f"The gradient reaches the input: finite, not zero, norm {size}, and the score is in "
            "the graph.",
        )
    ]


def _loss_finding(loss: Event, fate: str, level: str) -> Finding:
    cause = CAUSES[loss.cause]
    where = f"in {loss.layer!r}" if loss.layer else "in the model's own forward pass"
    if loss.layer and loss.layer == loss.after:
        where = f"after {loss.layer!r}"
    elif loss.layer and loss.after:
        where += f", after {loss.after!r}"
    seen = f" ({loss.detail})" if loss.detail else ""
    text = f"The gradient {fate} {where}: {cause.what}{seen}."
    return Finding(level, "gradient", text, cause.advice, loss.layer, loss.cause)


def layer_findings(model: ExplainableModel, trace: Trace) -> list[Finding]:
    """Say whether methods that look at layers can use them."""
    lacks = model.capabilities.lacks
    layer = model.recommended_layer
    if not model.layers and only_predicts(model.format):
        return []  # said of the gradient
    if not model.layers:
        text = lacks.get("feature_maps") or "The model shows no layers."
        return [Finding("warning", "layers", text, "Load the original model for layer methods.")]
    found = []
    if "layer_gradients" in lacks:
        found.append(Finding("warning", "layers", lacks["layer_gradients"], None, layer))
    elif layer is not None:
        found.append(
            Finding("ok", "layers", f"Layer {layer!r} has a feature map with a gradient.", None)
        )
    if "feature_maps" in lacks:
        advice = "CAM methods need a feature map; gradient and attention methods do without."
        found.append(Finding("info", "layers", lacks["feature_maps"], advice))
    broken = next((entry for entry in trace.layers if not entry.finite), None)
    if broken is not None and trace.loss is None:
        text = f"Values or gradients at layer {broken.name!r} are NaN or infinite."
        found.append(Finding("warning", "layers", text, None, broken.name, "not_finite"))
    return found


def probability_findings(model: ExplainableModel, trace: Trace) -> list[Finding]:
    """Say whether the scores are probabilities, and whether the softmax is saturated."""
    if not (model.outputs_probabilities and model.is_classifier):
        return []
    sure = trace.score > SURE
    logits = _logits_layer(trace, len(model.labels))
    advice = "Explain the logits" + (f": the output of layer {logits!r}." if logits else ".")
    if model.framework == "tensorflow":
        advice += ' Load the model with output="logits", or build it with '
        advice += "classifier_activation=None."
    else:
        advice += " Let the model return them, and apply softmax outside of it."
    softmax = next((event.layer for event in trace.events if event.cause == "softmax"), None)
    text = "The model returns probabilities, not logits"
    if sure:
        text += (
            f", and its softmax is saturated for this image (probability {trace.score:.6f}): its "
            "gradient is next to nothing and mostly rounding noise."
        )
    else:
        text += ": where the softmax is sure of a class its gradient vanishes."
    cause = "saturated_softmax" if sure else "probabilities"
    return [Finding("warning", "probabilities", text, advice, softmax or None, cause)]


def _logits_layer(trace: Trace, n_outputs: int) -> str | None:
    """Return the last layer of as many outputs whose own are no probabilities."""
    inside = {event.layer for event in trace.events if event.cause == "softmax"}
    names = [
        layer.name
        for layer in trace.layers
        if layer.shape == (n_outputs,)
        and "softmax" not in layer.kind.lower()
        and not any(_holds(layer.name, name) for name in inside)
    ]
    return names[-1] if names else None


def _holds(outer: str, name: str) -> bool:
    """Tell whether a layer is another one, or contains it."""
    return name == outer or name.startswith((f"{outer}.", f"{outer}/"))


def determinism_findings(model: ExplainableModel, trace: Trace, values: Floats) -> list[Finding]:
    """Say whether the same image gets the same scores twice."""
    try:
        again = model.trace(values, gradients=False)
    except XaiError as error:
        text = f"The same image works once and fails the second time. {error}"
        return [Finding("error", "determinism", text, None, None, "non_determinism")]
    if not differs(trace.scores, again.scores, REPEAT_TOLERANCE):
        return [Finding("ok", "determinism", "The same image gives the same scores twice.")]
    layer = first_difference(trace.layers, again.layers, REPEAT_TOLERANCE)
    drawn = next((event for event in trace.events if event.cause == "random"), None)
    if drawn is not None and (layer is None or drawn.layer == layer):
        layer = drawn.layer
    change = float(np.abs(trace.scores - again.scores).max())
    where = f" The first layer that differs is {layer!r}." if layer else ""
    seen = "" if drawn is None or not drawn.detail else f" It calls {drawn.detail}."
    return [
        Finding(
            "warning",
            "determinism",
            f"The same image gives other scores each time (they differ by {change:.3g}), in eval "
            f"mode too.{where}{seen}",
            CAUSES["non_determinism"].advice,
            layer,
            _mode_cause(trace, layer, "non_determinism"),
        )
    ]


def batch_findings(model: ExplainableModel, trace: Trace, pair: Floats) -> list[Finding]:
    """Say whether an image depends on the other one of its batch, and whether they differ."""
    wants = trace.input_gradient is not None
    try:
        both = model.trace(pair, gradients=wants, target=trace.target)
    except XaiError as error:
        text = f"The model takes one image at a time: a batch of two fails. {error}"
        return [Finding("warning", "batch", text, CAUSES["batch"].advice, None, "batch")]
    found = reaction_findings(model, trace, both, pair)
    scores = differs(trace.scores[:1], both.scores[:1], BATCH_TOLERANCE)
    leaks = False
    if trace.input_gradient is not None and both.input_gradient is not None:
        own, other = norm(both.input_gradient[:1]), norm(both.input_gradient[1:])
        leaks = other > BATCH_TOLERANCE * own
    if not (scores or leaks):
        return [*found, Finding("ok", "batch", "An image's score does not depend on its batch.")]
    if _random(trace):
        return found
    layer = first_difference(trace.layers, both.layers, BATCH_TOLERANCE)
    what = "score" if scores else "gradient"
    where = f" The first layer that differs is {layer!r}." if layer else ""
    cause = _mode_cause(trace, layer, "batch")
    text = (
        f"An image's {what} depends on the other images of its batch.{where} Methods that pass "
        "many inputs at once, such as integrated gradients, are distorted."
    )
    return [*found, Finding("warning", "batch", text, CAUSES["batch"].advice, layer, cause)]


def _mode_cause(trace: Trace, layer: str | None, otherwise: str) -> str:
    """Return "train_mode" for a layer that should not do in eval mode what it does."""
    kind = next((entry.kind for entry in trace.layers if entry.name == layer), "")
    return "train_mode" if "BatchNorm" in kind or "Dropout" in kind else otherwise


def reaction_findings(
    model: ExplainableModel, trace: Trace, both: Trace, pair: Floats
) -> list[Finding]:
    """Say whether the scores react to the picture at all: those of its negative must differ."""
    if trace.loss is not None or np.ptp(pair[0]) == 0:
        return []
    scores = np.log(both.scores + 1e-12) if model.outputs_probabilities else both.scores
    change = float(np.abs(scores[0] - scores[1]).max())
    scale = 1.0 if model.is_classifier else float(np.abs(both.scores).max())
    if change > REACTION * scale or (model.outputs_probabilities and trace.score > SURE):
        return []
    sizes = [(layer.name, layer.gradient_norm or 0.0) for layer in trace.layers]
    largest = max((size for _, size in sizes), default=0.0)
    layer = next((name for name, size in sizes if size > FADED * largest), None)
    faded = layer is not None and layer != trace.layers[0].name
    where = f" The gradient fades away before {layer!r}." if faded else ""
    text = (
        "The scores hardly react to the picture: its negative gets the same ones, the largest "
        f"difference is {change:.1e}.{where}"
    )
    return [Finding("warning", "reaction", text, CAUSES["vanishing"].advice, layer, "vanishing")]


def _random(trace: Trace) -> bool:
    return any(event.cause == "random" for event in trace.events)


def mode_findings(model: ExplainableModel, trace: Trace, values: Floats) -> list[Finding]:
    """Say whether the model is in train mode, and whether that changes its answer."""
    layers = model.training_layers()
    if not layers:
        return []
    shown = ", ".join(repr(name) for name in layers[:4]) + (" ..." if len(layers) > 4 else "")
    try:
        scores = model.scores_in_own_mode(values)
    except XaiError as error:
        answer = f"its own answer fails: {error}"
    else:
        own = model.backend.to_numpy(scores)
        if not differs(trace.scores, own, REPEAT_TOLERANCE):
            return []
        change = float(np.abs(trace.scores - own).max())
        answer = f"its scores differ by up to {change:.3g} from those in eval mode"
    return [
        Finding(
            "warning",
            "mode",
            f"The model is in train mode and {answer}: {shown} behave differently in training. "
            "Explanations use eval mode.",
            CAUSES["train_mode"].advice,
            layers[0],
            "train_mode",
        )
    ]


def reference_findings(
    model: ExplainableModel, trace: Trace, image: PreparedImage, reference: Any
) -> list[Finding]:
    """Say whether the model predicts what its reference predicts; an error makes it not ok."""
    expected = _reference_scores(image, reference)
    if expected.shape != trace.scores[0].shape:
        text = (
            f"The reference gives {expected.size} scores, the model {trace.scores.shape[1]}: they "
            "are not the same model, or one of them was cut."
        )
        return [Finding("error", "reference", text, "Compare the two models' last layers.")]
    change = float(np.abs(expected - trace.scores[0]).max())
    scale = max(float(np.abs(expected).max()), 1e-12)
    same = int(expected.argmax()) == trace.target
    if change <= REFERENCE_TOLERANCE * scale:
        text = f"The model predicts what the reference predicts (largest difference {change:.2g})."
        return [Finding("ok", "reference", text)]
    wrong = model.labels[trace.target]
    right = model.labels[int(expected.argmax())]
    text = f"The model's scores differ by up to {change:.3g} from those of the reference" + (
        "." if same else f": it predicts {wrong!r} in place of {right!r}."
    )
    advice = (
        "Compare preprocessing, eval mode, weights and precision of the export; check each of them "
        "on the same input."
    )
    return [
        Finding("warning" if same and change < 0.05 * scale else "error", "reference", text, advice)
    ]


def _reference_scores(image: PreparedImage, reference: Any) -> Floats:
    from xai_widgets.models.loading import load

    if isinstance(reference, np.ndarray | list | tuple):
        found: Any = reference
    elif callable(reference) and not _is_model(reference):
        found = reference(image.values[None])
    else:
        other = load(reference)
        prepared = other.prepare(image.display)
        found = other.backend.to_numpy(other.scores(prepared.values[None]))
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    scores: Floats = np.atleast_2d(np.asarray(found, dtype=np.float32))[0]
    return scores


def _is_model(source: Any) -> bool:
    return isinstance(source, ExplainableModel) or any(
        hasattr(source, name) for name in ("named_modules", "layers", "module")
    )


def loading_findings(model: ExplainableModel) -> list[Finding]:
    """Say what was assumed while loading; probabilities and train mode are judged above."""
    return [
        Finding("info", "loading", text)
        for text in model.findings
        if "returns probabilities" not in text and "was in train mode" not in text
    ]
