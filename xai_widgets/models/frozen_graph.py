"""Frozen TF1 graphs (.pb): they predict, and are not explained."""

import hashlib
from typing import Any

import tensorflow as tf

from xai_widgets.errors import ModelError, sentence
from xai_widgets.models.base import Lock
from xai_widgets.models.carried import Carried
from xai_widgets.models.graph_parts import cut_out
from xai_widgets.models.inference_model import InferenceModel
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.saved_model import device_name
from xai_widgets.models.tensor_input import input_spec

WHY = (
    "A frozen graph is a program for prediction, whose gradients were not kept in mind when it was "
    "frozen: it predicts and nothing else. Load the model it was frozen from."
)
SILENT = ("Placeholder", "PlaceholderWithDefault", "Const", "NoOp", "Assert")


class FrozenGraphModel(InferenceModel):
    """A ``GraphDef`` with one image input and scores [N, K] at one of its ends.

    Parameters
    ----------
    graph
        The GraphDef.
    labels, preprocess, input_size, device, lock
        As in `load`.
    carried
        What is known of the model beside what it says itself.
    """

    framework = "tensorflow"
    format = "frozen-graph"

    def __init__(
        self,
        graph: Any,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: tuple[int, int] | None = None,
        device: str | None = None,
        lock: Lock | None = None,
        carried: Carried | None = None,
    ) -> None:
        self.name = "FrozenGraph"
        self._device = device_name(device)
        own = carried or Carried()
        with sentence(ModelError, "The frozen graph cannot be imported"):
            imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
        tensor = _image_input(imported.graph, graph)
        shape = None if tensor.shape.rank is None else tensor.shape.as_list()
        self._spec = input_spec("the frozen graph", shape, tensor.dtype.as_numpy_dtype)
        output = _score_output(imported.graph, graph)
        notes = [*own.notes, *self._spec.notes()]
        notes.append(f"Images go into {tensor.name!r}, scores come from {output.name!r}.")
        self._function = cut_out(imported, [tensor], output)
        super().__init__(
            graph,
            WHY,
            hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest(),
            labels,
            self._spec.preprocess(own.preprocess_for(preprocess, input_size, notes), notes),
            input_size,
            lock,
            own_labels=own.labels,
            own_size=self._spec.size or own.size,
            channels=self._spec.channels,
            notes=notes,
        )

    def infer(self, images: Values) -> Any:
        """Return the scores of images [N, H, W, C]."""
        with sentence(ModelError, f"{self.name} cannot process images of {images.shape[1:]}"):
            return self._spec.run(self._call, images)

    def _call(self, batch: Any) -> Any:
        with tf.device(self._device):
            return self._function(tf.constant(batch)).numpy()

    @property
    def versions(self) -> dict[str, str]:
        """The version of TensorFlow."""
        return {"tensorflow": tf.__version__}


def _image_input(imported: Any, graph: Any) -> Any:
    """Return the placeholder that takes images.

    Raises
    ------
    ModelError
        If there is not exactly one.
    """
    names = [node.name for node in graph.node if node.op == "Placeholder"]
    tensors = [imported.get_tensor_by_name(f"{name}:0") for name in names]
    images = [tensor for tensor in tensors if tensor.shape.rank == 4]
    images = images or [tensor for tensor in tensors if tensor.shape.rank is None]
    if len(images) != 1:
        found = ", ".join(repr(name) for name in names) or "none"
        raise ModelError(
            f"The frozen graph has {len(images)} inputs for images (its placeholders: {found}): "
            "expected one of shape [N, H, W, C]."
        )
    return images[0]


def _score_output(imported: Any, graph: Any) -> Any:
    """Return the last tensor that nothing in the graph uses and that can be scores [N, K].

    Raises
    ------
    ModelError
        If there is none.
    """
    used = {name.removeprefix("^").partition(":")[0] for node in graph.node for name in node.input}
    ends = [node for node in graph.node if node.name not in used and node.op not in SILENT]
    for node in reversed(ends):
        for tensor in imported.get_operation_by_name(node.name).outputs:
            if tensor.dtype.is_floating and tensor.shape.rank in (None, 2):
                return tensor
    found = ", ".join(repr(node.name) for node in ends[:4]) or "none"
    raise ModelError(f"No output of the frozen graph ({found}) can be scores [N, K].")
