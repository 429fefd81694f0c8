"""Find where a PyTorch gradient is lost, and why, in a recorded forward pass."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import Node, saved_tensors_hooks

from xai_widgets.models.readiness.torch_compiled import compiled_cut
from xai_widgets.models.readiness.torch_record import Frame, Recorder, Sighting, key
from xai_widgets.models.readiness.trace import Event
from xai_widgets.models.verdicts import DEAD

CUTS = ("no_grad", "inference_mode", "detach", "numpy", "item", "argmax", "integer")
SATURATING = ("sigmoid", "tanh", "softmax", "hardsigmoid", "hardtanh", "relu6")
DROP = 1e3
"""A layer that makes a gradient this much smaller is where it vanishes."""


# Cut off the graph ------------------------------------------------------------------------


def find_cut(recorder: Recorder, source: torch.Tensor, scores: torch.Tensor) -> Event:
    """Return where the graph between input and scores is cut.

    Going inwards from the model itself: among the modules called after the last one that still
    carries the gradient, the first that gets it and does not pass it on; in the innermost one,
    the first call that cuts.

    Parameters
    ----------
    recorder
        The recorded forward pass.
    source
        The input, a leaf.
    scores
        [N, K], which do not depend on the input through the graph.
    """
    carries = _Reach(source)
    frame, after = recorder.root, None
    started = frame.began
    while True:
        passing = [child for child in frame.children if carries.any(child.outputs)]
        last = max(passing, key=lambda child: child.ended, default=None)
        if last is not None:
            after, started = last.name, last.ended
        cutting = (
            child for child in frame.children if child.began > started and carries.any(child.inputs)
        )
        inner = next(cutting, None)
        own = _first_cut(recorder.sightings, frame, started)
        if inner is None or (own is not None and own.when < inner.began):
            break
        frame, started = inner, inner.began
    return _named_cut(recorder, frame, after, started)


def _named_cut(recorder: Recorder, frame: Frame, after: str | None, started: int) -> Event:
    block = frame
    while block.parent is not None and not block.parent.recording:
        block = block.parent
    if not block.recording:  # autograd was switched off by the caller of this module
        cause = "inference_mode" if block.inference else "no_grad"
        return Event(cause, block.name, f"around {block.name!r}", after)
    sighting = _first_cut(recorder.sightings, frame, started)
    if sighting is None:
        sighting = next(
            (s for s in recorder.sightings if s.cause in CUTS and _within(s.frame, frame)), None
        )
    layer = frame.name
    if sighting is None:
        return compiled_cut(recorder.module, frame.name) or Event(
            "unknown", layer or after or "", "", after
        )
    if sighting.cause in ("no_grad", "inference_mode") and not layer:
        under = (f for f in frame.children if f.began > sighting.when and not f.recording)
        layer = next((child.name for child in under), "")
    return Event(sighting.cause, layer or after or "", sighting.detail, after)


def _first_cut(sightings: Iterable[Sighting], frame: Frame, started: int) -> Sighting | None:
    """Return the first call in a module's own forward that cuts; what follows detach says why."""
    own = [
        seen
        for seen in sightings
        if seen.frame is frame and seen.when > started and seen.cause in CUTS
    ]
    first = next((seen for seen in own if seen.in_graph), None)
    if first is None:
        return None
    if first.cause == "detach":
        return next((s for s in own if s.cause in ("numpy", "item") and s.when > first.when), first)
    if first.cause == "integer":
        return next((s for s in own if s.cause == "argmax" and s.when > first.when), first)
    return first


def _within(frame: Frame | None, outer: Frame) -> bool:
    while frame is not None and frame is not outer:
        frame = frame.parent
    return frame is outer


class _Reach:
    """Which nodes of the autograd graph lead back to a leaf."""

    def __init__(self, leaf: torch.Tensor) -> None:
        self._known: dict[Node, bool] = {torch.autograd.graph.get_gradient_edge(leaf).node: True}

    def any(self, edges: Iterable[Any]) -> bool:
        """Tell whether one of the edges leads back to the leaf."""
        return any(self._reaches(edge.node) for edge in edges)

    def _reaches(self, node: Node) -> bool:
        stack = [node]
        while stack:
            top = stack[-1]
            if top in self._known:
                stack.pop()
                continue
            before = [n for n, _ in top.next_functions if n is not None]
            unknown = [n for n in before if n not in self._known]
            if unknown:
                stack += unknown
                continue
            self._known[top] = any(self._known[n] for n in before)
            stack.pop()
        return self._known[node]


# Zero, vanishing, not finite --------------------------------------------------------------


def find_bad(recorder: Recorder, norms: dict[Any, float | None], fault: str) -> Event:
    """Return where a gradient that arrives becomes zero, next to nothing, NaN or infinite.

    Parameters
    ----------
    recorder
        The recorded forward pass.
    norms
        Norm of the gradient at each edge.
    fault
        "zero", "dead" or "not_finite", as `gradient_fault` says.
    """
    largest = max((n for n in norms.values() if n is not None and n < float("inf")), default=0.0)

    def norm(edges: Iterable[Any]) -> float | None:
        known = [norms.get(key(edge)) for edge in edges]
        found = [value for value in known if value is not None]
        return max(found, key=lambda v: float("inf") if v != v else v) if found else None

    def bad(value: float | None) -> bool:
        if value is None:
            return fault == "zero"
        if fault == "not_finite":
            return not value < float("inf")
        if fault == "zero":
            return value == 0.0
        return value < min(DEAD, largest / DROP)

    if fault == "dead":
        sudden = _sudden(recorder, norm)
        if sudden is not None:
            return _bad_event(recorder, sudden, fault, None)
        first = next(
            (f for f in recorder.frames if f.name and not bad(norm(f.outputs))), recorder.root
        )
        return Event("vanishing", first.name, "", None)
    frame: Frame = recorder.root
    after: str | None = None
    while True:
        inner = None
        for child in frame.children:
            if not child.inputs and not child.outputs:
                continue
            if bad(norm(child.inputs)) and not bad(norm(child.outputs)):
                inner = child
            if bad(norm(child.outputs)):
                after = child.name
        if inner is None:
            break
        frame = inner
    return _bad_event(recorder, frame, fault, after)


def _sudden(recorder: Recorder, norm: Callable[[Iterable[Any]], float | None]) -> Frame | None:
    """Return the innermost module that makes the gradient much smaller, if one does."""
    drops = []
    for frame in recorder.frames:
        inside, outside = norm(frame.inputs), norm(frame.outputs)
        if not frame.children and inside is not None and outside is not None:
            drops.append((outside / max(inside, 1e-45), frame))
    largest = max(drops, key=lambda drop: drop[0], default=None)
    return largest[1] if largest is not None and largest[0] > DROP else None


def _bad_event(recorder: Recorder, frame: Frame, fault: str, after: str | None) -> Event:
    if fault == "not_finite":
        return Event("not_finite", frame.name or after or "", "", after)
    inside = [seen for seen in recorder.sightings if seen.frame is frame]
    rounding = next((seen for seen in inside if seen.cause == "integer"), None)
    layer = frame.name or after or ""
    if rounding is not None:
        return Event("integer", layer, rounding.detail, after)
    kind = frame.kind.lower()
    if "softmax" in kind or any(seen.cause == "softmax" for seen in inside):
        return Event("saturated_softmax", layer, frame.kind, after)
    if any(name in kind for name in SATURATING):
        return Event("saturated", layer, frame.kind, after)
    if "relu" in kind:
        return Event("dead", layer, frame.kind, after)
    custom = _custom_function(frame)
    if custom is not None:
        return Event("custom_gradient", layer, custom, after)
    return Event("vanishing" if fault == "dead" else "dead", layer, frame.kind, after)


def _custom_function(frame: Frame) -> str | None:
    """Return the name of a user's autograd function between a module's inputs and outputs."""
    seen: set[Any] = {edge.node for edge in frame.inputs}
    waiting: list[Any] = [edge.node for edge in frame.outputs]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return type(node).__name__.removesuffix("Backward")
        waiting += [before for before, _ in node.next_functions if before is not None]
    return None


# A backward or forward pass that fails ----------------------------------------------------


def find_overwriting(
    module: nn.Module, run: Callable[[torch.Tensor, bool], Any], source: torch.Tensor, error: str
) -> Event:
    """Run once more and return which module overwrites what the backward pass needs."""
    if "inplace" not in error and "in-place" not in error:
        return Event("unknown", "", error)
    recorder = Recorder(module, source)
    saved: list[tuple[torch.Tensor, int, int]] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_inference():
            saved.append((tensor, tensor._version, recorder.now))
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor), recorder.recording():
        run(source, True)
    try:
        for seen in recorder.sightings:
            if seen.cause != "in_place":
                continue
            for tensor, version, when in saved:
                same = tensor.untyped_storage().data_ptr() == seen.storage
                if same and when < seen.when and tensor._version > version:
                    return Event("in_place", *_place_of(seen))
    finally:
        recorder.release()
    return Event("in_place", "", error)


def _place_of(seen: Sighting) -> tuple[str, str, str | None]:
    finished = [child for child in seen.frame.children if -1 < child.ended < seen.when]
    after = max(finished, key=lambda child: child.ended).name if finished else None
    names = {"__setitem__": "y[...] = ", "__iadd__": "y += ", "__imul__": "y *= "}
    return seen.frame.name or after or "", names.get(seen.detail, f"{seen.detail}()"), after


def failed_forward(recorder: Recorder, error: str) -> Event:
    """Return why the forward pass fails where autograd records it, and works where not."""
    frame = recorder.top
    finished = [child.name for child in frame.children if child.ended >= 0]
    after = finished[-1] if finished else None
    last = recorder.sightings[-1] if recorder.sightings else None
    if re.search("inference", error, re.IGNORECASE):
        seen = next((s for s in recorder.sightings if s.cause == "inference_mode"), None)
        block = frame if seen is None else seen.frame
        while block.parent is not None and block.parent.inference:
            block = block.parent
        return Event("inference_mode", block.name or after or "", "torch.inference_mode()", after)
    if last is not None and last.cause in ("numpy", "item") and last.frame is frame:
        return Event(last.cause, frame.name or after or "", last.detail, after)
    if re.search("in-?place", error):
        return Event("in_place", frame.name or after or "", "", after)
    return Event("unknown", frame.name or after or "", error, after)
