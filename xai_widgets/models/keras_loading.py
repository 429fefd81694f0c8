"""What is found out about a Keras model when it is loaded: name, device, layers, remarks."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xai_widgets.errors import ModelError, XaiError
from xai_widgets.models.architecture import Layer
from xai_widgets.models.keras_eager import KerasEager
from xai_widgets.models.keras_graph import KerasGraph
from xai_widgets.models.keras_inputs import LOGITS, Output
from xai_widgets.models.layers import LayerOutput, marked
from xai_widgets.models.primitives import ForwardPass
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.tokens import recommend_tokens

Runner = KerasGraph | KerasEager


def name_of(model: keras.Model) -> str:
    """Return the class of a subclassed model, the name of one made of layers."""
    kind = type(model)
    return str(model.name) if kind.__module__.split(".")[0] == "keras" else kind.__name__


def device_of(device: str | None) -> str | None:
    """Return TensorFlow's name of a device.

    Raises
    ------
    ModelError
        If TensorFlow has no such device.
    """
    if device is None:
        return None
    known = [entry.name.split("device:")[1] for entry in tf.config.list_logical_devices()]
    wanted = device.upper().replace("CUDA", "GPU")
    wanted = wanted if ":" in wanted else f"{wanted}:0"
    if wanted not in known:
        raise ModelError(
            f"The device {device!r} cannot be used: TensorFlow has "
            f"{', '.join(name.lower() for name in known)} here."
        )
    return f"/{wanted}"


def read_layers(
    runner: Runner, probe: Any, forward: Callable[[], ForwardPass]
) -> tuple[Layer, ...]:
    """List the layers with the shapes that they have for one image, and recommend one.

    Parameters
    ----------
    runner
        The traced model.
    probe
        An image, [1, H, W, C].
    forward
        Runs a forward pass of it; called where tokens have the last word.
    """
    shapes = runner.shapes(probe)
    outputs = []
    for path, call in runner.calls.items():
        shape = shapes[path]
        if shape[0] != 1:  # windows or heads in place of the batch
            continue
        identity = None if hasattr(call.tensor, "numpy") else getattr(call.tensor, "name", None)
        outputs.append(
            LayerOutput(
                Layer(path, call.kind, tuple(shape[1:])),
                identity or id(call.tensor),
                call.candidate,
            )
        )
    layers = marked(outputs, (int(probe.shape[1]), int(probe.shape[2])))
    if any(layer.recommended for layer in layers) or all(layer.grid is None for layer in layers):
        return layers
    try:
        passed = forward()
    except XaiError:
        return layers  # said by the check of capabilities
    target = ClassTarget(int(np.argmax(passed.scores)))

    def gradient(layer: str) -> Any:
        try:
            return passed.gradient(target, layer).numpy()
        except XaiError:
            return None

    return recommend_tokens(layers, gradient)


def vector_layers(runner: Runner) -> tuple[Layer, ...]:
    """List the layers that return one vector an image."""
    return tuple(
        Layer(path, call.kind, (int(call.tensor.shape[1]),))
        for path, call in runner.traced.items()
        if call.tensor.shape.rank == 2 and call.tensor.shape[1] is not None
    )


def remarks(model: keras.Model, output: Output, probabilities: bool, eager: bool) -> list[str]:
    """Say what was assumed about the outputs, and how the model computes.

    Parameters
    ----------
    model
        The user's model.
    output
        What chose its output.
    probabilities
        True where a classifier returns them.
    eager
        True where it cannot be traced.
    """
    notes = []
    if output.chosen is not None and len(output.names) > 1:
        notes.append(
            f"The model has {len(output.names)} outputs "
            f"({', '.join(output.names)}): {output.chosen!r} is explained. "
            "Pass output= to choose another."
        )
    if probabilities:
        notes.append(
            "The model returns probabilities, not logits: gradients of a saturated softmax "
            f"vanish. Pass output={LOGITS!r} to explain what its last softmax is applied to, "
            "or build the model with classifier_activation=None."
        )
    precision = model.dtype_policy.compute_dtype
    parts = {layer.dtype_policy.compute_dtype for layer in model._flatten_layers()}
    others = sorted({precision, *parts} - {"float32"})
    if others:
        notes.append(
            f"The model computes in {' and '.join(others)}: its scores and gradients are "
            "handed on as float32."
        )
    if eager:
        notes.append(
            "The model cannot be traced by TensorFlow (it uses Python or NumPy on the values "
            "of its tensors), so it runs eagerly, which is slower."
        )
    return notes
