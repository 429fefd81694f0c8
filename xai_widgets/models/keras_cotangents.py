"""Where a backward pass starts: the gradient of a target with respect to what it is made from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.errors import LayerError
from xai_widgets.models.targets import ClassTarget, LayerTarget, Target
from xai_widgets.models.tensorflow_backend import TensorFlowBackend

N_NODES = 16
"""Points on the way between two outputs at which a function's gradient is taken."""


def cotangent_of(target: Target, outputs: Any, weights: Any = None) -> Any:
    """Return d sum(weights * target(outputs)) / d outputs, of the outputs' shape.

    Parameters
    ----------
    target
        A resolved target.
    outputs
        What it is made from: [N, K], [N, H, W, C] or [N, T, D].
    weights
        [N]; None for ones.
    """
    if isinstance(target, ClassTarget) and outputs.shape.rank == 2:
        n_images, n_outputs = outputs.shape
        return one_hot(target, n_images, n_outputs, weights)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(outputs)
        values = target(outputs, TensorFlowBackend())
        if weights is not None:
            values = values * tf.cast(weights, values.dtype)
        total = tf.reduce_sum(values)
    return tape.gradient(total, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def constant_cotangent(target: Target, shape: tuple[int, ...], weights: Any = None) -> Any:
    """Return the same for a linear target, where it does not depend on the outputs."""
    if isinstance(target, ClassTarget) and len(shape) == 2:
        return one_hot(target, shape[0], shape[1], weights)
    return cotangent_of(target, tf.zeros(shape), weights)


def one_hot(target: Any, n_images: int, n_outputs: int, weights: Any = None) -> Any:
    """Return d sum(weights * target(scores)) / d scores, [N, K]: it does not depend on scores."""
    cotangent = np.zeros((n_images, n_outputs), dtype=np.float32)
    rows = 1.0 if weights is None else np.asarray(weights, dtype=np.float32)
    cotangent[:, int(target.index)] += rows
    if target.versus is not None:
        cotangent[:, int(target.versus)] -= rows
    return tf.constant(cotangent)


def difference_cotangent(target: Target, outputs: Any, weights: Any = None) -> Any:
    """Return multipliers from outputs to a target between inputs and their references.

    Of a function it is the gradient, averaged over the straight way from the reference's outputs to
    the input's: that completes for any differentiable one.

    Parameters
    ----------
    target
        A resolved target.
    outputs
        [2 M, ...]: of the inputs, then of their references.
    weights
        [M]; None for ones.

    Returns
    -------
    tensor
        [2 M, ...], zero for the references.
    """
    half = int(outputs.shape[0]) // 2
    end, start = outputs[:half], outputs[half:]
    if target.linear:
        found = constant_cotangent(target, tuple(end.shape), weights)
    elif isinstance(target, LayerTarget):
        found = _of_maximum(target, end, start, weights)
    else:
        found = _along_the_way(target, end, start, weights)
    return tf.concat([found, tf.zeros_like(found)], axis=0)


def _of_maximum(target: LayerTarget, end: Any, start: Any, weights: Any) -> Any:
    """Give the whole difference of a maximum to one place: where it is, or where it was."""
    sides = (-1, *[1] * (end.shape.rank - 1))
    values, values_0 = (target(part, TensorFlowBackend()) for part in (end, start))
    rise = tf.reshape(values - values_0, sides)
    place = tf.where(rise >= 0, cotangent_of(target, end), cotangent_of(target, start))
    change = tf.reduce_sum(place * (end - start), axis=range(1, end.shape.rank), keepdims=True)
    found = place * tf.math.divide_no_nan(rise, change)
    found = tf.where(change == 0, place, found)
    return found if weights is None else found * tf.reshape(tf.cast(weights, tf.float32), sides)


def _along_the_way(target: Target, end: Any, start: Any, weights: Any) -> Any:
    nodes, shares = np.polynomial.legendre.leggauss(N_NODES)
    total = tf.zeros_like(end)
    for node, share in zip(nodes.astype(np.float32), shares.astype(np.float32), strict=True):
        between = start + (node + 1) / 2 * (end - start)
        total += share / 2 * cotangent_of(target, between, weights)
    return total


def size_of(tensors: Iterable[Any]) -> int:
    """Return the bytes of eager tensors."""
    return sum(int(np.prod(tensor.shape)) * tensor.dtype.size for tensor in tensors)


def moved_by(values: Any, shifts: Any, layer: str) -> Any:
    """Return what a layer returned, plus shifts [N, ...] that broadcast to it.

    Raises
    ------
    LayerError
        If they do not fit.
    """
    sides, own = tuple(shifts.shape), tuple(values.shape)
    if len(sides) != len(own) or any(
        given not in (1, side) for given, side in zip(sides[1:], own[1:], strict=True)
    ):
        raise LayerError(
            f"Shifts of shape {list(sides)} do not fit layer {layer!r}, which returns "
            f"{list(own)}: give one value for each of its values."
        )
    return values + tf.cast(shifts, values.dtype)
