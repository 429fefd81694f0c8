"""Notice that a Keras model's weights or layers were changed, without comparing their values."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Change = Callable[[str, npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class WeightWatch:
    """Counts the changes of a model's weights.

    TensorFlow writes a variable in place only while nobody else holds its buffer. Holding what was
    read makes the next write take another buffer, so that the address tells whether there was one.
    That costs no memory until the weights change, and then their old values until the next look.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._identity = uuid.uuid4().hex
        self._version = self._latest = 0
        self._variables: list[Any] = []
        self._held: list[Any] = []
        self._marks: list[Any] = []

    def restart(self) -> None:
        """Count a change that is none of the weights': a layer was exchanged."""
        self._count()

    def _count(self) -> None:
        self._latest += 1
        self._version = self._latest

    def version(self) -> str:
        """Return a text that changes whenever a weight does."""
        variables = [_variable(weight) for weight in self._model.weights]
        held = [_read(variable) for variable in variables]
        marks = [_mark(tensor) for tensor in held]
        same = len(variables) == len(self._variables) and all(
            one is other for one, other in zip(variables, self._variables, strict=True)
        )
        if not same or marks != self._marks:
            self._count()
        self._variables, self._held, self._marks = variables, held, marks
        return f"{self._identity}-{self._version}"

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        """Use other weights inside of the block, and put the same buffers back after it.

        Afterwards the version is the one of before, because the weights are; inside of the block it
        is one of its own.

        Parameters
        ----------
        change
            Gets name and value of each array of weights, and returns the value to use.
        """
        self.version()
        before, marks = self._version, self._marks
        kept: list[tuple[Any, Any]] = []
        try:
            for name, weight in trainable(self._model):
                variable = _variable(weight)
                value = _read(variable)
                kept.append((variable, value))
                wanted = np.asarray(change(name, np.array(tf.cast(value, tf.float32).numpy())))
                variable.assign(tf.cast(wanted.reshape(value.shape), value.dtype))
            self._count()
            yield
        finally:
            for variable, value in reversed(kept):
                variable.assign(value)
            self.version()
            if self._marks == marks:
                self._version = before


def trainable(model: keras.Model) -> list[tuple[str, Any]]:
    """Return path and variable of all weights that training changes, frozen ones included.

    Statistics and seeds are none; a layer that is used twice comes once.
    """
    found: dict[int, tuple[str, Any]] = {}
    for layer in model._flatten_layers(include_self=True):
        for weight in layer._trainable_variables:
            if weight.dtype.startswith(("float", "bfloat")):
                found.setdefault(id(weight), (str(weight.path), weight))
    return list(found.values())


def _variable(weight: Any) -> Any:
    """Return the tf.Variable of a Keras variable."""
    value = getattr(weight, "_value", None)
    return weight.value if value is None else value


def _read(variable: Any) -> Any:
    """Return a variable's value without a copy, faster than its own ``read_value``."""
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def _mark(tensor: Any) -> Any:
    """Return the address of a tensor's buffer, or a checksum where the host cannot see it."""
    try:
        return np.frombuffer(tensor, np.uint8).__array_interface__["data"][0]
    except (BufferError, ValueError, TypeError):
        return _checksum(tensor)


def _checksum(tensor: Any) -> tuple[int, ...]:
    if tensor.shape.num_elements() == 0:
        return ()
    bits = tf.reshape(tf.bitcast(tensor, tf.uint8), [-1])
    places = tf.range(tf.size(bits), dtype=tf.int32) % 8191 + 1
    return (int(tf.reduce_sum(tf.cast(bits, tf.int32) * places)),)


def weight_hash(model: keras.Model) -> str:
    """Return the SHA-256 over positions, shapes and values of all weights."""
    digest = hashlib.sha256()
    for i, weight in enumerate(model.weights):
        value = np.ascontiguousarray(_variable(weight).numpy())
        digest.update(f"{i}{value.shape}{value.dtype}".encode())
        digest.update(value.reshape(-1).view(np.uint8).tobytes())
    return digest.hexdigest()


def structure(model: keras.Model) -> list[Any]:
    """Return what a traced graph has fixed: compare with `is_same` to see whether it still holds.

    Layers may be added or popped, activations exchanged and normalisations adapted.
    """
    found: list[Any] = []
    for layer in model._flatten_layers(include_self=True):
        members = vars(layer)
        found += [layer, *(members.get(name) for name in ("activation", "mean", "scale", "call"))]
    return found


def is_same(one: list[Any], other: list[Any]) -> bool:
    """Tell whether two structures hold the same objects."""
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
