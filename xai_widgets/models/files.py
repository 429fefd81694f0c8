"""Recognise a model file by its content, and open it."""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xai_widgets.errors import ModelError, sentence
from xai_widgets.models.archives import opened_archive
from xai_widgets.models.carried import carried_beside
from xai_widgets.models.opened import Opened
from xai_widgets.models.optional import need
from xai_widgets.models.wire import message_kind

KNOWN = (
    "safetensors, a state_dict, TorchScript, torch.export (.pt2), .keras, .h5, a SavedModel "
    "folder, ONNX, or a frozen graph (.pb)"
)
SUFFIXES: dict[str, tuple[str, ...]] = {
    "safetensors": (".safetensors",),
    "hdf5": (".h5", ".hdf5"),
    "keras": (".keras",),
    "onnx": (".onnx",),
    "graph": (".pb",),
    "torch-export": (".pt2",),
}
TITLES = {
    "safetensors": "weights in the safetensors format",
    "hdf5": "an HDF5 file of Keras",
    "keras": "a Keras model",
    "onnx": "an ONNX model",
    "graph": "a TensorFlow graph",
    "torch-export": "a torch.export program",
    "torchscript": "a TorchScript program",
    "pickle": "a PyTorch pickle",
}
HDF5 = b"\x89HDF\r\n\x1a\n"
OTHER_HEADS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with git lfs pull"),
    (b"<!DOCTYPE", "a web page: the download went wrong"),
    (b"<html", "a web page: the download went wrong"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"GGUF", "a GGUF language model, which takes no images"),
)


def open_file(
    path: Path, trust: bool = False, architecture: Callable[[], Any] | None = None
) -> Opened:
    """Open a model file or folder, whatever it is called.

    Parameters
    ----------
    path
        The file or folder.
    trust
        Let code inside of it run.
    architecture
        For weights: returns the module they belong to.

    Raises
    ------
    TrustError
        If opening it would run code and it is not trusted, or it reaches outside of itself.
    ModelError
        If it is missing, empty, damaged, unknown, or its weights do not fit.
    DependencyError
        If a package that reads it is not installed.
    """
    kind = recognise(path)
    notes = []
    if path.is_file() and path.suffix.lower() in _suffixes_of_others(kind):
        notes.append(f"{path.name} is called {path.suffix}, but holds {TITLES[kind]}.")
    opened = _open(kind, path, trust, architecture)
    if opened.trusted:
        notes.append(f"Code inside of {path.name} was allowed to run by trust=True.")
    return Opened(
        opened.source,
        opened.format,
        opened.trusted,
        opened.carried,
        (*notes, *opened.notes),
    )


def recognise(path: Path) -> str:
    """Return what a file or folder holds: a key of `TITLES`, "savedmodel" or "transformers".

    Raises
    ------
    TrustError
        If it is an archive with members that point outside of it.
    ModelError
        If it is missing, empty, damaged or unknown.
    """
    if not path.exists():
        raise ModelError(f"There is no file {str(path)!r}: check the path.")
    if path.is_dir():
        return _recognise_folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error}.") from error
    if size == 0:
        raise ModelError(f"{path.name} is empty: copy or save it again.")
    if head.startswith(b"PK"):
        return _recognise_archive(path)
    if head.startswith(HDF5):
        return "hdf5"
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        return "pickle"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000:
        return "safetensors"
    for start, meaning in OTHER_HEADS:
        if head.lower().startswith(start.lower()):
            raise ModelError(f"{path.name} is {meaning}.")
    if head[4:8] == b"TFL3":
        raise ModelError(
            f"{path.name} is a TensorFlow Lite model, which is not supported: load the model it "
            "was converted from."
        )
    kind = message_kind(_mapped(path))
    if kind == "saved_model.pb":
        raise ModelError(f"{path.name} is the graph of a SavedModel: give its folder instead.")
    if kind is None:
        raise ModelError(f"{path.name} is no model that is known here: expected {KNOWN}.")
    return kind


def _recognise_folder(path: Path) -> str:
    names = {entry.name for entry in path.iterdir()}
    if "saved_model.pb" in names:
        return "savedmodel"
    if "config.json" in names and any(name.endswith(".safetensors") for name in names):
        return "transformers"
    if "saved_model.pbtxt" in names:
        raise ModelError(f"{path.name} holds its SavedModel as text: save it in binary form.")
    if "config.json" in names and any(name.endswith(".bin") for name in names):
        raise ModelError(
            f"{path.name} holds its weights as a pickle: save it with save_pretrained, which "
            "writes safetensors, or load the .bin file with architecture=."
        )
    raise ModelError(
        f"The folder {path.name} holds no model: expected saved_model.pb, or config.json with "
        "safetensors, in it."
    )


def _recognise_archive(path: Path) -> str:
    with opened_archive(path) as archive:
        names = archive.namelist()
    if "config.json" in names and "metadata.json" in names:
        return "keras"
    inner = [name.partition("/")[2] for name in names]
    if "serialized_exported_program.json" in names or any(
        name.startswith("models/") or name == "archive_format" for name in (*inner, *names)
    ):
        return "torch-export"
    if "data.pkl" in inner:
        code = any(name.startswith("code/") for name in inner) or "constants.pkl" in inner
        return "torchscript" if code else "pickle"
    raise ModelError(f"{path.name} is a ZIP archive without a model in it: expected {KNOWN}.")


def _open(kind: str, path: Path, trust: bool, architecture: Callable[[], Any] | None) -> Opened:
    if kind in ("torchscript", "torch-export", "pickle", "safetensors"):
        from xai_widgets.models import torch_files

        if kind == "torchscript":
            return torch_files.open_torchscript(path, trust)
        if kind == "torch-export":
            return torch_files.open_exported(path, trust)
        if kind == "pickle":
            return torch_files.open_pickle(path, trust, architecture)
        return torch_files.open_safetensors(path, architecture)
    if kind == "transformers":
        return _open_transformers(path, architecture)
    if kind == "onnx":
        from xai_widgets.models.onnx_model import open_onnx

        return open_onnx(path, _mapped(path))
    from xai_widgets.models import tensorflow_files

    if kind == "keras":
        return tensorflow_files.open_keras(path, trust)
    if kind == "hdf5":
        return tensorflow_files.open_hdf5(path, trust, architecture)
    if kind == "savedmodel":
        return tensorflow_files.open_saved_model(path, trust)
    return tensorflow_files.open_graph(path, _mapped(path), trust)


def _open_transformers(path: Path, architecture: Callable[[], Any] | None) -> Opened:
    """Open a folder of ``save_pretrained``: safetensors only, no code from the folder."""
    if architecture is not None:
        from xai_widgets.models.torch_files import open_safetensors

        files = sorted(path.glob("*.safetensors"))
        if len(files) != 1:
            raise ModelError(f"{path.name} holds {len(files)} safetensors files: give one of them.")
        return open_safetensors(files[0], architecture)
    transformers = need("transformers", f"The folder {path.name}")
    with sentence(ModelError, f"{path.name} cannot be opened as a model of transformers"):
        module = transformers.AutoModelForImageClassification.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    return Opened(module, "torch", carried=carried_beside(path))


def _mapped(path: Path) -> memoryview:
    """Return a file's content without reading all of it."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _suffixes_of_others(kind: str) -> set[str]:
    """Return the suffixes that promise something else than what a file holds."""
    return {
        suffix
        for other, suffixes in SUFFIXES.items()
        if other != kind
        for suffix in suffixes
        if suffix not in SUFFIXES.get(kind, ())
    }
