"""ONNX models through onnxruntime: they predict, and have no gradients."""

import ast
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xai_widgets.errors import ModelError, TrustError, sentence
from xai_widgets.models.base import Lock
from xai_widgets.models.carried import Carried, carried_beside
from xai_widgets.models.inference_model import InferenceModel
from xai_widgets.models.opened import Opened
from xai_widgets.models.optional import need
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.tensor_input import input_spec
from xai_widgets.models.wire import submessages, text

WHY = (
    "An ONNX graph holds no gradients: it predicts and nothing else. Load the model it was "
    "exported from, or try a conversion such as onnx2torch, which the check then judges."
)
LABEL_KEYS = ("labels", "names", "classes", "class_names", "class_labels", "id2label", "categories")
TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
# ModelProto.graph, GraphProto.node .initializer, NodeProto.attribute, AttributeProto.t .g .tensors
# .graphs, TensorProto.external_data: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
GRAPH, NODES, INITIALIZERS, SPARSE, ATTRIBUTES, EXTERNAL = 7, 1, 5, 15, 5, 13
FUNCTIONS, FUNCTION_NODES = 25, 7


class OnnxModel(InferenceModel):
    """An onnxruntime session.

    Parameters
    ----------
    session
        An ``onnxruntime.InferenceSession``.
    labels, preprocess, input_size, lock
        As in `load`; labels else from the model's metadata.
    device
        The session's own, or None.
    carried
        What is known of the model beside what it says itself.
    """

    framework = "onnxruntime"
    format = "onnx"

    def __init__(
        self,
        session: Any,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: tuple[int, int] | None = None,
        device: str | None = None,
        lock: Lock | None = None,
        carried: Carried | None = None,
    ) -> None:
        if device is not None:
            session = session_on(session, device)
        self._session = session
        self.name = _name(session)
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in TYPES:
            found = ", ".join(f"{entry.name} {entry.type}" for entry in inputs)
            raise ModelError(f"{self.name} takes {found or 'no input'}: expected one, images.")
        self._input = inputs[0].name
        self._spec = input_spec(self.name, inputs[0].shape, TYPES[inputs[0].type])
        self._output = _score_output(session, self.name)
        own = (carried or Carried()).over(_labels_inside(session))
        notes = [*own.notes, *self._spec.notes()]
        super().__init__(
            session,
            WHY,
            _hash(session),
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
            return self._spec.run(
                lambda batch: np.asarray(
                    self._session.run([self._output], {self._input: batch})[0]
                ),
                images,
            )

    @property
    def versions(self) -> dict[str, str]:
        """The version of onnxruntime."""
        return {"onnxruntime": need("onnxruntime", "An ONNX model").__version__}


def open_onnx(path: Path, message: memoryview) -> Opened:
    """Open an ONNX file whose weights lie in its folder.

    Raises
    ------
    TrustError
        If its external weights point outside of the folder.
    ModelError
        If the file is damaged.
    """
    try:
        locations = set(_external_files(message))
    except ValueError as error:
        raise ModelError(
            f"{path.name} begins as an ONNX model, but {error}: it is truncated or damaged. Copy "
            "or export it again."
        ) from error
    folder = path.parent.resolve()
    for location in sorted(locations):
        if not (folder / location).resolve().is_relative_to(folder):
            raise TrustError(
                f"{path.name} keeps weights in {location[:200]!r}, outside of its folder: it is "
                "refused, trusted or not. Save the model with its weights inside or beside it."
            )
        if not (folder / location).is_file():
            raise ModelError(
                f"{path.name} keeps weights in {location[:200]!r}, which is not there: copy it "
                "beside the model."
            )
    runtime = need("onnxruntime", f"The ONNX file {path.name}")
    with sentence(ModelError, f"{path.name} cannot be opened as an ONNX model"):
        session = runtime.InferenceSession(str(path), providers=[PROVIDERS["cpu"]])
    return Opened(session, "onnx", carried=carried_beside(path.parent))


def session_on(session: Any, device: str) -> Any:
    """Return the same model's session on another device.

    Raises
    ------
    ModelError
        If onnxruntime has no provider for the device here.
    """
    runtime = need("onnxruntime", "An ONNX model")
    provider = PROVIDERS.get(device.partition(":")[0])
    if provider in session.get_providers():
        return session
    here = [name for name, known in PROVIDERS.items() if known in runtime.get_available_providers()]
    path = getattr(session, "_model_path", None)
    if provider is None or provider not in runtime.get_available_providers() or path is None:
        raise ModelError(
            f"The device {device!r} cannot be used: onnxruntime has {', '.join(here)} here."
        )
    return runtime.InferenceSession(path, providers=[provider])


def _name(session: Any) -> str:
    path = getattr(session, "_model_path", None)
    return Path(path).stem if path else session.get_modelmeta().graph_name or "OnnxModel"


def _score_output(session: Any, name: str) -> str:
    outputs = session.get_outputs()
    scores = [
        entry
        for entry in outputs
        if entry.type.startswith("tensor(") and len(entry.shape or (0, 0)) == 2
    ]
    named = [entry for entry in scores if entry.name == "logits"]
    chosen = [*named, *(entry for entry in scores if entry.type in TYPES), *scores]
    if not chosen:
        found = ", ".join(f"{entry.name} {entry.shape}" for entry in outputs)
        raise ModelError(f"{name} returns {found}: expected scores [N, K].")
    return str(chosen[0].name)


def _labels_inside(session: Any) -> Carried:
    metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    for key in LABEL_KEYS:
        names = _parsed(metadata.get(key, ""))
        if names:
            note = f"The labels were read from {key!r} in the model's metadata."
            return Carried(labels=names, notes=(note,))
    return Carried()


def _parsed(written: str) -> tuple[str, ...] | None:
    """Return labels written as JSON, as Python values, one per line or separated by commas."""
    content: Any = None
    for read in (json.loads, ast.literal_eval):
        try:
            content = read(written)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if isinstance(content, dict):
        known = {str(position): name for position, name in content.items()}
        content = [known.get(str(i), f"class {i}") for i in range(len(known))]
    if content is None:
        content = written.splitlines() if "\n" in written else written.split(",")
    if not isinstance(content, list | tuple) or len(content) < 2:
        return None
    return tuple(str(name).strip() for name in content)


def _external_files(model: memoryview) -> list[str]:
    """Return the files that a ModelProto keeps weights in.

    Raises
    ------
    ValueError
        If the message is damaged.
    """
    found: list[str] = []
    waiting = [(graph, NODES) for graph in submessages(model, GRAPH)]
    waiting += [(function, FUNCTION_NODES) for function in submessages(model, FUNCTIONS)]
    while waiting:
        graph, nodes = waiting.pop()
        tensors = [] if nodes == FUNCTION_NODES else list(submessages(graph, INITIALIZERS))
        sparse = [] if nodes == FUNCTION_NODES else list(submessages(graph, SPARSE))
        for node in submessages(graph, nodes):
            for attribute in submessages(node, ATTRIBUTES):
                tensors += submessages(attribute, 5, 10)
                sparse += submessages(attribute, 22, 23)
                waiting += [(inner, NODES) for inner in submessages(attribute, 6, 11)]
        for matrix in sparse:
            tensors += submessages(matrix, 1, 2)
        for tensor in tensors:
            for entry in submessages(tensor, EXTERNAL):
                if text(entry, 1) == "location":
                    found.append(text(entry, 2))
    return found


def _hash(session: Any) -> str:
    digest = hashlib.sha256()
    path, content = getattr(session, "_model_path", None), getattr(session, "_model_bytes", None)
    if content:
        digest.update(content)
    elif path and Path(path).is_file():
        with Path(path).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    else:
        digest.update(repr([(entry.name, entry.shape) for entry in session.get_inputs()]).encode())
    return digest.hexdigest()
