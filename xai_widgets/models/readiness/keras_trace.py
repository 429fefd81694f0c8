"""Trace a Keras model: scores, layers and gradients in one run of its graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.errors import ModelError, XaiError, sentence
from xai_widgets.models.keras_cotangents import constant_cotangent
from xai_widgets.models.keras_eager import KerasEager, KerasEagerPass
from xai_widgets.models.keras_graph import KerasGraph
from xai_widgets.models.keras_pass import class_scores
from xai_widgets.models.readiness.keras_loss import (
    bad_operation,
    events_in,
    find_eager_cut,
    find_graph_cut,
)
from xai_widgets.models.readiness.trace import Event, Floats, LayerTrace, Trace, norm
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.verdicts import gradient_fault

SAMPLE = 256


def trace_keras(
    model: Any,
    runner: KerasGraph | KerasEager,
    images: Any,
    gradients: bool = True,
    target: int | None = None,
) -> Trace:
    """Trace a Keras model.

    Parameters
    ----------
    model
        The user's model.
    runner
        Its traced graph, or the eager stand-in where it cannot be traced.
    images
        [N, H, W, C]; the gradient is that of the first image's score.
    gradients
        Go backward too.
    target
        The class whose score is differentiated; else the predicted one.

    Raises
    ------
    ModelError
        If the forward pass fails.
    """
    if isinstance(runner, KerasGraph):
        return _graph(model, runner, images, gradients, target)
    return _eager(model, runner, images, gradients, target)


def _graph(
    model: Any, runner: KerasGraph, images: Any, gradients: bool, target: int | None
) -> Trace:
    outputs = runner.outputs(images)
    chosen = _chosen(outputs, target)
    cotangent = _cotangent(outputs, chosen)
    seen = _Passes(runner, images, cotangent)
    events = events_in(model, runner)
    layers = _layers(runner.traced, seen.outputs, seen.norms if gradients else {})
    if not gradients:
        return Trace(layers, events, None, seen.scores, chosen)
    loss: Event | None = None
    if seen.value is None:
        loss = find_graph_cut(model, runner, seen.error)
    else:
        fault = gradient_fault(seen.value[:1], images[:1].numpy())
        if fault is not None:
            loss = bad_operation(model, runner, images, cotangent, seen.norms, fault)
    return Trace(layers, events, seen.value, seen.scores, chosen, loss, seen.error)


def _chosen(outputs: Any, target: int | None) -> int:
    return int(np.argmax(class_scores(outputs)[0])) if target is None else target


def _cotangent(outputs: Any, chosen: int) -> Floats:
    """Return d score of the first image / d outputs, zero for the other images."""
    first = np.eye(1, len(outputs), dtype=np.float32)[0]
    found = constant_cotangent(ClassTarget(chosen), tuple(outputs.shape), first)
    return np.asarray(found.numpy(), np.float32)


class _Passes:
    """A forward and a backward pass through the graph, cut out of it as one function.

    Attributes
    ----------
    scores
        [N, K].
    outputs
        The first image's output of every layer.
    value
        The gradient at the images, or None.
    norms
        Norm of the gradient at every layer, None where there is none.
    error
        Why the backward pass fails, or None.
    """

    def __init__(self, runner: KerasGraph, images: Any, cotangent: Floats) -> None:
        self.value: Floats | None = None
        self.norms: dict[str, float | None] = dict.fromkeys(runner.traced)
        places = [path for path in (None, *runner.traced) if _has_gradient(runner, path)]
        self.error = None
        if None not in places and None in runner._failures:
            self.error = " ".join(str(runner._failures[None]).split())[:400]
        tensors = [runner._outputs, *(call.tensor for call in runner.traced.values())]

        def run(start: int) -> None:
            wanted = places[start:]
            function = runner._cut_out(
                f"readiness {start} of {len(places)}",
                lambda: (
                    [runner._images, runner._cotangents[None]],
                    [*tensors, *(runner._gradient(path) for path in wanted)],
                ),
            )
            found = function(images, tf.constant(cotangent))
            self.scores: Floats = class_scores(found[0]).numpy()
            outputs = found[1 : len(tensors)]
            self.outputs = {
                path: output[0].numpy() for path, output in zip(runner.traced, outputs, strict=True)
            }
            for path, gradient in zip(wanted, found[len(tensors) :], strict=True):
                if path is None:
                    self.value = gradient.numpy().astype(np.float32)
                else:
                    self.norms[path] = _size(gradient.numpy())

        self.error = _halving(run, len(places)) or self.error


def _size(gradient: Any) -> float:
    """Return the L2 norm; in double precision where it is so small that it may underflow."""
    flat = np.asarray(gradient, np.float32).ravel()
    squared = float(np.dot(flat, flat))
    return float(np.sqrt(squared)) if squared > 1e-30 or squared != squared else norm(flat)


def _halving(attempt: Callable[[int], None], n: int) -> str | None:
    """Run from the first place on; where that fails, from the first place that is reached."""
    failures = (tf.errors.OpError, ValueError, TypeError)
    try:
        attempt(0)
    except failures as reason:
        error = " ".join(str(reason).split())[:400]
    else:
        return None
    failed, reached = 0, n + 1
    while reached - failed > 1:
        middle = (reached + failed) // 2
        try:
            attempt(middle)
            reached = middle
        except failures:
            failed = middle
    return error


def _has_gradient(runner: KerasGraph, layer: str | None) -> bool:
    try:
        return runner._gradient(layer) is not None
    except XaiError:
        return False


def _layers(
    calls: Any, outputs: dict[str, Any], norms: dict[str, float | None]
) -> tuple[LayerTrace, ...]:
    found = []
    for path, call in calls.items():
        size = norms.get(path)
        flat = np.asarray(outputs[path], np.float32).ravel()
        finite = bool(np.isfinite(flat.sum())) and (size is None or bool(np.isfinite(size)))
        sample = flat[:: max(1, flat.size // SAMPLE)]
        found.append(LayerTrace(path, call.kind, outputs[path].shape, size, finite, sample))
    return tuple(found)


def _eager(
    model: Any, runner: KerasEager, images: Any, gradients: bool, target: int | None
) -> Trace:
    with sentence(ModelError, "The model cannot be run"):
        passed = runner.forward(images)
    scores = class_scores(passed.batch_outputs).numpy()
    chosen = _chosen(passed.batch_outputs, target)
    calls = {
        path: call
        for path, call in passed._calls.items()
        if call.tensor.dtype.is_floating and (call.tensor.shape.rank or 0) >= 2
    }
    outputs = {path: call.tensor[0].numpy() for path, call in calls.items()}
    if not gradients:
        return Trace(_layers(calls, outputs, {}), (), None, scores, chosen)
    cotangent = _cotangent(passed.batch_outputs, chosen)
    value = _taped(passed, passed._images, cotangent)
    norms: dict[str, float | None] = {}
    for path, call in calls.items():
        gradient = _taped(passed, call.tensor, cotangent)
        norms[path] = None if gradient is None else norm(gradient)
    loss = None
    if value is None or gradient_fault(value[:1], images[:1].numpy()) is not None:
        loss = find_eager_cut(model, passed, calls, images)
    return Trace(_layers(calls, outputs, norms), (), value, scores, chosen, loss)


def _taped(passed: KerasEagerPass, tensor: Any, cotangent: Floats) -> Floats | None:
    gradient = passed._tape.gradient(
        passed.batch_outputs, tensor, output_gradients=tf.constant(cotangent)
    )
    return None if gradient is None else tf.convert_to_tensor(gradient).numpy()
