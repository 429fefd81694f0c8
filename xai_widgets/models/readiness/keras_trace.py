"""Trace a Keras model: scores, layers and gradients in one run of its graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.errors import ModelError, XaiError
from xai_widgets.models.base import sentence
from xai_widgets.models.keras_eager import KerasEager, KerasEagerPass
from xai_widgets.models.keras_graph import KerasGraph
from xai_widgets.models.readiness.keras_loss import (
    bad_operation,
    events_in,
    find_eager_cut,
    find_graph_cut,
)
from xai_widgets.models.readiness.trace import Event, Floats, LayerTrace, Trace, norm
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
    scores, samples, finite = _forward(runner, images)
    chosen = int(np.argmax(scores[0])) if target is None else target
    events = events_in(model, runner)
    if not gradients:
        layers = _layers(runner.calls, samples, finite, {})
        return Trace(layers, events, None, scores, chosen)
    cotangent = np.zeros(scores.shape, np.float32)
    cotangent[0, chosen] = 1
    value, norms, error = _backward(runner, images, cotangent)
    loss: Event | None = None
    if value is None:
        loss = find_graph_cut(model, runner, error)
    else:
        fault = gradient_fault(value[:1], images[:1].numpy())
        if fault is not None:
            loss = bad_operation(model, runner, images, cotangent, norms, fault)
    layers = _layers(runner.calls, samples, finite, norms)
    return Trace(layers, events, value, scores, chosen, loss, error)


def _forward(runner: KerasGraph, images: Any) -> tuple[Floats, dict[str, Floats], dict[str, bool]]:
    """Return scores, and for every layer some of its values and whether all are finite."""

    def parts() -> tuple[list[Any], list[Any]]:
        fetches = [runner._scores]
        with runner._graph.as_default():
            for call in runner.calls.values():
                flat = tf.reshape(tf.cast(call.tensor[0], tf.float32), [-1])
                step = max(1, (flat.shape[0] or SAMPLE) // SAMPLE)
                fetches += [flat[::step], tf.reduce_sum(flat)]
        return [runner._images], fetches

    scores, *found = runner._cut_out("readiness forward", parts)(images)
    samples = dict(zip(runner.calls, (v.numpy() for v in found[::2]), strict=True))
    finite = dict(zip(runner.calls, (bool(np.isfinite(v)) for v in found[1::2]), strict=True))
    return scores.numpy(), samples, finite


def _backward(
    runner: KerasGraph, images: Any, cotangent: Floats
) -> tuple[Floats | None, dict[str, float | None], str | None]:
    """Return the gradient at the images and its norm at every layer, None where there is none."""
    norms: dict[str, float | None] = dict.fromkeys(runner.calls)
    reached = [path for path in runner.calls if _has_gradient(runner, path)]
    places: list[str | None] = [*([None] if _has_gradient(runner, None) else []), *reached]
    error: str | None = None
    if not _has_gradient(runner, None):
        error = None if runner._failure is None else " ".join(str(runner._failure).split())[:400]
    value: Floats | None = None

    def attempt(start: int) -> None:
        nonlocal value
        wanted = places[start:]

        def parts() -> tuple[list[Any], list[Any]]:
            fetches = []
            with runner._graph.as_default():
                for path in wanted:
                    gradient = tf.cast(runner._gradient(path), tf.float32)
                    fetches.append(gradient if path is None else _norm_of(gradient))
            return [runner._images, runner._cotangent], fetches

        run = runner._cut_out(f"readiness backward {start} {len(wanted)}", parts)
        for path, found in zip(wanted, run(images, tf.constant(cotangent)), strict=True):
            if path is None:
                value = found.numpy()
            else:
                norms[path] = float(found.numpy())

    if places:
        error = _halving(attempt, len(places)) or error
    return value, norms, error


def _norm_of(gradient: Any) -> Any:
    """Return the L2 norm in double precision, so that small gradients do not underflow."""
    return tf.sqrt(2 * tf.nn.l2_loss(tf.cast(gradient, tf.float64)))


def _halving(attempt: Callable[[int], None], n: int) -> str | None:
    """Run from the first place on; where that fails, from the first place that is reached."""
    try:
        attempt(0)
    except (tf.errors.OpError, ValueError, TypeError) as reason:
        error = " ".join(str(reason).split())[:400]
    else:
        return None
    failed, reached = 0, n
    while reached - failed > 1:
        middle = (reached + failed) // 2
        try:
            attempt(middle)
            reached = middle
        except (tf.errors.OpError, ValueError, TypeError):
            failed = middle
    return error


def _has_gradient(runner: KerasGraph, layer: str | None) -> bool:
    try:
        return runner._gradient(layer) is not None
    except XaiError:
        return False


def _layers(
    calls: Any,
    samples: dict[str, Floats],
    finite: dict[str, bool],
    norms: dict[str, float | None],
) -> tuple[LayerTrace, ...]:
    found = []
    for path, call in calls.items():
        size = norms.get(path)
        shape = tuple(int(side or 0) for side in call.tensor.shape[1:])
        good = finite.get(path, True) and (size is None or bool(np.isfinite(size)))
        found.append(LayerTrace(path, call.kind, shape, size, good, samples[path]))
    return tuple(found)


def _eager(
    model: Any, runner: KerasEager, images: Any, gradients: bool, target: int | None
) -> Trace:
    with sentence(ModelError, "The model cannot be run"):
        passed = runner.forward(images)
    scores = passed.batch_scores.numpy()
    chosen = int(np.argmax(scores[0])) if target is None else target
    calls = {
        path: call
        for path, call in passed._calls.items()
        if call.tensor.dtype.is_floating and (call.tensor.shape.rank or 0) >= 2
    }
    samples, finite = {}, {}
    for path, call in calls.items():
        flat = call.tensor[0].numpy().astype(np.float32).ravel()
        samples[path] = flat[:: max(1, flat.size // SAMPLE)]
        finite[path] = bool(np.isfinite(flat).all())
    if not gradients:
        return Trace(_layers(calls, samples, finite, {}), (), None, scores, chosen)
    cotangent = np.zeros(scores.shape, np.float32)
    cotangent[0, chosen] = 1
    value = _taped(passed, passed._images, cotangent)
    norms: dict[str, float | None] = {}
    for path, call in calls.items():
        gradient = _taped(passed, call.tensor, cotangent)
        norms[path] = None if gradient is None else norm(gradient)
    loss = None
    if value is None or gradient_fault(value[:1], images[:1].numpy()) is not None:
        loss = find_eager_cut(model, passed, calls, images)
    return Trace(_layers(calls, samples, finite, norms), (), value, scores, chosen, loss)


def _taped(passed: KerasEagerPass, tensor: Any, cotangent: Floats) -> Floats | None:
    gradient = passed._tape.gradient(
        passed.batch_scores, tensor, output_gradients=tf.constant(cotangent)
    )
    return None if gradient is None else tf.convert_to_tensor(gradient).numpy()
