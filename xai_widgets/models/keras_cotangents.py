"""Where a backward pass starts: the gradient of a target with respect to what it is made from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.models.targets import ClassTarget, Target
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

    The gradient of the target, averaged over the straight way from the reference's outputs to the
    input's, completes for any differentiable function.

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
    else:
        nodes, shares = np.polynomial.legendre.leggauss(N_NODES)
        found = tf.add_n(
            [
                (share / 2) * cotangent_of(target, start + (node + 1) / 2 * (end - start), weights)
                for node, share in zip(
                    nodes.astype(np.float32), shares.astype(np.float32), strict=True
                )
            ]
        )
    return tf.concat([found, tf.zeros_like(found)], axis=0)


def size_of(tensors: Iterable[Any]) -> int:
    """Return the bytes of eager tensors."""
    return sum(int(np.prod(tensor.shape)) * tensor.dtype.size for tensor in tensors)
