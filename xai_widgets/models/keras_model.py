"""Keras 3 models on TensorFlow as `ExplainableModel`."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from xai_widgets.errors import ImageError, ModelError, XaiError, sentence
from xai_widgets.models.base import Lock
from xai_widgets.models.choosing import (
    are_probabilities,
    choose_input,
    choose_labels,
    choose_task,
)
from xai_widgets.models.keras_attention import KerasAttentionPass
from xai_widgets.models.keras_capabilities import (
    NO_EAGER_ATTENTION,
    NO_EAGER_RULE,
    find_all_lacks,
    not_exact,
)
from xai_widgets.models.keras_eager import KerasEager
from xai_widgets.models.keras_graph import KerasGraph
from xai_widgets.models.keras_inputs import (
    Output,
    advice,
    carried_preprocessing,
    check_source,
    expected_shape,
    possible_channels,
)
from xai_widgets.models.keras_loading import (
    Runner,
    device_of,
    name_of,
    read_layers,
    remarks,
    vector_layers,
)
from xai_widgets.models.keras_pass import RETAINED_BYTES, chunked
from xai_widgets.models.keras_seeing import KerasLayers, Shape
from xai_widgets.models.keras_weights import Change, WeightWatch, is_same, structure, weight_hash
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.primitives import Capabilities, ForwardPass, Gradients, PreparedImage
from xai_widgets.models.targets import Target
from xai_widgets.models.tensorflow_backend import TensorFlowBackend

if TYPE_CHECKING:
    from xai_widgets.models.readiness.trace import Trace

MAX_GRAPHS = 8
"""Traced graphs kept, one for each size of the input and backward rule."""
MAX_ORIGINS = 8
"""Layers whose own gradients are in a graph before it is traced anew without them."""


class KerasModel(KerasLayers):
    """A Keras model that maps [N, H, W, C] to outputs: sequential, functional, subclassed.

    The outputs are scores [N, K], or dense ones [N, h, w, K].

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
    task
        What the model is for; else what the shape of its output says.

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
        task: str | None = None,
    ) -> None:
        self._source = model
        self.format = "keras"
        self.name = name_of(model)
        self.lock = lock or threading.RLock()
        check_source(model, self.name)
        self._device = device_of(device)
        self.backend = TensorFlowBackend(self._device)
        self._output = Output(model, self.name, output)
        self._watch = WeightWatch(model)
        self._traced: OrderedDict[tuple[Shape, str | None], Runner] = OrderedDict()
        self._structure: list[Any] = []
        self._retained: tuple[tuple[str, str], ForwardPass] | None = None
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
            runner = self._runner(self._shape(probe))
            self.layers = read_layers(runner, probe, lambda: self._pass(probe))
            self.vector_layers = vector_layers(runner)
            outputs = self.backend.to_numpy(self._run(probe))
        self.labels = choose_labels(labels, None, int(outputs.shape[-1]), notes)
        self.task = choose_task(task, outputs.shape, self.name)
        self.outputs_probabilities = are_probabilities(outputs)
        notes += remarks(
            model,
            self._output,
            self.outputs_probabilities and self.is_classifier,
            isinstance(runner, KerasEager),
        )
        self.capabilities = Capabilities(find_all_lacks(self, runner, probe, self._pass))
        self.incomplete = not_exact(runner)
        self.findings = tuple(notes)

    # Loading ------------------------------------------------------------------------------

    def _try(self, values: Values) -> None:
        """Pass noise [1, H, W, C] through the model."""
        self._run(self.backend.asarray(values))

    # Running ------------------------------------------------------------------------------

    def _shape(self, images: Any) -> Shape:
        return (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))

    def _runner(self, shape: Shape, rule: str | None = None) -> Runner:
        """Return the traced model for images of a size, traced anew where its layers changed."""
        if not is_same(structure(self._source), self._structure):
            self._traced.clear()
            self._retained = None
            self._watch.restart()
        key = (shape, rule)
        known = self._traced.get(key)
        if isinstance(known, KerasGraph) and known.n_origins > MAX_ORIGINS:
            del self._traced[key]
        if key not in self._traced:
            with self._complaint(shape):
                if not self._source.built:
                    self._source(np.zeros((1, *shape), np.float32), training=False)
                self._traced[key] = self._trace(shape, rule)
            if len(self._traced) > MAX_GRAPHS:
                self._traced.popitem(last=False)
        self._traced.move_to_end(key)
        self._structure = structure(self._source)
        return self._traced[key]

    def _trace(self, shape: Shape, rule: str | None) -> Runner:
        """Trace the model, or take it as it is where only eager execution can run it."""
        try:
            return KerasGraph(self._source, self.name, shape, self._output, rule)
        except XaiError:
            raise
        except Exception:
            if rule is not None:
                if isinstance(self._runner(shape), KerasEager):
                    raise ModelError(NO_EAGER_RULE.format(name=self.name)) from None
                raise
            eager = KerasEager(self._source, self.name, self._output)
            eager.outputs(tf.zeros((1, *shape)))
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
        """Return float32 outputs, [N, K] or dense [N, h, w, K], of [N, H, W, C]."""
        with tf.device(self._device):
            runner = self._runner(self._shape(images))
            with self._complaint(self._shape(images)):
                outputs = runner.outputs(images)
        if len(outputs) != len(images):
            raise ModelError(
                f"{self.name} returned shape {list(outputs.shape)} for {len(images)} image"
                f"{'s' if len(images) > 1 else ''}: expected scores [{len(images)}, K]. Wrap the "
                "model so that it keeps the batch axis."
            )
        return outputs

    # The contract -------------------------------------------------------------------------

    def scores(self, images: Any) -> Any:
        """Return scores [N, K] of images [N, H, W, C]; spatial means of dense outputs."""
        return self.class_scores(self.outputs(images))

    def outputs(self, images: Any) -> Any:
        """Return what the model returns, [N, K] or dense [N, h, w, K], computed in chunks."""
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
        """Return the gradient of a target's score, and the scores; see the contract."""
        batch = self._checked(images)
        shape = self._shape(batch)
        if rule in ("guided", "deconvolution") and "relu" in self.capabilities.lacks:
            raise ModelError(self.capabilities.lacks["relu"])
        if rule == "rescale" and len(batch) % 2:
            raise ImageError(
                f"{len(batch)} images were given to the rescale rule: give as many references as "
                "images, after them."
            )
        with self.lock, tf.device(self._device):
            runner = self._runner(shape, rule)
            with self._complaint(shape):
                values, origin = runner.gradients(batch, target, weights, layer)
        outputs = origin if target.layer is None else None
        return Gradients(values, target(origin, self.backend), outputs)

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

    def attention(self, image: PreparedImage) -> KerasAttentionPass:
        """Return the attention in one forward pass of an image; see the contract."""
        batch = self._checked(image.values[None])
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            if isinstance(runner, KerasEager):
                raise ModelError(NO_EAGER_ATTENTION.format(name=self.name))
            with self._complaint(shape):
                return KerasAttentionPass(self.name, runner, batch, self.layers, self.lock)

    def _pass(self, images: Any) -> ForwardPass:
        batch = self._checked(images)
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                return ForwardPass(runner.forward(batch), self.backend)

    @contextmanager
    def changed_weights(self, change: Change) -> Iterator[None]:
        """Use other weights for a while; see the contract."""
        with self.lock:
            if "weights" in self.capabilities.lacks:
                raise ModelError(self.capabilities.lacks["weights"])
            retained, self._retained = self._retained, None
            try:
                with self._watch.changed(change):
                    yield
            finally:
                self._retained = retained

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
