"""SavedModels as `ExplainableModel`: gradients at the input where their functions have any."""

import hashlib
import itertools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.errors import ImageError, LayerError, ModelError, sentence
from xai_widgets.models.base import ExplainableModel, Lock
from xai_widgets.models.carried import Carried
from xai_widgets.models.choosing import (
    are_probabilities,
    choose_input,
    choose_labels,
    choose_task,
)
from xai_widgets.models.keras_cotangents import cotangent_of, size_of
from xai_widgets.models.keras_pass import class_scores
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.primitives import (
    Capabilities,
    ForwardPass,
    Gradients,
    LayerPass,
    PreparedImage,
)
from xai_widgets.models.targets import Target
from xai_widgets.models.tensor_input import InputSpec, input_spec
from xai_widgets.models.tensorflow_backend import TensorFlowBackend
from xai_widgets.models.verdicts import find_lacks

NO_LAYERS = (
    "A SavedModel is a graph without layers that could be reached: load the original Keras model "
    "(.keras) for methods that need a layer."
)
UNSEEN = (
    "feature_maps",
    "layer_gradients",
    "relu",
    "rescale",
    "attention",
    "patches",
    "weights",
)
"""What explainers may need that lies inside of the graph."""
INSIDE = (
    "The inside of a SavedModel (activations, attention, weights) cannot be seen or changed: "
    "load the original Keras model (.keras) for methods that need it."
)
NO_PATH = (
    "The score of {name} does not depend on its input through operations that have gradients, so "
    "methods that need them cannot be used."
)


class SavedModel(ExplainableModel):
    """What ``tf.saved_model.load`` returns.

    Parameters
    ----------
    loaded
        The object; its signature "serving_default", its only one, or the object itself is called.
    labels, preprocess, input_size, device, lock
        As in `load`.
    carried
        What is known of the model beside what it says itself.
    """

    framework = "tensorflow"
    format = "savedmodel"
    backend: TensorFlowBackend

    def __init__(
        self,
        loaded: Any,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: tuple[int, int] | None = None,
        device: str | None = None,
        lock: Lock | None = None,
        carried: Carried | None = None,
    ) -> None:
        self._source = loaded
        self.name = "SavedModel"
        self.lock = lock or threading.RLock()
        self.backend = TensorFlowBackend(device_name(device))
        self._function, self._input, self._spec = _entry(loaded)
        self._hash = _weight_hash(loaded, self._function)
        own = carried or Carried()
        notes = [*own.notes, *self._spec.notes()]
        given = self._spec.preprocess(own.preprocess_for(preprocess, input_size, notes), notes)
        with self.lock:
            self.preprocess, probe = choose_input(
                lambda values: self._run(self.backend.asarray(values)),
                given,
                input_size,
                self._spec.size or own.size,
                self._spec.channels,
                notes,
            )
            outputs = self.backend.to_numpy(self._run(self.backend.asarray(probe)))
        self.input_shape = (int(probe.shape[1]), int(probe.shape[2]), int(probe.shape[3]))
        self.labels = choose_labels(labels, own.labels, int(outputs.shape[-1]), notes)
        self.task = choose_task(None, outputs.shape, self.name)
        self.outputs_probabilities = are_probabilities(outputs)
        self.layers = ()
        self.incomplete = ("a SavedModel",)
        self.capabilities = Capabilities(
            {
                **dict.fromkeys(UNSEEN, INSIDE),
                "feature_maps": NO_LAYERS,
                "layer_gradients": NO_LAYERS,
                **find_lacks(
                    self.name,
                    lambda values: ForwardPass(_SavedModelPass(self, values), self.backend),
                    self.backend.to_numpy,
                    probe,
                    {"input_gradients": None},
                    self.outputs_probabilities,
                ),
            }
        )
        self.findings = tuple(notes)

    def _run(self, images: Any) -> Any:
        """Return float32 outputs, [N, K] or dense [N, h, w, K], of a tensor [N, H, W, C]."""
        spec = self._spec
        batch = tf.transpose(images, (0, 3, 1, 2)) if spec.channels_first else images
        if spec.whole:
            batch = tf.round(batch)
        batch = tf.cast(batch, spec.dtype)
        with sentence(ModelError, f"{self.name} cannot process images of {list(images.shape[1:])}"):
            size = spec.batch_size
            if size is None:
                return self._outputs(batch)
            missing = -len(images) % size
            if missing:
                batch = tf.concat([batch, tf.repeat(batch[-1:], missing, axis=0)], axis=0)
            parts = [self._outputs(batch[i : i + size]) for i in range(0, len(batch), size)]
            return tf.concat(parts, axis=0)[: len(images)]

    def _outputs(self, batch: Any) -> Any:
        with tf.device(self.backend.device):
            output = (
                self._function(batch)
                if self._input is None
                else self._function(**{self._input: batch})
            )
        scores = score_tensor(output)
        if scores is None or len(scores) != len(batch):
            raise ModelError(
                f"{self.name} returned no floating-point scores, [N, K] or [N, H, W, K]."
            )
        return tf.cast(scores, tf.float32)

    def scores(self, images: Any) -> Any:
        """Return scores [N, K] of images [N, H, W, C]; spatial means of dense outputs."""
        return class_scores(self.outputs(images))

    def outputs(self, images: Any) -> Any:
        """Return what the model returns, [N, K] or dense [N, h, w, K], computed in chunks."""
        batch = self._checked(images)
        size = self.chunk_size
        with self.lock:
            parts = [self._run(batch[i : i + size]) for i in range(0, len(batch), size)]
        return tf.concat(parts, axis=0)

    def gradients(
        self,
        images: Any,
        target: Target,
        weights: Any = None,
        rule: str | None = None,
        layer: str | None = None,
    ) -> Gradients:
        """Return d target / d images and the target's scores; see the contract."""
        batch = self._checked(images)
        if layer is not None or target.layer is not None:
            raise LayerError(NO_LAYERS)
        if rule is not None:
            raise ModelError(INSIDE)
        with self.lock, tf.GradientTape() as tape:
            tape.watch(batch)
            outputs = self._run(batch)
        scores = target(outputs, self.backend)
        values = self._gradient(tape, outputs, batch, cotangent_of(target, outputs))
        if weights is not None:
            values = tf.tensordot(self.backend.asarray(weights), values, axes=1)
        return Gradients(values, scores)

    def _gradient(self, tape: Any, outputs: Any, source: Any, start: Any) -> Any:
        with sentence(ModelError, f"The gradient of {self.name} cannot be computed"):
            gradient = tape.gradient(outputs, source, output_gradients=start)
        if gradient is None:
            raise ModelError(NO_PATH.format(name=self.name))
        return tf.convert_to_tensor(gradient)

    def _checked(self, images: Any) -> Any:
        batch = self.backend.asarray(images)
        if batch.ndim != 4 or len(batch) == 0:
            raise ImageError(
                f"The model input has shape {list(batch.shape)}: expected [N, H, W, C], N >= 1."
            )
        return batch

    def forward_pass(self, image: PreparedImage) -> ForwardPass:
        """Return a forward pass of an image; there is nothing in it to retain."""
        with self.lock:
            return ForwardPass(_SavedModelPass(self, image.values[None]), self.backend)

    @property
    def source(self) -> Any:
        """The user's loaded object."""
        return self._source

    @property
    def fingerprint(self) -> str:
        """The weights' hash: a SavedModel is not trained on."""
        return self._hash

    @property
    def weight_hash(self) -> str:
        """SHA-256 over names, shapes and values of all variables."""
        return self._hash

    @property
    def versions(self) -> dict[str, str]:
        """The version of TensorFlow."""
        return {"tensorflow": tf.__version__}

    @property
    def chunk_size(self) -> int:
        """8 images of 224 x 224 at once, more of smaller ones, at most 64."""
        height, width, _ = self.input_shape
        return int(np.clip(8 * 224 * 224 // (height * width), 1, 64))


class _SavedModelPass(LayerPass):
    """Outputs of a batch; gradients at its input are computed when they are asked for."""

    def __init__(self, model: SavedModel, values: Values) -> None:
        self._model, self._values = model, values
        self._outputs = model.outputs(values)

    @property
    def outputs(self) -> Any:
        """What the model returns, [N, K] or dense [N, h, w, K]."""
        return self._outputs

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._values.nbytes + size_of([self._outputs])

    def activation(self, layer: str) -> Any:
        """Raise `LayerError`: there are no layers."""
        raise LayerError(NO_LAYERS)

    def gradients(self, target: Target, layers: Sequence[str | None]) -> dict[str | None, Any]:
        """Return d target / d input, [N, H, W, C]."""
        if tuple(layers) != (None,):
            raise LayerError(NO_LAYERS)
        return {None: self._model.gradients(self._values, target).values}


def device_name(device: str | None) -> str | None:
    """Return TensorFlow's name of a device.

    Raises
    ------
    ModelError
        If TensorFlow does not see it here.
    """
    if device is None:
        return None
    kind, _, index = device.lower().strip("/").partition(":")
    kind = {"cuda": "GPU", "gpu": "GPU", "mps": "GPU"}.get(kind, kind.upper())
    found = [entry.name.split(":", 1)[1] for entry in tf.config.list_physical_devices()]
    name = f"{kind}:{index or 0}"
    if name not in found:
        raise ModelError(
            f"The device {device!r} cannot be used: TensorFlow sees {', '.join(found)} here."
        )
    return f"/{name}"


def score_tensor(output: Any) -> Any:
    """Return the floating-point scores, [N, K] or dense, in what a function returned, or None."""
    if isinstance(output, dict):
        values = [output["logits"]] if "logits" in output else []
        values += [output[name] for name in sorted(output)]
    else:
        values = list(output) if isinstance(output, list | tuple) else [output]
    found = [value for value in values if tf.is_tensor(value) and value.dtype.is_floating]
    flat = (value for value in found if len(value.shape) == 2)
    dense = (value for value in found if len(value.shape) == 4)
    return next(itertools.chain(flat, dense), None)


def _entry(loaded: Any) -> tuple[Any, str | None, InputSpec]:
    """Return what to call, the name of its argument (None by position) and what that takes."""
    signatures = dict(getattr(loaded, "signatures", None) or {})
    function = signatures.get("serving_default")
    if function is None and len(signatures) == 1:
        function = next(iter(signatures.values()))
    if function is not None:
        arguments = function.structured_input_signature[1]
        if len(arguments) != 1:
            raise ModelError(
                f"The signature of the SavedModel takes {', '.join(arguments) or 'nothing'}: "
                "expected one input, images."
            )
        ((name, tensor),) = arguments.items()
        return function, str(name), _spec_of(tensor)
    if not callable(loaded):
        known = ", ".join(repr(name) for name in signatures) or "none"
        raise ModelError(
            f"The SavedModel has no signature 'serving_default' (its signatures: {known}) and "
            "cannot be called: save it with model.export() or with a signature."
        )
    for concrete in getattr(getattr(loaded, "__call__", None), "concrete_functions", ()):  # noqa: B004
        inputs = [entry for entry in concrete.inputs if entry.shape.rank == 4]
        if len(inputs) == 1:
            return loaded, None, _spec_of(inputs[0])
    return loaded, None, input_spec("the SavedModel", None, np.float32)


def _spec_of(tensor: Any) -> InputSpec:
    shape = None if tensor.shape.rank is None else tensor.shape.as_list()
    if tensor.dtype == tf.string:
        raise ModelError(
            "The SavedModel takes encoded images or strings, not pixels: save it with a signature "
            "that takes images [N, H, W, C]."
        )
    return input_spec("the SavedModel", shape, tensor.dtype.as_numpy_dtype)


def _weight_hash(loaded: Any, function: Any) -> str:
    digest = hashlib.sha256()
    variables: Any = getattr(loaded, "variables", None) or getattr(function, "variables", ())
    for variable in sorted(variables, key=lambda entry: str(entry.name)):
        digest.update(f"{variable.name}{tuple(variable.shape)}{variable.dtype}".encode())
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    if not variables and hasattr(function, "graph"):
        digest.update(function.graph.as_graph_def().SerializeToString(deterministic=True))
    return digest.hexdigest()
