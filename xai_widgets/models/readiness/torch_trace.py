"""Trace a PyTorch model: one recorded forward pass, one backward pass to every layer at once."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import GradientEdge

from xai_widgets.errors import ModelError
from xai_widgets.models.readiness.torch_loss import (
    failed_forward,
    find_bad,
    find_cut,
    find_overwriting,
)
from xai_widgets.models.readiness.torch_record import Frame, Recorder, key
from xai_widgets.models.readiness.trace import Event, Floats, LayerTrace, Trace
from xai_widgets.models.torch_state import autograd
from xai_widgets.models.verdicts import gradient_fault

Run = Callable[[torch.Tensor, bool], torch.Tensor]
"""Runs the forward pass of [N, H, W, C], with or without a graph, and returns scores [N, K]."""


def trace_module(
    module: nn.Module,
    run: Run,
    values: torch.Tensor,
    gradients: bool = True,
    target: int | None = None,
) -> Trace:
    """Trace a module.

    Parameters
    ----------
    module
        The model; hooks are put on it for the duration of the call.
    run
        Runs it.
    values
        [N, H, W, C]; the gradient is that of the first image's score.
    gradients
        Go backward too.
    target
        The class whose score is differentiated; else the predicted one.

    Raises
    ------
    ModelError
        If the forward pass fails even without a graph.
    """
    if not gradients:
        return _without(module, run, values)
    with autograd():
        source = values.detach().requires_grad_(True)
        recorder, scores, failure = _forward(module, run, source)
        if scores is None or failure is not None:
            seen = _without(module, run, values)
            loss = failed_forward(recorder, str(failure))
            return Trace(
                seen.layers, seen.events, None, seen.scores, seen.target, loss, str(failure)
            )
        chosen = int(scores[0].argmax()) if target is None else target
        try:
            return _differentiated(module, run, recorder, source, scores, chosen)
        finally:
            recorder.release()


def _forward(
    module: nn.Module, run: Run, source: torch.Tensor
) -> tuple[Recorder, torch.Tensor | None, ModelError | None]:
    """Record the forward pass; without new graphs behind cuts where the model refuses these."""
    failure: ModelError | None = None
    for revive in (True, False):
        recorder = Recorder(module, source, revive)
        try:
            with recorder.recording():
                return recorder, run(source, True), None
        except ModelError as error:
            failure = error
        finally:
            recorder.release()
    return recorder, None, failure


def _without(module: nn.Module, run: Run, values: torch.Tensor) -> Trace:
    recorder = Recorder(module, values, revive=False)
    try:
        with autograd(False), recorder.recording():
            scores = run(values, False)
    finally:
        recorder.release()
    found = _numpy(scores)
    return Trace(_layers(recorder, {}), _events(recorder), None, found, int(np.argmax(found[0])))


def _differentiated(
    module: nn.Module,
    run: Run,
    recorder: Recorder,
    source: torch.Tensor,
    scores: torch.Tensor,
    target: int,
) -> Trace:
    found = _numpy(scores)
    score = scores[0, target]
    edges = {key(edge): edge for frame in recorder.frames for edge in _around(frame)}
    edges[key(torch.autograd.graph.get_gradient_edge(source))] = (
        torch.autograd.graph.get_gradient_edge(source)
    )
    norms, given, error = _backward(score, edges)
    gradient = given.pop(key(torch.autograd.graph.get_gradient_edge(source)), None)
    layers = _layers(recorder, norms)
    values = None if gradient is None else _numpy(gradient)
    loss: Event | None
    if error is not None:
        loss = find_overwriting(module, run, source, error)
    elif values is None:
        loss = find_cut(recorder, source, scores)
    else:
        fault = gradient_fault(values[:1], _numpy(source[:1]))
        loss = None if fault is None else find_bad(recorder, norms, fault)
    return Trace(layers, _events(recorder), values, found, target, loss, error)


def _backward(
    score: torch.Tensor, edges: dict[Any, GradientEdge]
) -> tuple[dict[Any, float | None], dict[Any, torch.Tensor], str | None]:
    """Return the norm of d score / d edge for all edges, and the gradients at leaves.

    Where the backward pass fails, the edges are in the order of the forward pass: halving finds
    the first one that it reaches.
    """
    if not score.requires_grad:
        return dict.fromkeys(edges), {}, None
    names, places = list(edges), list(edges.values())

    def attempt(start: int) -> tuple[torch.Tensor | None, ...]:
        return torch.autograd.grad(score, places[start:], retain_graph=True, allow_unused=True)

    error: str | None = None
    reached, failed = 0, -1
    try:
        found = attempt(0)
    except RuntimeError as reason:
        error = " ".join(str(reason).split())
        failed, reached, found = 0, len(places), ()
        while reached - failed > 1:
            middle = (reached + failed) // 2
            try:
                found, reached = attempt(middle), middle
            except RuntimeError:
                failed = middle
    gradients = dict(zip(names[reached:], found, strict=True))
    norms = {name: _norm(gradients.get(name)) for name in names}
    kept = {name: g for name, g in gradients.items() if g is not None}
    return norms, kept, error


def _norm(gradient: torch.Tensor | None) -> float | None:
    """Return the norm, scaled so that tiny gradients do not underflow."""
    if gradient is None:
        return None
    norm = float(torch.linalg.vector_norm(gradient, dtype=torch.float32))
    if norm > 1e-15:
        return norm
    return float(torch.linalg.vector_norm(gradient, dtype=torch.float64))


def _around(frame: Frame) -> Iterable[GradientEdge]:
    yield from frame.inputs
    yield from frame.outputs


def _layers(recorder: Recorder, norms: dict[Any, float | None]) -> tuple[LayerTrace, ...]:
    found: dict[str, LayerTrace] = {}
    for frame in recorder.frames:
        if not frame.name or frame.shape is None:
            continue
        norm = None if frame.main is None else norms.get(key(frame.main))
        finite = frame.finite and (norm is None or bool(np.isfinite(norm)))
        found.pop(frame.name, None)  # the last call counts, as in `Architecture`
        found[frame.name] = LayerTrace(
            frame.name, frame.kind, frame.shape[1:], norm, finite, frame.sample
        )
    return tuple(found.values())


def _events(recorder: Recorder) -> tuple[Event, ...]:
    """Return what was seen, each once per module and kind."""
    seen = {
        (sighting.cause, sighting.frame.name, sighting.detail): Event(
            sighting.cause, sighting.frame.name, sighting.detail
        )
        for sighting in recorder.sightings
        if sighting.cause != "in_place"
    }
    return tuple(seen.values())


def _numpy(tensor: torch.Tensor) -> Floats:
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)
