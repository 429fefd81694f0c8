"""Backward rules on a traced graph: each operation may be given another gradient than its own.

TensorFlow looks up an operation's gradient by its attribute ``_gradient_op_type``, which is set on
the operations of a graph of our own, after it was traced: the user's model does not notice.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2

from xai_widgets.models.keras_way import Way, body_of, constant

Gradient = Callable[..., Any]
PREFIX = "XaiWidgets"


def registered(name: str, gradient: Gradient) -> str:
    """Register a gradient under a name of our own, once a process, and return that name."""
    with contextlib.suppress(KeyError):  # the module was imported anew
        tf.RegisterGradient(PREFIX + name)(gradient)
    return PREFIX + name


def override(operation: Any, name: str) -> None:
    """Let an operation go backward by a registered gradient."""
    value = attr_value_pb2.AttrValue(s=name.encode())
    operation._set_attr("_gradient_op_type", value)


def apply_rule(way: Way, rule: str | None) -> None:
    """Give the operations on the way the gradients of a rule; None leaves them their own."""
    if rule in ("guided", "deconvolution"):
        for operation in relu_operations(way):
            kind = "Maximum" if operation.type == "Maximum" else operation.type
            override(operation, _RELU_RULES[rule, kind])
    elif rule == "rescale":
        from xai_widgets.models.keras_rescale import apply_rescale

        apply_rescale(way)
    elif rule is not None:
        raise ValueError(f"unknown backward rule {rule!r}")


def relu_operations(way: Way) -> list[Any]:
    """Return the ReLUs on the way: Relu, Relu6, and the larger of something and zero.

    The Relu6 inside of a hard sigmoid or hard swish is the gate of another activation.
    """
    live = [operation for operation in way.operations if way.is_live(operation.outputs[0])]
    return [operation for operation in live if _is_relu(operation)]


def hidden_relus(way: Way) -> bool:
    """Tell whether a function on the way holds ReLUs, where no rule reaches them."""
    bodies = [body_of(operation) for operation in way.operations]
    kinds = {inner.type for body in bodies if body for inner in body.get_operations()}
    return bool(kinds & {"Relu", "Relu6"})


def _is_relu(operation: Any) -> bool:
    if operation.type == "Maximum":
        return _zero_of(operation) is not None
    return operation.type == "Relu" or (operation.type == "Relu6" and not _is_gate(operation))


def _is_gate(operation: Any) -> bool:
    """Tell whether a Relu6 is that of relu6(x + 3) / 6."""
    before = operation.inputs[0].op
    while before.type in ("Identity", "Cast"):
        before = before.inputs[0].op
    if before.type not in ("Add", "AddV2"):
        return False
    values = [constant(tensor) for tensor in before.inputs]
    return any(value is not None and value.size == 1 and value == 3 for value in values)


def _zero_of(operation: Any) -> int | None:
    """Return which input of a Maximum is the constant zero, None if neither is."""
    for i, tensor in enumerate(operation.inputs):
        value = constant(tensor)
        if value is not None and not value.any():
            return i
    return None


def _guided(operation: Any, gradient: Any) -> Any:
    """Pass on what is positive, where the ReLU was open (Springenberg et al. 2015)."""
    output = operation.outputs[0]
    is_open = output > 0
    if operation.type == "Relu6":
        is_open = tf.logical_and(is_open, output < 6)
    return tf.where(is_open, tf.nn.relu(gradient), tf.zeros_like(gradient))


def _deconvolution(operation: Any, gradient: Any) -> Any:
    """Pass on what is positive, whatever the ReLU did (Zeiler and Fergus 2014)."""
    return tf.nn.relu(gradient)


def _of_maximum(rule: Gradient) -> Gradient:
    def gradient(operation: Any, gradient: Any) -> Any:
        found: list[Any] = [None, None]
        found[1 - (_zero_of(operation) or 0)] = rule(operation, gradient)
        return found

    return gradient


_RELU_RULES = {
    (rule, kind): registered(
        f"{rule.title()}{kind}", _of_maximum(gradient) if kind == "Maximum" else gradient
    )
    for rule, gradient in (("guided", _guided), ("deconvolution", _deconvolution))
    for kind in ("Relu", "Relu6", "Maximum")
}
