"""Trained concept vectors with all that they rest on, as one safetensors file per test."""

import json
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import load, save

from xai_widgets.concepts.json_text import parse
from xai_widgets.concepts.layout import clean_name
from xai_widgets.errors import StoreError

FORMAT = "xai_widgets concept vectors"
VERSION = "1"
MAX_BYTES = 512_000_000
MAX_HEADER = 64_000_000
PACKAGES = ("numpy", "scikit-learn", "torch", "keras", "tensorflow", "tensorflow-cpu")

FINDINGS = frozenset({"target_text", "n_images", "note", "images"})
"""Keys of the details that say what a test found or looked at, and are no setting of it."""

Values = npt.NDArray[np.float32]
_HASH = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def library_versions() -> dict[str, str]:
    """Return the versions of Python, of xai_widgets, and of what computes, where installed."""
    versions = {"python": platform.python_version()}
    for name in ("xai-widgets", *PACKAGES):
        module = name.replace("-", "_")
        if name in ("torch", "keras") and module not in sys.modules:
            continue  # installed, but not what this was computed with
        if name.startswith("tensorflow") and "tensorflow" not in sys.modules:
            continue
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True, eq=False)
class Vectors:
    """What one test of concepts has trained and found.

    Attributes
    ----------
    vectors
        {(concept, layer): float32 [D]}.
    model_hash
        Of the model's weights; vectors mean nothing to another model.
    data_hash
        `ConceptStore.data_hash` of the concepts that were trained with.
    classifier
        "ridge", "mean_difference", "logistic" or "svm".
    preprocessing
        What was done to a picture before the model saw it, in words.
    records
        The records of `tcav`.
    arrays
        {name: array}: anything else worth keeping, such as derivatives.
    details
        Anything else that JSON can hold: settings of the test, and under the keys `FINDINGS` what
        is none.
    versions
        {library: version}; those of this program by default.
    created
        ISO 8601, UTC; now by default.
    """

    vectors: Mapping[tuple[str, str], Values]
    model_hash: str
    data_hash: str
    classifier: str = "ridge"
    preprocessing: str = ""
    records: tuple[dict[str, Any], ...] = ()
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=library_versions)
    created: str = field(
        default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    )

    @property
    def file_stem(self) -> str:
        """The name of its file without its ending: one per model as it was loaded, and settings.

        These are the classifier and all details but `FINDINGS`.
        """
        details = {key: self.details[key] for key in sorted(self.details.keys() - FINDINGS)}
        parts = [self.model_hash, self.preprocessing, self.classifier, _json(details)]
        digest = blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8)
        readable = re.sub(r"[^a-z0-9]+", "-", self.classifier.lower()).strip("-")[:20] or "vectors"
        return f"{readable}-{digest.hexdigest()}"

    def to_bytes(self) -> bytes:
        """Return the safetensors file.

        Raises
        ------
        StoreError
            If a vector is not finite or not flat, or the records are no JSON.
        """
        tensors: dict[str, npt.NDArray[Any]] = {}
        listed = []
        accuracies = {(r.get("concept"), r.get("layer")): r.get("accuracy") for r in self.records}
        for number, ((concept, layer), vector) in enumerate(self.vectors.items()):
            array = np.ascontiguousarray(vector, dtype=np.float32)
            if array.ndim != 1 or not array.size or not np.isfinite(array).all():
                raise StoreError(
                    f"The vector of {concept!r} at {layer!r} is not a flat list of finite numbers "
                    "and was not saved."
                )
            tensors[f"vector.{number}"] = array
            accuracy = accuracies.get((concept, layer))
            listed.append(
                {
                    "tensor": f"vector.{number}",
                    "concept": concept,
                    "layer": layer,
                    "accuracy": accuracy,
                }
            )
        names = []
        for number, (name, values) in enumerate(self.arrays.items()):
            tensors[f"array.{number}"] = np.ascontiguousarray(values)
            names.append({"tensor": f"array.{number}", "name": name})
        texts = {
            "format": FORMAT,
            "version": VERSION,
            "created": self.created,
            "model_hash": _clean_hash(self.model_hash, "model_hash"),
            "training_data_hash": _clean_hash(self.data_hash, "data_hash"),
            "classifier": self.classifier,
            "preprocessing": self.preprocessing,
            "vectors": _json(listed),
            "arrays": _json(names),
            "records": _json(list(self.records)),
            "details": _json(dict(self.details)),
            "library_versions": _json(dict(self.versions)),
        }
        return save(tensors, texts)


def from_bytes(data: bytes, what: str) -> Vectors:
    """Return the vectors of a safetensors file.

    Raises
    ------
    StoreError
        If it is damaged, or no file of vectors.
    """
    texts = _texts(data, what)
    if texts.get("format") != FORMAT:
        raise StoreError(f"{what} holds no concept vectors of xai_widgets.")
    if texts.get("version") != VERSION:
        raise StoreError(f"{what} was made by a newer version of xai_widgets: update xai_widgets.")
    try:
        tensors = load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(what) from error
    try:
        listed, names, records, details, versions = (
            parse(texts[key].encode(), what)
            for key in ("vectors", "arrays", "records", "details", "library_versions")
        )
        # `dict` takes pairs as well, and would make something of what is no record.
        forms = [isinstance(item, dict) for item in (*records, details, versions)]
        if not isinstance(records, list) or not all(forms):
            raise _damaged(what)
        vectors = {}
        for item in listed:
            vector = tensors[item["tensor"]]
            if vector.ndim != 1 or vector.dtype != np.float32 or not np.isfinite(vector).all():
                raise _damaged(what)
            vectors[clean_name(item["concept"]), str(item["layer"])[:1000]] = vector
        return Vectors(
            vectors=vectors,
            model_hash=_clean_hash(texts["model_hash"], "model_hash"),
            data_hash=_clean_hash(texts["training_data_hash"], "data_hash"),
            classifier=texts["classifier"],
            preprocessing=texts["preprocessing"],
            records=tuple(records),
            arrays={str(item["name"]): tensors[item["tensor"]] for item in names},
            details=details,
            versions={str(key): str(value) for key, value in versions.items()},
            created=texts["created"],
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise _damaged(what) from error


def _texts(data: bytes, what: str) -> dict[str, str]:
    """Return the metadata of a safetensors file without reading its tensors."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= min(MAX_HEADER, len(data) - 8):
        raise _damaged(what)
    header = parse(data[8 : 8 + size], what)
    texts = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise StoreError(f"{what} holds no concept vectors of xai_widgets.")
    return texts


def _damaged(what: str) -> StoreError:
    return StoreError(f"{what} is damaged and its vectors cannot be read: remove it, test again.")


def _clean_hash(value: str, name: str) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise StoreError(f"{str(value)[:40]!r} is no {name}: give the hash as text.")
    return value


def _json(value: Any) -> str:
    """Return JSON of plain values; NumPy numbers are taken as what they are."""
    try:
        return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, sort_keys=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"The results of the test cannot be kept as JSON: {error}.") from error


def _plain(value: Any) -> Any:
    """Turn NumPy numbers into Python's, and what is not finite into null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
