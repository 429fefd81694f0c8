"""Open TensorFlow's files: .keras, HDF5, SavedModel folders and frozen graphs (.pb)."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xai_widgets.errors import ModelError, TrustError, sentence
from xai_widgets.models.archives import opened_archive, read_member
from xai_widgets.models.opened import Opened, refusal
from xai_widgets.models.optional import need
from xai_widgets.models.wire import submessages, text

SAFE_KERAS = (
    "Replace it by a layer of your own, registered with keras.saving.register_keras_serializable, "
    "and save the model again."
)
SAFE_SAVED_MODEL = "Save the Keras model as .keras, whose layers are built from their settings."
REACHING = {"utils", "saving", "config", "backend", "datasets", "callbacks", "export"}
"""Parts of Keras that do more than compute."""
PLAIN = {("builtins", name) for name in ("tuple", "slice", "list", "dict", "set", "NoneType")}
FILE_OPERATIONS = {
    "ReadFile",
    "MatchingFiles",
    "WholeFileReaderV2",
    "FixedLengthRecordDataset",
    "TextLineDataset",
    "TFRecordDataset",
}
"""Operations that touch files without being marked as stateful."""


def open_keras(path: Path, trust: bool) -> Opened:
    """Open a .keras archive; code in Lambda layers needs trust.

    Raises
    ------
    TrustError
        If it holds code and is not trusted, or members that point outside of it.
    ModelError
        If it is damaged, or a class in it is unknown.
    """
    with opened_archive(path) as archive:
        content = read_member(path, archive, "config.json")
    return _loaded(path, _parsed(content, path), trust)


def open_hdf5(path: Path, trust: bool, architecture: Callable[[], Any] | None) -> Opened:
    """Open an HDF5 file with a Keras model, or with weights for an architecture.

    Raises
    ------
    TrustError
        If it holds code and is not trusted, or links to other files.
    ModelError
        If it is damaged or holds weights without an architecture.
    """
    h5py = need("h5py", f"The HDF5 file {path.name}")
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
            outside = _outside_links(file, h5py)
    except (OSError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"{path.name} begins as an HDF5 file but cannot be read as one "
            f"({' '.join(str(error).split())[:160]}): it is truncated or damaged."
        ) from error
    if outside is not None:
        raise TrustError(
            f"{path.name} takes {outside!r} from another file: it is refused, trusted or not. Save "
            "the model with its weights inside."
        )
    if config is not None:
        return _loaded(path, _parsed(config, path), trust)
    if architecture is None:
        raise ModelError(
            f"{path.name} holds no model, only weights or other data: pass architecture=, a "
            "function that returns the keras.Model they belong to, or save the whole model."
        )
    keras = _keras(path)
    with sentence(ModelError, "The function given as architecture= failed"):
        model = architecture()
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"The function given as architecture= returned a {type(model).__name__}: the weights "
            f"in {path.name} need a keras.Model."
        )
    with sentence(ModelError, f"The weights in {path.name} do not fit {model.name}"):
        model.load_weights(str(path))
    return Opened(model, "keras")


def open_saved_model(path: Path, trust: bool) -> Opened:
    """Open a SavedModel folder, whose graph is a program.

    Raises
    ------
    TrustError
        Unless it is trusted.
    ModelError
        If it is damaged.
    """
    if not trust:
        what = "is a SavedModel, whose graph is a program that can read and write files"
        raise TrustError(refusal(path.name, what, SAFE_SAVED_MODEL))
    tf = need("tensorflow", f"The SavedModel {path.name}")
    with sentence(ModelError, f"{path.name} cannot be opened as a SavedModel"):
        return Opened(tf.saved_model.load(str(path)), "savedmodel", trusted=True)


def open_graph(path: Path, message: memoryview, trust: bool) -> Opened:
    """Open a frozen TF1 graph (.pb); operations that reach outside of it need trust.

    Raises
    ------
    TrustError
        If it holds such operations and is not trusted.
    ModelError
        If it is damaged.
    """
    damaged = f"{path.name} begins as a TensorFlow graph, but is truncated or damaged"
    try:
        operations = set(_operations(message))
    except ValueError as error:
        raise ModelError(f"{damaged} ({error}): copy or freeze it again.") from error
    tf = need("tensorflow", f"The frozen graph {path.name}")
    suspicious = sorted(name for name in operations if _reaches_out(name))
    if suspicious and not trust:
        what = f"is a graph with operations that reach outside of it ({', '.join(suspicious[:4])})"
        raise TrustError(refusal(path.name, what, "Freeze the graph for inference without them."))
    graph = tf.compat.v1.GraphDef()
    with sentence(ModelError, damaged):
        graph.ParseFromString(bytes(message))
    return Opened(graph, "frozen-graph", trusted=bool(suspicious))


def _loaded(path: Path, config: Mapping[str, Any], trust: bool) -> Opened:
    """Let Keras build the model in safe mode, or in full where code in it is trusted."""
    lambdas = list(_code_in(config))
    if lambdas and not trust:
        what = f"holds Python code in the Lambda layer {lambdas[0]!r}, which loading runs"
        raise TrustError(refusal(path.name, what, SAFE_KERAS))
    keras = _keras(path)
    foreign = next(_foreign_names(config, keras), None)
    if foreign is not None and not trust:
        what = f"names {foreign!r}, which loading would import and call"
        instead = "Register a class of your own with keras.saving.register_keras_serializable."
        raise TrustError(refusal(path.name, what, instead))
    trusted = bool(lambdas) or foreign is not None
    try:
        model = keras.saving.load_model(str(path), compile=False, safe_mode=not trusted)
    except Exception as error:
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        if "safe_mode" in reason or "unsafe" in reason.lower():
            what = f"holds something that Keras calls unsafe ({reason[:160]})"
            raise TrustError(refusal(path.name, what, SAFE_KERAS)) from error
        raise ModelError(f"{path.name} cannot be opened as a Keras model: {reason}") from error
    return Opened(model, "keras", trusted=trusted)


def _keras(path: Path) -> Any:
    need("tensorflow", f"The Keras file {path.name}")
    return need("keras", f"The Keras file {path.name}")


def _parsed(content: bytes | str, path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"The configuration in {path.name} is no JSON ({error}): the file is damaged."
        ) from error
    if not isinstance(config, Mapping):
        raise ModelError(f"The configuration in {path.name} describes no model.")
    return config


def _code_in(config: Any) -> Iterator[str]:
    """Yield the names of layers that carry Python code: Lambda and whatever marshals a function."""
    waiting = [config]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, Mapping):
            inner = entry.get("config")
            if entry.get("class_name") in ("Lambda", "__lambda__"):
                name = inner.get("name") if isinstance(inner, Mapping) else None
                yield str(name or entry.get("name") or "lambda")
            elif entry.get("function_type") == "lambda":
                yield str(entry.get("name", "lambda"))
            waiting.extend(_parts(entry))
        elif isinstance(entry, list):
            waiting.extend(entry)


def _parts(config: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a model is built from; it is not compiled, so losses and metrics are not."""
    yield from (value for key, value in config.items() if key != "compile_config")


def _foreign_names(config: Any, keras: Any) -> Iterator[str]:
    """Yield classes and functions that are neither layers of Keras nor registered by the user."""
    waiting = [config]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list):
            waiting.extend(entry)
        if not isinstance(entry, Mapping):
            continue
        waiting.extend(_parts(entry))
        module, name = entry.get("module"), entry.get("class_name")
        if not isinstance(module, str) or not isinstance(name, str):
            continue
        if name == "function":
            name = str(entry.get("config"))
        registered = str(entry.get("registered_name"))
        known = (keras.saving.get_registered_object(key) for key in (registered, name))
        if any(entry is not None for entry in known):
            continue
        own = module.partition(".")[0] in ("keras", "tf_keras")
        tools = any(part in REACHING for part in module.split("."))
        if not own and (module, entry.get("class_name")) in PLAIN:
            continue
        if not own or tools:
            yield f"{module}.{name}"


def _outside_links(file: Any, h5py: Any) -> str | None:
    """Return the path of a link to another file, or of data that is stored in one."""
    waiting = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                return f"{group.name.rstrip('/')}/{name}"
            entry = group.get(name)
            if isinstance(entry, h5py.Dataset) and (entry.external or entry.is_virtual):
                return str(entry.name)
            if isinstance(entry, h5py.Group) and len(waiting) < 10_000:
                waiting.append(entry)
    return None


def _operations(graph: memoryview) -> Iterator[str]:
    """Yield the operations of a GraphDef, those in its functions included."""
    for node in submessages(graph, 1):
        yield text(node, 2)
    for library in submessages(graph, 2):
        for function in submessages(library, 1):
            for node in submessages(function, 3):
                yield text(node, 2)


def _reaches_out(operation: str) -> bool:
    """Tell whether an operation has effects, keeps state or reads files."""
    from tensorflow.python.framework import op_def_registry

    if operation in FILE_OPERATIONS:
        return True
    definition = op_def_registry.get(operation)
    return bool(definition is not None and definition.is_stateful)
