"""Find where a Keras gradient is lost, and why, in the operations of its graph."""

import linecache
import re
import traceback
from typing import Any

import keras
import tensorflow as tf

from xai_widgets.models.graph_parts import cut_out
from xai_widgets.models.keras_calls import first_tensor, operations, untouched
from xai_widgets.models.keras_graph import KerasGraph
from xai_widgets.models.readiness.trace import Event, Floats
from xai_widgets.models.verdicts import DEAD

BLOCKING = {
    "StopGradient": ("stop_gradient", "tf.stop_gradient"),
    "PreventGradient": ("stop_gradient", "tf.raw_ops.PreventGradient"),
    "PyFunc": ("numpy", "tf.numpy_function"),
    "PyFuncStateless": ("numpy", "tf.numpy_function"),
    "ArgMax": ("argmax", "tf.argmax"),
    "ArgMin": ("argmax", "tf.argmin"),
    "Round": ("integer", "tf.round"),
    "Rint": ("integer", "tf.math.rint"),
    "Floor": ("integer", "tf.floor"),
    "Ceil": ("integer", "tf.math.ceil"),
    "Sign": ("integer", "tf.sign"),
}
SIZES = ("Shape", "ShapeN", "Size", "Rank")
"""What tells the shape of a tensor, and nothing of its values."""
PYTHON = "EagerPyFunc"
RANDOM = ("RandomUniform", "RandomStandardNormal", "StatelessRandomUniformV2", "TruncatedNormal")
FLAT = {"Relu": "dead", "Relu6": "dead", "Softmax": "saturated_softmax", "Sigmoid": "saturated"}
DROP = 1e3


class _Way:
    """The operations between images and scores, and those that a gradient comes back to.

    Attributes
    ----------
    order
        Position of each operation, by name.
    through
        Names of operations whose output depends on the images through differentiable ones.
    """

    def __init__(self, model: Any, runner: KerasGraph) -> None:
        self._names = {str(operation.name) for operation in operations(model)}
        self.operations = runner._graph.get_operations()
        self.order = {operation.name: i for i, operation in enumerate(self.operations)}
        image, score = runner._images, runner._outputs
        after = {image.op.name}
        self.through = {image.op.name}
        for operation in self.operations:
            before = {tensor.op.name for tensor in operation.inputs}
            if operation.type in SIZES:
                continue
            if before & after:
                after.add(operation.name)
            if before & self.through and blocked(operation) is None:
                self.through.add(operation.name)
        needed = {score.op.name}
        for operation in reversed(self.operations):
            if operation.name in needed:
                needed.update(tensor.op.name for tensor in operation.inputs)
        self.names = after & needed
        self.arrives = score.op.name in self.through

    def layer_of(self, operation: Any) -> str:
        """Return the path of the layer in whose call an operation was made; the model is ""."""
        path = []
        for part in operation.name.split("/")[1:]:
            bare = re.sub(r"_\d+$", "", part)
            name = part if part in self._names and bare not in self._names else bare
            if name not in self._names:
                break
            path.append(name)
        return "/".join(path)

    def place(self, operation: Any, newest: Any) -> tuple[str, str | None]:
        """Return the layer of an operation, and the last other layer before it on the way.

        What the model itself does between two layers goes by the layer before it.
        """
        layer = self.layer_of(operation)
        end = -1 if newest is None else self.order[newest.name]
        on_the_way = self.names & self.through
        earlier = (
            found
            for step in self.operations[end::-1]
            if end >= 0 and step.name in on_the_way
            for found in [self.layer_of(step)]
            if found and found != layer
        )
        after = next(earlier, None)
        return layer or after or "", after


def blocked(operation: Any) -> tuple[str, str] | None:
    """Return cause and detail where an operation passes no gradient on, else None."""
    if operation.type in BLOCKING:
        return BLOCKING[operation.type]
    outputs = operation.outputs
    if outputs and not any(tensor.dtype.is_floating for tensor in outputs):
        kind = outputs[0].dtype.name
        called = "tf.cast" if operation.type == "Cast" else f"{operation.type}"
        return "integer", f"{called} to {kind}"
    return None


def find_graph_cut(model: Any, runner: KerasGraph, error: str | None) -> Event:
    """Return the operation that cuts the scores off the images.

    Of the operations that pass no gradient on, the one that takes the last values that still have
    one.
    """
    way = _Way(model, runner)
    last: tuple[int, Any, Any] | None = None
    for operation in way.operations:
        if operation.name not in way.names or operation.type in SIZES:
            continue
        cuts = operation.type == PYTHON if way.arrives else blocked(operation) is not None
        before = [t.op for t in operation.inputs if t.op.name in way.through]
        if not (cuts and before):
            continue
        newest = max(before, key=lambda op: way.order[op.name])
        if last is None or way.order[newest.name] > last[0]:
            last = (way.order[newest.name], operation, newest)
    if last is None:
        return Event("unknown", "", error or "")
    _, operation, newest = last
    layer, after = way.place(operation, newest)
    cause, detail = blocked(operation) or ("numpy", "tf.py_function")
    return Event(cause, layer, detail, after)


def bad_operation(
    model: Any,
    runner: KerasGraph,
    images: Any,
    cotangent: Floats,
    norms: dict[str, float | None],
    fault: str,
) -> Event:
    """Return the operation where a gradient that arrives goes bad, seen from the scores."""
    way = _Way(model, runner)
    largest = max((n for n in norms.values() if n is not None and n < float("inf")), default=0.0)

    def bad(value: float | None) -> bool:
        if fault == "not_finite":
            return value is not None and not value < float("inf")
        if fault == "zero":
            return not value
        return value is None or value < min(DEAD, largest / DROP)

    paths = list(runner.traced)
    good = next((i for i, path in enumerate(paths) if not bad(norms[path])), len(paths))
    start = 0 if good == 0 else way.order[runner.traced[paths[good - 1]].tensor.op.name]
    stop = (
        len(way.operations)
        if good == len(paths)
        else way.order[runner.traced[paths[good]].tensor.op.name]
    )
    inside = [
        operation
        for operation in way.operations[start : stop + 1]
        if operation.name in way.names & way.through
        and operation.outputs[0].dtype.is_floating
        and operation.outputs[0] is not runner._images
    ]
    sizes = _norms(runner, [op.outputs[0] for op in inside], images, cotangent)
    for before, operation in zip([None, *inside], inside, strict=False):
        if bad(sizes[operation.name]):
            continue
        layer, after = way.place(operation, before)
        if fault == "not_finite":
            return Event("not_finite", layer, operation.type, after)
        sudden = before is not None and sizes[operation.name] > DROP * max(
            sizes[before.name] or 0.0, 1e-300
        )
        plain = "vanishing" if fault == "dead" else "dead"
        cause = FLAT.get(operation.type, plain) if sudden else plain
        return Event(cause, layer, operation.type, after)
    plain = {"not_finite": "not_finite", "zero": "dead", "dead": "vanishing"}[fault]
    return Event(plain, paths[good] if good < len(paths) else "", "")


def _norms(
    runner: KerasGraph, tensors: list[Any], images: Any, cotangent: Floats
) -> dict[str, float]:
    if not tensors:
        return {}
    with runner._graph.as_default():
        found = tf.gradients(runner._outputs, tensors, grad_ys=runner._cotangents[None])
        fetches = [
            tf.zeros((), tf.float64)
            if gradient is None
            else tf.norm(tf.cast(tf.convert_to_tensor(gradient), tf.float64))
            for gradient in found
        ]
    run = cut_out(runner._function, [runner._images, runner._cotangents[None]], fetches)
    sizes = run(images, tf.constant(cotangent))
    return {t.op.name: float(s.numpy()) for t, s in zip(tensors, sizes, strict=True)}


def events_in(model: Any, runner: KerasGraph) -> tuple[Event, ...]:
    """Return what draws random numbers, and the last softmax."""
    way = _Way(model, runner)
    found = []
    for operation in way.operations:
        if operation.type in RANDOM and not operation.name.startswith("gradients"):
            found.append(Event("random", way.layer_of(operation), operation.type))
        elif operation.type == "Softmax" and operation.outputs[0] is runner._outputs:
            found.append(Event("softmax", way.layer_of(operation), "tf.nn.softmax"))
    return tuple(found)


def find_eager_cut(model: Any, passed: Any, calls: Any, images: Any) -> Event:
    """Return where a model that cannot be traced leaves TensorFlow.

    The last layer that depends on the images is found by halving; tracing the model fails at the
    line that takes a tensor's values.
    """
    paths = list(calls)

    def connected(i: int) -> bool:
        total = calls[paths[i]].tensor
        return passed._tape.gradient(total, passed._images) is not None

    first, end = -1, len(paths)
    while end - first > 1:
        middle = (first + end) // 2
        first, end = (middle, end) if connected(middle) else (first, middle)
    after = paths[first] if first >= 0 else None
    cause, layer, line = _why_not_traced(model, images)
    return Event(cause, layer or after or "", line, after)


def _why_not_traced(model: Any, images: Any) -> tuple[str, str, str]:
    """Trace the model and read off the error which layer takes values out of a tensor, and how."""
    try:
        with untouched(model):
            spec = tf.TensorSpec((None, *images.shape[1:]), tf.float32)
            tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(
                spec
            )
    except Exception as error:
        layer, line = "", ""
        for frame, number in traceback.walk_tb(error.__traceback__):
            owner = frame.f_locals.get("self")
            package = str(frame.f_globals.get("__name__", "")).split(".")[0]
            if package in ("keras", "tensorflow", "xai_widgets"):
                continue
            if isinstance(owner, keras.layers.Layer) and owner is not model:
                layer = str(owner.name)
            line = linecache.getline(frame.f_code.co_filename, number).strip() or line
        cause = "item" if re.search(r"\b(float|int)\(|\.item\(|\.tolist\(", line) else "numpy"
        return cause, layer, line[:80]
    return "unknown", "", ""


def find_integer_output(model: Any) -> Event | None:
    """Return why a model's output is no score, where its graph says so."""
    shape = [side or 64 for side in (getattr(model, "input_shape", None) or (None,) * 4)[1:]]
    if len(shape) != 3:
        return None
    height, width, channels = shape
    try:
        runner = KerasGraph(
            model, model.name, (height, width, channels if channels in (1, 3) else 3), first_tensor
        )
    except Exception:
        return None
    way = _Way(model, runner)
    for operation in reversed(way.operations):
        known = blocked(operation)
        if operation.name in way.names and known is not None:
            if known[0] == "integer" and any(t.op.type == "ArgMax" for t in operation.inputs):
                continue
            return Event(known[0], way.layer_of(operation), known[1])
    return None
