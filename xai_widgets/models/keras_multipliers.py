"""DeepLIFT's multipliers for the operations of TensorFlow: d output / d input to a reference.

Every gradient here works on a batch whose second half are the references of the first. It returns
the multipliers in the first half and zeros in the second. Products, quotients and the softmax go by
d(ab) = mean(a) d(b) + mean(b) d(a), so that the multipliers complete exactly.
Shrikumar et al. 2017, https://arxiv.org/abs/1704.02685.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.models.keras_rules import Gradient
from xai_widgets.models.keras_way import constant

Slope = Callable[[Any, Any, Any], Any]
"""(operation, input, output) -> derivative, all of one half."""

NEAR = 2e-3
"""Inputs of smooth functions closer than this have their mean slope: a quotient would be noise."""
NEAR_RELATIVE = 1e-5
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def halves(tensor: Any) -> tuple[Any, Any]:
    """Return what belongs to the inputs and what belongs to their references."""
    first, second = tf.split(tensor, 2, axis=0)
    return first, second


def first(tensor: Any) -> Any:
    """Return what belongs to the inputs."""
    return halves(tensor)[0]


def whole(multipliers: Any) -> Any:
    """Return a batch with zeros for the references."""
    return tf.concat([multipliers, tf.zeros_like(multipliers)], axis=0)


def middle(tensor: Any) -> Any:
    """Return the mean of inputs and references."""
    one, other = halves(tensor)
    return (one + other) / 2


def fitted(values: Any, like: Any) -> Any:
    """Sum over the axes along which an operand was broadcast."""
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(like), s1=tf.shape(values))
    return tf.reshape(tf.reduce_sum(values, axes), tf.shape(like))


def secant(difference: Any, step: Any, near: Any, slope: Any) -> Any:
    """Return difference / step, and the slope where the step is too small for a quotient."""
    return tf.where(near, slope, difference / tf.where(near, tf.ones_like(step), step))


# One input ------------------------------------------------------------------------------------


def elementwise(slope: Slope, scale: str, operand: int = 0) -> Gradient:
    """Return the rescale rule of a function of one operand.

    Parameters
    ----------
    slope
        The function's derivative.
    scale
        What a small step is: "unit" for smooth functions that bend on a scale of one, "relative" to
        the input for those that bend at zero, "straight" for functions made of straight pieces.
    operand
        The input that depends on the images; the others are constant.
    """

    def gradient(operation: Any, gradient: Any) -> Any:
        x, x_0 = halves(operation.inputs[operand])
        y, y_0 = halves(operation.outputs[0])
        step = x - x_0
        size = tf.minimum(tf.abs(x), tf.abs(x_0))
        near = {
            "unit": lambda: tf.abs(step) < NEAR,
            "relative": lambda: tf.abs(step) <= NEAR * size,
            "straight": lambda: tf.abs(step) <= NEAR_RELATIVE * size,
        }[scale]()
        slopes = slope(operation, x, y) + slope(operation, x_0, y_0)
        ratio = secant(y - y_0, step, near, slopes / 2)
        found = whole(fitted(first(gradient) * ratio, x))
        return _placed(operation, {operand: found})

    return gradient


def closed(multiplier: Callable[[Any, Any, Any, Any, Any], Any]) -> Gradient:
    """Return the rule of a function whose secant has a closed form in (operation, x, x0, y, y0)."""

    def gradient(operation: Any, gradient: Any) -> Any:
        x, x_0 = halves(operation.inputs[0])
        y, y_0 = halves(operation.outputs[0])
        found = whole(first(gradient) * multiplier(operation, x, x_0, y, y_0))
        return _placed(operation, {0: found})

    return gradient


def _placed(operation: Any, found: dict[int, Any]) -> Any:
    if len(operation.inputs) == 1:
        return found[0]
    return [found.get(i) for i in range(len(operation.inputs))]


def _mask(condition: Any, like: Any) -> Any:
    return tf.cast(condition, like.dtype)


SLOPES: dict[str, tuple[Slope, str]] = {
    "Relu": (lambda op, x, y: _mask(x > 0, x), "straight"),
    "Relu6": (lambda op, x, y: _mask((x > 0) & (x < 6), x), "straight"),
    "LeakyRelu": (
        lambda op, x, y: tf.where(x > 0, tf.ones_like(x), op.get_attr("alpha") * tf.ones_like(x)),
        "straight",
    ),
    "Abs": (lambda op, x, y: tf.sign(x), "straight"),
    "Elu": (lambda op, x, y: tf.where(x > 0, tf.ones_like(x), y + 1), "unit"),
    "Selu": (
        lambda op, x, y: tf.where(x > 0, SELU_SCALE * tf.ones_like(x), y + SELU_SCALE * SELU_ALPHA),
        "unit",
    ),
    "Sigmoid": (lambda op, x, y: y * (1 - y), "unit"),
    "Tanh": (lambda op, x, y: 1 - y * y, "unit"),
    "Erf": (lambda op, x, y: 2 / np.sqrt(np.pi) * tf.exp(-x * x), "unit"),
    "Erfc": (lambda op, x, y: -2 / np.sqrt(np.pi) * tf.exp(-x * x), "unit"),
    "Exp": (lambda op, x, y: y, "unit"),
    "Expm1": (lambda op, x, y: y + 1, "unit"),
    "Softplus": (lambda op, x, y: tf.sigmoid(x), "unit"),
    "Softsign": (lambda op, x, y: 1 / tf.square(1 + tf.abs(x)), "unit"),
    "Sin": (lambda op, x, y: tf.cos(x), "unit"),
    "Cos": (lambda op, x, y: -tf.sin(x), "unit"),
    "Atan": (lambda op, x, y: 1 / (1 + x * x), "unit"),
    "Log": (lambda op, x, y: 1 / x, "relative"),
    "Log1p": (lambda op, x, y: 1 / (1 + x), "relative"),
}
CLOSED: dict[str, Callable[[Any, Any, Any, Any, Any], Any]] = {
    "Square": lambda op, x, x_0, y, y_0: x + x_0,
    "Sqrt": lambda op, x, x_0, y, y_0: tf.math.divide_no_nan(tf.ones_like(y), y + y_0),
    "Rsqrt": lambda op, x, x_0, y, y_0: -tf.square(y * y_0) / (y + y_0),
    "Reciprocal": lambda op, x, x_0, y, y_0: -y * y_0,
    "Inv": lambda op, x, x_0, y, y_0: -y * y_0,
}


def power(operation: Any, gradient: Any) -> Any:
    """Go back through x ** p with a constant p."""
    exponent = constant(operation.inputs[1])
    p = float(np.ravel(exponent)[0]) if exponent is not None and np.size(exponent) == 1 else None
    if p == 2:
        return closed(lambda op, x, x_0, y, y_0: x + x_0)(operation, gradient)
    if p == 3:
        return closed(lambda op, x, x_0, y, y_0: x * x + x * x_0 + x_0 * x_0)(operation, gradient)

    def slope(operation: Any, x: Any, y: Any) -> Any:
        power = operation.inputs[1]
        return power * tf.pow(x, power - 1)

    return elementwise(slope, "relative")(operation, gradient)


def _at_bound(operation: Any, x: Any, y: Any) -> Any:
    return _mask(x == y, x)


def clip(operand: int) -> Gradient:
    """Return the rule of the larger or smaller of an operand and a constant."""
    return elementwise(_at_bound, "straight", operand)


def masked(operand: int) -> Gradient:
    """Return the rule of an operand times a mask that jumps with it, as in x * (x > 1)."""

    def slope(operation: Any, x: Any, y: Any) -> Any:
        return _mask(y != 0, x)

    return elementwise(slope, "straight", operand)


def chosen(operand: int) -> Gradient:
    """Return the rule of tf.where between functions of one input, by one of its operands."""
    return elementwise(_at_bound, "straight", operand)


# Two inputs -----------------------------------------------------------------------------------


def larger(operation: Any, gradient: Any) -> Any:
    """Go back through the larger, or the smaller, of two: b + relu(a - b), b - relu(b - a)."""
    a, b = operation.inputs
    sign = 1.0 if operation.type == "Maximum" else -1.0
    (u, u_0), g = halves(sign * (a - b)), first(gradient)
    step = u - u_0
    near = tf.abs(step) <= NEAR_RELATIVE * tf.minimum(tf.abs(u), tf.abs(u_0))
    slope = (_mask(u > 0, u) + _mask(u_0 > 0, u)) / 2
    ratio = secant(tf.nn.relu(u) - tf.nn.relu(u_0), step, near, slope)
    return [
        whole(fitted(g * ratio, first(a))),
        whole(fitted(g * (1 - ratio), first(b))),
    ]


def squared_difference(a_moves: bool, b_moves: bool) -> Gradient:
    """Return the rule of (a - b) squared."""

    def gradient(operation: Any, gradient: Any) -> Any:
        a, b = operation.inputs
        u, u_0 = halves(a - b)
        found = first(gradient) * (u + u_0)
        return [
            whole(fitted(found, first(a))) if a_moves else None,
            whole(fitted(-found, first(b))) if b_moves else None,
        ]

    return gradient


def bilinear(operation: Any, gradient: Any) -> Any:
    """Go back through a product: each factor by the mean of the other."""
    a, b = (middle(tensor) for tensor in operation.inputs)
    g = first(gradient)
    if operation.type == "Mul":
        return [whole(fitted(g * b, a)), whole(fitted(g * a, b))]
    if operation.type == "Einsum":
        equation = operation.get_attr("equation").decode()
        product = tf.raw_ops.Einsum(inputs=[a, b], equation=equation)
    else:
        flags = {name: operation.get_attr(name) for name in ("adj_x", "adj_y")}
        product = tf.raw_ops.BatchMatMulV2(x=a, y=b, **flags)
    return [whole(found) for found in tf.gradients(product, [a, b], grad_ys=g)]


def quotient(moves: bool) -> Gradient:
    """Return the rule of a / b, where a depends on the images or does not."""

    def gradient(operation: Any, gradient: Any) -> Any:
        a, b = operation.inputs
        (over, over_0), g = halves(1 / b), first(gradient)
        numerator = middle(a) if moves else a
        back = -fitted(g * numerator, over) * over * over_0
        return [
            whole(fitted(g * (over + over_0) / 2, first(a))) if moves else None,
            whole(back),
        ]

    return gradient


# Several values at once -----------------------------------------------------------------------


def softmax(operation: Any, gradient: Any) -> Any:
    """Go back through exp(z - log(sum(exp(z)))), both exponentials by their secants."""
    slope, weights = _softmax_factors(*halves(operation.inputs[0]))
    found = first(gradient) * slope
    return whole(found - weights * tf.reduce_sum(found, axis=-1, keepdims=True))


def log_softmax(operation: Any, gradient: Any) -> Any:
    """Go back through z - log(sum(exp(z)))."""
    _, weights = _softmax_factors(*halves(operation.inputs[0]))
    g = first(gradient)
    return whole(g - weights * tf.reduce_sum(g, axis=-1, keepdims=True))


def _softmax_factors(z: Any, z_0: Any) -> tuple[Any, Any]:
    """Return d p / d log p, and the weights of d log sum exp = sum w d z."""
    total, total_0 = (tf.reduce_logsumexp(part, axis=-1, keepdims=True) for part in (z, z_0))
    slope = _mean_exponential(z - total, z_0 - total_0)
    top = tf.maximum(total, total_0)
    weights = _mean_exponential(z - top, z_0 - top)
    return slope, weights / _mean_exponential(total - top, total_0 - top)


def _mean_exponential(one: Any, other: Any) -> Any:
    """Return (exp(a) - exp(b)) / (a - b), without overflow where both are at most zero."""
    high = tf.maximum(one, other)
    width = tf.abs(one - other)
    near = width < 1e-6
    share = -tf.math.expm1(-width) / tf.where(near, tf.ones_like(width), width)
    return tf.exp(high) * tf.where(near, tf.ones_like(width), share)


def max_pool(operation: Any, gradient: Any) -> Any:
    """Go back through max pooling: what the maximum rose by, at where it was and where it is."""
    (x, x_0), (y, y_0) = halves(operation.inputs[0]), halves(operation.outputs[0])
    names = ("ksize", "strides", "padding", "data_format")
    flags = {name: _text(operation.get_attr(name)) for name in names}

    def back(image: Any, pooled: Any, values: Any) -> Any:
        return tf.raw_ops.MaxPoolGrad(orig_input=image, orig_output=pooled, grad=values, **flags)

    return _scattered(x, x_0, y, y_0, first(gradient), back)


def reduce_max(operation: Any, gradient: Any) -> Any:
    """Go back through the maximum, or the minimum, over axes, shared where values are equal."""
    x, axes = operation.inputs
    sign = 1.0 if operation.type == "Max" else -1.0
    x, x_0 = halves(sign * x)
    y, y_0 = (tf.reduce_max(part, axes, keepdims=True) for part in (x, x_0))
    g = tf.reshape(first(gradient), tf.shape(y))

    def back(image: Any, pooled: Any, values: Any) -> Any:
        hit = _mask(image == pooled, values)
        return hit * values / tf.reduce_sum(hit, axes, keepdims=True)

    return [_scattered(x, x_0, y, y_0, g, back), None]


def _scattered(x: Any, x_0: Any, y: Any, y_0: Any, g: Any, back: Any) -> Any:
    highest = tf.maximum(y, y_0)
    moved = back(x, y, g * (highest - y_0)) + back(x_0, y_0, g * (y - highest))
    step = x - x_0
    near = tf.abs(step) <= 1e-7 * tf.maximum(tf.abs(x), tf.abs(x_0))
    return whole(secant(moved, step, near, back(x, y, g)))


def straight_through(operation: Any, *gradients: Any) -> Any:
    """Go back through what the forward pass is made of, not through a gradient given by hand."""
    return list(gradients) if len(gradients) > 1 else gradients[0]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
