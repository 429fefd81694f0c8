"""`check`: run a model, go backward, and say what it is fit for, with why and where it is not."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ModelError, XaiError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.formats import FORMATS
from xai_widgets.models.loading import load
from xai_widgets.models.preprocessing import preprocessing_text
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.readiness.findings import (
    batch_findings,
    determinism_findings,
    gradient_findings,
    layer_findings,
    loading_findings,
    mode_findings,
    probability_findings,
    reference_findings,
)
from xai_widgets.models.readiness.report import LEVELS, Finding, LayerReport, Report
from xai_widgets.models.readiness.trace import Trace
from xai_widgets.models.readiness.unloadable import diagnose
from xai_widgets.models.verdicts import DEAD, model_verdict

Pixels = npt.NDArray[np.uint8]

FADING = ("vanishing", "dead", "zero", "saturated", "saturated_softmax")
"""Causes of gradients that arrive and are next to nothing."""
DROP = 1e3
"""A gradient is faint if it is so much smaller than the largest, and next to nothing by itself."""


@dataclass(frozen=True)
class Step:
    """What the check does next.

    Attributes
    ----------
    text
        In some words.
    done, total
        How many of its parts lie behind, and how many there are.
    """

    text: str
    done: int
    total: int


def check(model: Any, image: Any = None, reference: Any = None) -> Report:
    """Check whether a model can be explained, and name why and where not.

    Runs the model, differentiates the predicted class's score at the input and at every layer,
    runs it again and in a batch. The model stays as it is.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    image
        A picture of any kind; else a generated one.
    reference
        What the model should predict: the model that it was exported from, a callable from inputs
        [N, H, W, C] to scores [N, K], or the scores [K] of the image. A model that predicts
        something else keeps its verdict, and `Report.ok` is False.

    Returns
    -------
    Report
        Verdict, findings, gradient norms of all layers.

    Raises
    ------
    ModelError
        If the source is no model or its file is refused. A model in memory whose forward pass
        fails is reported as broken.
    ImageError
        If the image cannot be opened.
    """
    steps = check_steps(model, image, reference)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: Report = end.value
            return report


def check_steps(
    model: Any, image: Any = None, reference: Any = None
) -> Generator[Step, None, Report]:
    """Check as `check` does, step by step, so that progress can be shown and the check given up.

    The model's lock is held during each step and free between two of them.

    Yields
    ------
    Step
        What comes next, before it is done.

    Returns
    -------
    Report
        As of `check`, which also says what may be raised.
    """
    started = time.perf_counter()
    try:
        loaded = load(model)
    except ModelError as error:
        diagnosis = diagnose(model, error)
        if diagnosis is None:
            raise
        return _unloadable(model, error, diagnosis, time.perf_counter() - started)
    prepared = loaded.prepare(_picture(loaded) if image is None else image)
    findings, trace = yield from _look(loaded, prepared, reference)
    verdict, sentence = _verdict(loaded, trace)
    if any(entry.check == "reference" and entry.level == "error" for entry in findings):
        sentence += " It does not predict what the reference predicts."
    return Report(
        verdict=verdict,
        sentence=sentence,
        model={
            "class": loaded.name,
            "framework": loaded.framework,
            "format": loaded.format,
            "input_shape": list(loaded.input_shape),
            "n_outputs": len(loaded.labels),
            "preprocessing": preprocessing_text(loaded.preprocess.describe()),
            "trusted": loaded.trusted,
        },
        findings=_worst_first(findings),
        layers=_layers(loaded, trace, findings),
        formats=format_rows(loaded.format),
        versions=dict(loaded.versions),
        seconds=time.perf_counter() - started,
    )


def _look(
    model: ExplainableModel, image: PreparedImage, reference: Any
) -> Generator[Step, None, tuple[list[Finding], Trace]]:
    values = image.values[None]
    mate = values.min() + values.max() - values[:, ::-1, ::-1]
    parts: list[tuple[str, Callable[[Trace], list[Finding]]]] = [
        ("Predicting once more", lambda trace: determinism_findings(model, trace, values)),
        (
            "Predicting in a batch",
            lambda trace: batch_findings(model, trace, np.concatenate([values, mate])),
        ),
    ]
    if model.training_layers():
        parts.append(("Trying train mode", lambda trace: mode_findings(model, trace, values)))
    if reference is not None:
        parts.append(
            (
                "Asking the reference",
                lambda trace: reference_findings(model, trace, image, reference),
            )
        )
    total = len(parts) + 1
    yield Step("Going forward and backward", 0, total)
    with model.lock:
        try:
            trace = model.trace(values)
        except XaiError as error:
            text = f"The model cannot predict this image. {error}"
            return [Finding("error", "prediction", text)], Trace()
        if not np.isfinite(trace.scores).all():
            return [_not_finite(model.trace(values, gradients=False))], trace
        findings = [
            Finding(
                "ok",
                "prediction",
                f"The model predicts {model.labels[trace.target]!r} with score {trace.score:.4g}.",
            ),
            *gradient_findings(model, trace, values),
            *layer_findings(model, trace),
            *probability_findings(model, trace),
        ]
    for done, (text, look) in enumerate(parts, start=1):
        yield Step(text, done, total)
        with model.lock:
            findings += look(trace)
    return [*findings, *loading_findings(model)], trace


def _not_finite(trace: Trace) -> Finding:
    layer = next((layer.name for layer in trace.layers if not layer.finite), None)
    where = "" if layer is None else f" The first layer whose output is not finite is {layer!r}."
    return Finding(
        "error",
        "prediction",
        f"The model's scores are NaN or infinite.{where}",
        "Check the weights, the input range, and roots, logarithms and divisions by zero.",
        layer,
        "not_finite",
    )


def _verdict(model: ExplainableModel, trace: Trace) -> tuple[str, str]:
    if trace.scores.size == 0:
        return "broken", f"{model.name} cannot predict this image."
    if not np.isfinite(trace.scores).all():
        return "broken", f"{model.name} predicts NaN or infinite scores."
    return model_verdict(model)


def _layers(
    model: ExplainableModel, trace: Trace, findings: list[Finding]
) -> tuple[LayerReport, ...]:
    known = {layer.name: layer for layer in model.layers}
    fading = any(finding.cause in FADING for finding in findings)
    norms = [layer.gradient_norm or 0.0 for layer in trace.layers]
    faint = min(DEAD, max(norms, default=0.0) / DROP) if fading else 0.0
    if not trace.layers:
        return tuple(
            LayerReport(layer.name, layer.kind, layer.shape, None, True, layer.main)
            for layer in model.layers
        )
    found = []
    for layer in trace.layers:
        entry = known.get(layer.name)
        gradient_norm = layer.gradient_norm
        if gradient_norm is not None and not np.isfinite(gradient_norm):
            gradient_norm = None
        found.append(
            LayerReport(
                layer.name,
                layer.kind,
                layer.shape if entry is None else entry.shape,
                gradient_norm,
                layer.finite,
                entry is not None and entry.main,
                entry is not None and entry.recommended,
                fading and gradient_norm is not None and gradient_norm < faint,
            )
        )
    return tuple(found)


def _unloadable(model: Any, error: ModelError, findings: list[Finding], seconds: float) -> Report:
    kind = type(model).__name__
    return Report(
        verdict="broken",
        sentence=f"{kind} does not predict scores. {error}",
        model={
            "class": kind,
            "framework": "torch" if hasattr(model, "named_modules") else "tensorflow",
            "format": "torch" if hasattr(model, "named_modules") else "keras",
            "input_shape": [],
            "n_outputs": 0,
            "preprocessing": "unknown",
            "trusted": False,
        },
        findings=_worst_first(findings),
        seconds=seconds,
    )


def _worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -LEVELS.index(finding.level)))


def _picture(model: ExplainableModel) -> Pixels:
    """Return a picture with edges, gradients and noise, uint8 [H, W, 3]."""
    height, width, _ = model.input_shape
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [
        np.sin(rows * (0.05 + 0.07 * k) + columns * (0.11 - 0.03 * k) + k) * 80 for k in range(3)
    ]
    noise = np.random.default_rng(0).uniform(-30, 30, (height, width, 3))
    disc = (rows - height / 2) ** 2 + (columns - width / 3) ** 2 < (min(height, width) / 5) ** 2
    values = np.stack(waves, axis=2) + noise + 128
    values[disc] = values[disc] * 0.3 + 120
    return np.clip(values, 0, 255).astype(np.uint8)


def format_rows(this: str) -> tuple[dict[str, Any], ...]:
    """Return the table of formats, with the model's own marked."""
    return tuple(_format_rows(FORMATS, this))


def _format_rows(formats: Any, this: str) -> Iterator[dict[str, Any]]:
    for entry in formats:
        yield {
            "name": entry.name,
            "title": entry.title,
            "input_gradients": entry.input_gradients,
            "layers": entry.layers,
            "verdict": entry.verdict,
            "this": entry.name == this,
        }
