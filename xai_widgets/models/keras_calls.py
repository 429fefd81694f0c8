"""Watch the layers of a Keras model while it is called, and leave the model as it was."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

UNCHANGED = ("Rescaling", "Normalization", "Resizing", "ZeroPadding2D", "Cropping2D", "Permute")
"""Kinds of layers that prepare or pad: their output is no place to look at."""


@dataclass(frozen=True, eq=False)
class Call:
    """What one layer returned.

    Attributes
    ----------
    kind
        Class name of the layer.
    tensor
        Its output, or the first tensor of a structure.
    candidate
        False for tuples, for what prepares the input, and where the output is the input.
    """

    kind: str
    tensor: Any
    candidate: bool


@dataclass(frozen=True)
class Span:
    """Which operations of a graph one call of a layer made.

    Attributes
    ----------
    path, kind
        Of the layer.
    first, end
        Positions in the graph, the end excluded.
    """

    path: str
    kind: str
    first: int
    end: int


def operations(model: keras.Model) -> list[Any]:
    """Return every layer inside a model, and the operations of functional models, once each."""
    found: dict[int, Any] = {}
    for layer in model._flatten_layers(include_self=True):
        inner = getattr(layer, "operations", None)
        for operation in (layer, *(inner if isinstance(inner, list | tuple) else ())):
            if operation is not model and not isinstance(operation, keras.layers.InputLayer):
                found[id(operation)] = operation
    return list(found.values())


@contextmanager
def untouched(model: keras.Model) -> Iterator[None]:
    """Put back what calling a model writes on it and on its layers: attributes and losses."""
    parts = [model, *operations(model)]
    before = [
        (part, dict(vars(part)), list(_own(part, "_losses")), set(_own(part, "_loss_ids")))
        for part in parts
    ]
    try:
        yield
    finally:
        for part, members, losses, identities in before:
            own = vars(part)
            for name in [name for name in own if name not in members]:
                del own[name]
            for name, value in members.items():
                if own.get(name) is not value or name not in own:
                    own[name] = value
            if "_losses" in members:
                members["_losses"][:] = losses
                members["_loss_ids"].clear()
                members["_loss_ids"].update(identities)


def _own(part: Any, name: str) -> Any:
    return vars(part).get(name, ())


@contextmanager
def watched(
    model: keras.Model,
    spans: list[Span] | None = None,
    change: Callable[[str, Any], Any] | None = None,
) -> Iterator[dict[str, Call]]:
    """Collect what the layers return during one call of a model.

    For the duration of the block the ``call`` of every layer is wrapped on the instance, for the
    present thread alone.

    Parameters
    ----------
    model
        The user's model.
    spans
        Gets which operations each call adds to the graph that is traced.
    change
        Gets path and output of each call, and returns what the model is to go on with.

    Yields
    ------
    dict
        Calls by path ("backbone/conv4"), in the order in which they finish; the last call where a
        layer runs more than once. Filled while the block runs.
    """
    calls: dict[str, Call] = {}
    owners: dict[str, Any] = {}
    path: list[str] = []
    thread = threading.get_ident()

    def watch(operation: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                return call(*args, **kwargs)
            path.append(operation.name)
            name = "/".join(path)
            first = _position(spans)
            try:
                output = call(*args, **kwargs)
            finally:
                path.pop()
            if spans is not None:
                spans.append(Span(name, type(operation).__name__, first, _position(spans)))
            tensor = first_tensor(output)
            if tensor is not None:
                name = _free_name(name, operation, owners)
                calls.pop(name, None)
                given = {id(value) for value in tf.nest.flatten((args, kwargs))}
                candidate = (
                    tensor is output
                    and id(tensor) not in given
                    and type(operation).__name__ not in UNCHANGED
                )
                calls[name] = Call(type(operation).__name__, tensor, candidate)
                output = output if change is None else change(name, output)
            return output

        return watching

    with untouched(model):
        if hasattr(model.call, "python_function"):
            vars(model)["call"] = _untraced(model)
        for operation in operations(model):
            vars(operation)["call"] = watch(operation, _untraced(operation))
            if getattr(operation, "quantization_mode", None) is not None:
                vars(operation)["quantized_call"] = watch(operation, operation.quantized_call)
        yield calls


def _position(spans: list[Span] | None) -> int:
    """Return how many operations the present graph has; 0 where nobody asks."""
    return 0 if spans is None else int(tf.compat.v1.get_default_graph().version)


def _untraced(operation: Any) -> Callable[..., Any]:
    """Return the Python behind a ``call`` that is a tf.function: inside of it nothing is seen."""
    plain = getattr(type(operation).call, "python_function", None)
    if plain is None or "call" in vars(operation):
        call: Callable[..., Any] = operation.call
        return call
    return lambda *args, **kwargs: plain(operation, *args, **kwargs)


def _free_name(name: str, operation: Any, owners: dict[str, Any]) -> str:
    """Return a path that no other layer has: a layer of the same name gets "#2"."""
    free, number = name, 1
    while owners.setdefault(free, operation) is not operation:
        number += 1
        free = f"{name}#{number}"
    return free


def first_tensor(output: Any) -> Any:
    """Return the tensor an output stands for: itself, or the first of a structure; or None."""
    if tf.is_tensor(output):
        return output
    if isinstance(output, dict | list | tuple):
        return next((value for value in tf.nest.flatten(output) if tf.is_tensor(value)), None)
    return None


def is_vector(tensor: Any) -> bool:
    """Tell whether a tensor has one vector for each image: its first axis is the batch's."""
    return bool(tensor.shape.rank == 2 and tensor.shape[0] is None)
