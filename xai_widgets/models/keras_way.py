"""The operations of a traced graph that a gradient passes on its way from the outputs."""

from collections.abc import Container, Iterable, Sequence
from typing import Any

import tensorflow as tf

PASSING_NO_GRADIENT = frozenset(
    ("StopGradient", "PreventGradient", "Sign", "Floor", "Ceil", "Round", "Rint", "PyFunc")
)
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""A tf.function that is called: a gradient passes it, a rule does not reach inside."""
SIZES = frozenset(("Shape", "ShapeN", "Size", "Rank"))
"""What tells the shape of a tensor, and nothing of its values."""


READING = ("ReadVariableOp", "VarHandleOp", "Placeholder")
"""Stateful operations that give the same value again as long as the weights are the same."""


class Way:
    """What lies between images and outputs in a traced graph.

    Parameters
    ----------
    graph
        The graph, before any gradient is added to it.
    inputs, outputs
        Its images and outputs.

    Attributes
    ----------
    operations
        Those on the way with an input that depends on the images, in the order of the trace.
    positions
        Where each stands in the graph, by name.
    """

    def __init__(self, graph: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        every = graph.get_operations()
        self.positions = {operation.name: i for i, operation in enumerate(every)}
        needed = {tensor.op.name for tensor in outputs}
        for operation in reversed(every):
            if operation.name in needed:
                needed.update(tensor.op.name for tensor in operation.inputs)
        self._moving = {tensor.name for tensor in inputs}
        self._live = set(self._moving)
        self.operations: list[Any] = []
        for operation in every:
            if operation.type in SIZES:
                continue
            if any(tensor.name in self._moving for tensor in operation.inputs):
                self._moving.update(tensor.name for tensor in operation.outputs)
                if operation.name in needed:
                    self.operations.append(operation)
            if operation.type in PASSING_NO_GRADIENT:
                continue
            if any(tensor.name in self._live for tensor in operation.inputs):
                self._live.update(t.name for t in operation.outputs if t.dtype.is_floating)

    def moves(self, tensor: Any) -> bool:
        """Tell whether a tensor depends on the images."""
        return tensor.name in self._moving

    def is_live(self, tensor: Any) -> bool:
        """Tell whether a tensor depends on the images through operations with gradients."""
        return tensor.name in self._live


def constant(tensor: Any) -> Any:
    """Return the value of a constant as NumPy, None of anything else."""
    while tensor.op.type in ("Identity", "Cast"):
        tensor = tensor.op.inputs[0]
    return tf.get_static_value(tensor)


def body_of(operation: Any) -> Any:
    """Return the graph of the function that an operation calls, None if it calls none."""
    if operation.type not in CALLS:
        return None
    function = operation.graph._get_function(operation.get_attr("f").name)
    return getattr(function, "graph", None)


def moving_tensors(graph: Any, images: Any) -> set[str]:
    """Return the tensors that may differ from call to call: not weights, not constants."""
    moving = {images.name}
    for operation in graph.get_operations():
        stateful = operation.op_def.is_stateful and operation.type not in READING
        if stateful or any(tensor.name in moving for tensor in operation.inputs):
            moving.update(tensor.name for tensor in operation.outputs)
    return moving


def boundary(fetches: Iterable[Any], stops: Container[str]) -> list[Any]:
    """Return the tensors in ``stops`` that are met first on the ways back from ``fetches``."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    waiting = list(fetches)
    while waiting:
        tensor = waiting.pop()
        if tensor.name in stops:
            found[tensor.name] = tensor
        elif tensor.op.name not in seen:
            seen.add(tensor.op.name)
            waiting.extend(tensor.op.inputs)
    return list(found.values())


def moves_batch(graph: Any) -> bool:
    """Tell whether the first axis of a layer's output may be another than the batch's."""
    return any(
        operation.type in ("Reshape", "SpaceToBatchND", "Transpose", "TensorListStack")
        and (operation.outputs[0].shape.rank or 4) in (3, 4)
        for operation in graph.get_operations()
    )
