"""What a Keras model says of its input and outputs: size, channels, carried preprocessing."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xai_widgets.errors import ModelError
from xai_widgets.models.keras_calls import first_tensor
from xai_widgets.models.preprocessing import Preprocessing

PREPARING = ("Rescaling", "Normalization", "Resizing", "CenterCrop", "ZeroPadding2D", "Permute")
IMAGE_NET = ("resnet", "vgg", "inception", "xception", "densenet", "mobilenet", "nasnet")
LOGITS = "logits"

Shape = tuple[int | None, ...]


def check_source(model: keras.Model, name: str) -> None:
    """Refuse what cannot be explained: another backend, several inputs, inputs that are no image.

    Raises
    ------
    ModelError
        With what was found, and what to do.
    """
    if int(keras.__version__.split(".")[0]) < 3:
        raise ModelError(
            f"{name} is a model of Keras {keras.__version__}: install Keras 3 and load it there."
        )
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"Keras computes with {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow "
            "before Keras is imported."
        )
    inputs = _inputs(model)
    if len(inputs) > 1:
        raise ModelError(
            f"{name} takes {len(inputs)} inputs: an explainable model takes one batch of images. "
            "Wrap it in a model that fixes the others."
        )
    for entry in inputs:
        shape = tuple(entry.shape)
        if len(shape) != 4:
            raise ModelError(
                f"{name} takes {'tokens' if len(shape) == 2 else 'an input'} of shape "
                f"{_text(shape)}: expected images [N, H, W, C]. Give the part of the model that "
                "starts at the picture."
            )
        if shape[-1] not in (1, 3, None) and shape[1] in (1, 3):
            raise ModelError(
                f"{name} takes images of shape {_text(shape)}, channels first: build it with "
                "data_format='channels_last'."
            )
        if shape[-1] not in (1, 3, None):
            raise ModelError(
                f"{name} takes images of {shape[-1]} channels: expected 1 (grey) or 3 (RGB)."
            )


def expected_shape(model: keras.Model) -> Shape:
    """Return (H, W, C) of the input, None where the model does not fix a side."""
    inputs = _inputs(model)
    if inputs:
        return tuple(inputs[0].shape[1:])
    built = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if isinstance(built, list | tuple) and len(built) == 4:
        return tuple(side if isinstance(side, int) else None for side in built[1:])
    return (None, None, None)


def possible_channels(model: keras.Model) -> tuple[int, ...]:
    """Return the numbers of channels to try, from the input or the first convolution."""
    channels = expected_shape(model)[2]
    if channels is None:
        kernels = (getattr(layer, "kernel", None) for layer in _leaves(model))
        first = next((kernel for kernel in kernels if kernel is not None), None)
        channels = first.shape[2] if first is not None and len(first.shape) == 4 else None
    return (channels,) if channels in (1, 3) else (3, 1)


def carried_preprocessing(model: keras.Model) -> tuple[Preprocessing | None, str | None]:
    """Return what a model wants where it starts with Rescaling or Normalization.

    Returns
    -------
    tuple
        Preprocessing that hands over pixels in the range that the first of these layers expects,
        and a sentence about it; (None, None) where the model starts otherwise.
    """
    leading = itertools.takewhile(
        lambda layer: (
            type(layer).__name__ in PREPARING or type(layer).__name__.startswith("Random")
        ),
        _leaves(model),
    )
    for layer in leading:
        white = _white_level(layer)
        if white is not None:
            note = (
                f"The model scales its own input (layer {layer.name!r}): pixels are handed over "
                f"as 0 to {white:g}. Pass preprocessing= if it was trained otherwise."
            )
            channels = possible_channels(model)[0]
            return Preprocessing(value_range=(0.0, white), channels=channels), note
    return None, None


def _white_level(layer: Any) -> float | None:
    """Return what white has to be for a layer that scales: 1 or 255; None for other layers."""
    if type(layer).__name__ == "Rescaling":
        return 1.0 if np.max(np.abs(np.asarray(layer.scale))) > 0.05 else 255.0
    if type(layer).__name__ == "Normalization":
        mean, variance = getattr(layer, "mean", None), getattr(layer, "variance", None)
        if mean is None or variance is None:
            return 255.0
        reach = np.max(np.asarray(mean) + 2 * np.sqrt(np.asarray(variance)))
        return 255.0 if reach > 5 else 1.0
    return None


def advice(model: keras.Model) -> str | None:
    """Say how keras.applications prepares pictures for a model named like one of its own."""
    known = next((name for name in IMAGE_NET if model.name.lower().startswith(name)), None)
    if known is None:
        return None
    return (
        f"Models of keras.applications called {model.name!r} expect what the preprocess_input of "
        "their module returns: pass it as preprocessing= if yours has those weights."
    )


def _leaves(layer: Any) -> Iterator[Any]:
    """Yield the layers that hold no other layers, in the order in which they were added."""
    for part in layer._flatten_layers(include_self=False, recursive=False):
        if isinstance(part, keras.layers.InputLayer):
            continue
        inner = part._flatten_layers(include_self=False, recursive=False)
        if inner and type(part).__name__ not in PREPARING:
            yield from _leaves(part)
        else:
            yield part


def _inputs(model: keras.Model) -> list[Any]:
    """Return the symbolic inputs of sequential and functional models; none of subclassed ones."""
    return list(tf.nest.flatten(getattr(model, "inputs", None) or []))


def _text(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("N" if i == 0 else str(side) for i, side in enumerate(shape)) + "]"


class Output:
    """Finds the outputs to explain in what a model returns, and remembers what it found.

    Parameters
    ----------
    model, name
        The model, and its name for messages.
    wanted
        Name or position of an output; "logits" for what a last softmax or sigmoid is applied to;
        None for the output called "logits", else the first.
    """

    def __init__(self, model: keras.Model, name: str, wanted: str | int | None) -> None:
        self._model, self._name, self._wanted = model, name, wanted
        self.names: tuple[str, ...] = ()
        self.chosen: str | None = None

    def __call__(self, output: Any) -> Any:
        """Return float32 outputs, [N, K] or dense [N, h, w, K].

        Raises
        ------
        ModelError
            If there is no such output, or it holds no scores.
        """
        tensor = self._select(output)
        if tensor is None:
            raise ModelError(
                f"{self._name} returned a {type(output).__name__} without a tensor: its call must "
                "return scores [N, K]."
            )
        if tensor.shape.rank not in (2, 4):
            raise ModelError(
                f"{self._name} returned shape {_text(tuple(tensor.shape))}: expected scores "
                "[N, K], or [N, H, W, K] for each pixel. Wrap the model so that it keeps the "
                "batch axis and returns one score per class."
            )
        if not tensor.dtype.is_floating:
            raise ModelError(
                f"{self._name} returned {tensor.dtype.name} values: expected scores, not class "
                "numbers. Return the logits."
            )
        if self._wanted == LOGITS and LOGITS not in self.names:
            tensor = _before_softmax(tensor, self._name)
        return tf.cast(tensor, tf.float32)

    def _select(self, output: Any) -> Any:
        if isinstance(output, dict):
            outputs = {str(key): value for key, value in output.items()}
        elif isinstance(output, list | tuple):
            own = getattr(self._model, "output_names", None) or ()
            names = own if len(own) == len(output) else [f"output {i}" for i in range(len(output))]
            outputs = dict(zip(names, output, strict=True))
        else:
            outputs = {}
        self.names = tuple(outputs)
        if not outputs:
            if self._wanted not in (None, 0, LOGITS):
                raise ModelError(f"{self._name} has one output: leave output= away.")
            return first_tensor(output)
        self.chosen = self._choice()
        return first_tensor(outputs[self.chosen])

    def _choice(self) -> str:
        if isinstance(self._wanted, int) and 0 <= self._wanted < len(self.names):
            return self.names[self._wanted]
        if self._wanted is None or self._wanted == LOGITS:
            return LOGITS if LOGITS in self.names else self.names[0]
        if self._wanted in self.names:
            return str(self._wanted)
        raise ModelError(
            f"{self._name} has no output {self._wanted!r}: choose one of "
            f"{', '.join(map(repr, self.names))}."
        )


def _before_softmax(tensor: Any, name: str) -> Any:
    """Return what the last softmax or sigmoid of a traced model is applied to."""
    operation = getattr(tensor, "op", None) if hasattr(tensor, "graph") else None
    while operation is not None and operation.type in ("Identity", "Cast"):
        operation = operation.inputs[0].op
    if operation is None or operation.type not in ("Softmax", "Sigmoid"):
        raise ModelError(
            f"{name} does not end in a softmax or sigmoid that can be left out: leave "
            "output='logits' away, or build the model with classifier_activation=None."
        )
    return operation.inputs[0]
