"""Keras 3 models on TensorFlow as `ExplainableModel`."""

import threading
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from xai_widgets.errors import ImageError, ModelError, XaiError
from xai_widgets.models.base import (
    Capabilities,
    ExplainableModel,
    ForwardPass,
    Gradients,
    Layer,
    Lock,
    PreparedImage,
    sentence,
)
from xai_widgets.models.choosing import are_probabilities, choose_input, choose_labels
from xai_widgets.models.keras_eager import KerasEager, KerasEagerPass
from xai_widgets.models.keras_graph import KerasForwardPass, KerasGraph, chunked
from xai_widgets.models.keras_inputs import (
    LOGITS,
    Output,
    advice,
    carried_preprocessing,
    check_source,
    expected_shape,
    possible_channels,
)
from xai_widgets.models.keras_weights import WeightWatch, is_same, structure, weight_hash
from xai_widgets.models.layers import LayerOutput, marked
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.targets import Target
from xai_widgets.models.tensorflow_backend import TensorFlowBackend
from xai_widgets.models.verdicts import find_lacks

if TYPE_CHECKING:
    from xai_widgets.models.readiness.trace import Trace

RETAINED_BYTES = 2 * 1024**3

Shape = tuple[int, int, int]


class KerasModel(ExplainableModel):
    """A Keras model that maps [N, H, W, C] to scores [N, K]: sequential, functional, subclassed.

    The model is used where it is, always with ``training=False``. It is traced once for each size
    of its input; a model that cannot be traced runs eagerly. Layers inside of nested models are
    reached by their path, "backbone/conv4_block6_out".

    Parameters
    ----------
    model
        The model. Its output is a tensor, or a list, tuple or dict with one.
    labels
        Names of the K outputs; else "class 0" ...
    preprocess
        Else pixels from 0 to 255 where the model starts with Rescaling or Normalization, else
        uint8 / 255; resized to ``input_size``.
    input_size
        (height, width); else what preprocessing or the model's input says, else the first of
        224, 256, 299, 384, 128, 64, 32, 28 that the model accepts.
    device
        "cpu", "gpu", "gpu:1"; else where TensorFlow puts it.
    lock
        Shared with other adapters of the same model.
    output
        Name or position of the output to explain; "logits" for what a last softmax is applied to;
        else the one called "logits", else the first.

    Raises
    ------
    ModelError
        If the model takes no images, its call fails, or it does not return scores [N, K].
    """

    framework = "tensorflow"
    backend: TensorFlowBackend

    def __init__(
        self,
        model: keras.Model,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: tuple[int, int] | None = None,
        device: str | None = None,
        lock: Lock | None = None,
        output: str | int | None = None,
    ) -> None:
        self._source = model
        self.format = "keras"
        self.name = _name_of(model)
        self.lock = lock or threading.RLock()
        check_source(model, self.name)
        self._device = _device(device)
        self.backend = TensorFlowBackend(self._device)
        self._output = Output(model, self.name, output)
        self._watch = WeightWatch(model)
        self._traced: dict[Shape, KerasGraph | KerasEager] = {}
        self._structure: list[Any] = []
        self._retained: tuple[tuple[str, str], KerasForwardPass | KerasEagerPass] | None = None
        self._hashed: tuple[str, str] | None = None
        notes: list[str] = []
        with self.lock:
            carried, note = carried_preprocessing(model)
            if preprocess is None and note is not None:
                preprocess, notes = carried, [note]
            elif preprocess is None and advice(model) is not None:
                notes.append(str(advice(model)))
            height, width, _ = expected_shape(model)
            had_weights = model.built
            self.preprocess, values = choose_input(
                self._try,
                preprocess,
                input_size,
                None if height is None or width is None else (height, width),
                possible_channels(model),
                notes,
            )
            if not had_weights:
                notes.append(
                    "The model had not been built: its weights were drawn at random by the first "
                    "call. Load or train weights before it is explained."
                )
            probe = self.backend.asarray(values)
            self.input_shape = (int(probe.shape[1]), int(probe.shape[2]), int(probe.shape[3]))
            self.layers = self._read_layers(probe)
            scores = self.backend.to_numpy(self._run(probe))
        self.labels = choose_labels(labels, None, int(scores.shape[1]), notes)
        self.outputs_probabilities = are_probabilities(scores)
        notes += self._remarks()
        self.capabilities = self._probe_capabilities(probe)
        self.findings = tuple(notes)

    # Loading ------------------------------------------------------------------------------

    def _try(self, values: Values) -> None:
        """Pass noise [1, H, W, C] through the model."""
        self._run(self.backend.asarray(values))

    def _remarks(self) -> list[str]:
        """Say what was assumed about the outputs, and how the model computes."""
        notes = []
        if self._output.chosen is not None and len(self._output.names) > 1:
            notes.append(
                f"The model has {len(self._output.names)} outputs "
                f"({', '.join(self._output.names)}): {self._output.chosen!r} is explained. "
                "Pass output= to choose another."
            )
        if self.outputs_probabilities and self.is_classifier:
            notes.append(
                "The model returns probabilities, not logits: gradients of a saturated softmax "
                f"vanish. Pass output={LOGITS!r} to explain what its last softmax is applied to, "
                "or build the model with classifier_activation=None."
            )
        precision = self._source.dtype_policy.compute_dtype
        parts = {layer.dtype_policy.compute_dtype for layer in self._source._flatten_layers()}
        others = sorted({precision, *parts} - {"float32"})
        if others:
            notes.append(
                f"The model computes in {' and '.join(others)}: its scores and gradients are "
                "handed on as float32."
            )
        if any(isinstance(runner, KerasEager) for runner in self._traced.values()):
            notes.append(
                "The model cannot be traced by TensorFlow (it uses Python or NumPy on the values "
                "of its tensors), so it runs eagerly, which is slower."
            )
        return notes

    def _read_layers(self, probe: Any) -> tuple[Layer, ...]:
        """List the layers with the shapes that they have for one image."""
        runner = self._runner(self._shape(probe))
        shapes = runner.shapes(probe)
        outputs = []
        for path, call in runner.calls.items():
            shape = shapes[path]
            if shape[0] != 1:  # windows or heads in place of the batch
                continue
            identity = getattr(call.tensor, "name", None) if _symbolic(call.tensor) else None
            outputs.append(
                LayerOutput(
                    Layer(path, call.kind, tuple(shape[1:])),
                    identity or id(call.tensor),
                    call.candidate,
                )
            )
        return marked(outputs, (int(probe.shape[1]), int(probe.shape[2])))

    def _probe_capabilities(self, probe: Any) -> Capabilities:
        places: dict[str, str | None] = {"input_gradients": None}
        lacks: dict[str, str] = {}
        if self.recommended_layer is not None:
            places["layer_gradients"] = self.recommended_layer
        elif any(layer.spatial for layer in self.layers):
            lacks["feature_maps"] = f"{self.name} ends in tokens, not in a feature map."
            places["layer_gradients"] = self.layers[-1].name
        else:
            lacks["feature_maps"] = f"{self.name} has no layer whose output is a feature map."
        found = find_lacks(
            self.name,
            self._pass,
            self.backend.to_numpy,
            self.backend.to_numpy(probe),
            places,
            self.outputs_probabilities,
        )
        return Capabilities({**lacks, **found})

    # Running ------------------------------------------------------------------------------

    def _shape(self, images: Any) -> Shape:
        return (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))

    def _runner(self, shape: Shape) -> KerasGraph | KerasEager:
        """Return the traced model for images of a size, traced anew where its layers changed."""
        if not is_same(structure(self._source), self._structure):
            self._traced.clear()
            self._retained = None
            self._watch.restart()
        if shape not in self._traced:
            with self._complaint(shape):
                if not self._source.built:
                    self._source(np.zeros((1, *shape), np.float32), training=False)
                self._traced[shape] = self._trace(shape)
        self._structure = structure(self._source)
        return self._traced[shape]

    def _trace(self, shape: Shape) -> KerasGraph | KerasEager:
        """Trace the model, or take it as it is where only eager execution can run it."""
        try:
            return KerasGraph(self._source, self.name, shape, self._output)
        except XaiError:
            raise
        except Exception:
            eager = KerasEager(self._source, self.name, self._output)
            eager.scores(tf.zeros((1, *shape)))
            return eager

    def _complaint(self, shape: Shape) -> Any:
        expected = expected_shape(self._source)
        wants = ""
        if any(
            side is not None and side != given for side, given in zip(expected, shape, strict=True)
        ):
            sides = ["any" if side is None else str(side) for side in expected]
            wants = f": it expects {' x '.join(sides)}"
        return sentence(
            ModelError,
            f"{self.name} cannot process an image of {shape[0]} x {shape[1]} pixels and "
            f"{shape[2]} channels (pass input_size= or preprocessing=){wants}",
        )

    def _run(self, images: Any) -> Any:
        """Return float32 scores [N, K] of [N, H, W, C]."""
        with tf.device(self._device):
            runner = self._runner(self._shape(images))
            with self._complaint(self._shape(images)):
                scores = runner.scores(images)
        if len(scores) != len(images):
            raise ModelError(
                f"{self.name} returned shape {list(scores.shape)} for {len(images)} image"
                f"{'s' if len(images) > 1 else ''}: expected scores [{len(images)}, K]. Wrap the "
                "model so that it keeps the batch axis."
            )
        return scores

    # The contract -------------------------------------------------------------------------

    def scores(self, images: Any) -> Any:
        """Return scores [N, K] of images [N, H, W, C], computed in chunks without gradients."""
        batch = self._checked(images)
        with self.lock:
            return tf.concat([self._run(part) for part in chunked(batch, self.chunk_size)], axis=0)

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
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                values, scores = runner.gradients(batch, target, weights)
        return Gradients(values, target(scores, self.backend))

    def forward_pass(self, image: PreparedImage) -> ForwardPass:
        """Return the retained forward pass of an image; see the contract."""
        with self.lock:
            key = (image.key, self.fingerprint)
            if self._retained is not None and self._retained[0] == key:
                return self._retained[1]
            self._retained = None
            forward = self._pass(image.values[None])
            if forward.nbytes <= RETAINED_BYTES:
                self._retained = (key, forward)
            return forward

    def _pass(self, images: Any) -> KerasForwardPass | KerasEagerPass:
        batch = self._checked(images)
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                return runner.forward(batch)

    def trace(self, values: Any, gradients: bool = True, target: int | None = None) -> "Trace":
        """Return what one forward and backward pass through the graph shows; see the contract."""
        from xai_widgets.models.readiness.keras_trace import trace_keras

        batch = self._checked(values)
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                return trace_keras(self._source, runner, batch, gradients, target)

    def _checked(self, images: Any) -> Any:
        batch = self.backend.asarray(images)
        if batch.shape.rank != 4 or len(batch) == 0:
            raise ImageError(
                f"The model input has shape {list(batch.shape)}: expected [N, H, W, C], N >= 1."
            )
        return batch

    @property
    def source(self) -> keras.Model:
        """The user's model."""
        return self._source

    @property
    def fingerprint(self) -> str:
        """Changes whenever a weight is assigned or trained, or a layer exchanged."""
        with self.lock:
            if not is_same(structure(self._source), self._structure):
                self._runner(self.input_shape)
            return self._watch.version()

    @property
    def weight_hash(self) -> str:
        """SHA-256 over positions, shapes and values of all weights."""
        fingerprint = self.fingerprint
        if self._hashed is None or self._hashed[0] != fingerprint:
            self._hashed = (fingerprint, weight_hash(self._source))
        return self._hashed[1]

    @property
    def versions(self) -> dict[str, str]:
        """The versions of TensorFlow and Keras."""
        return {"tensorflow": tf.__version__, "keras": keras.__version__}

    @property
    def chunk_size(self) -> int:
        """8 images of 224 x 224 at once, more of smaller ones, at most 64."""
        height, width, _ = self.input_shape
        return int(np.clip(8 * 224 * 224 // (height * width), 1, 64))


def _name_of(model: keras.Model) -> str:
    """Return the class of a subclassed model, the name of one made of layers."""
    kind = type(model)
    return str(model.name) if kind.__module__.split(".")[0] == "keras" else kind.__name__


def _symbolic(tensor: Any) -> bool:
    return not hasattr(tensor, "numpy")


def _device(device: str | None) -> str | None:
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
