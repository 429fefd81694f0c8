"""`load`: one way in for every model; the same model always gets the same adapter."""

import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from xai_widgets.errors import ModelError
from xai_widgets.models.adapters import adapted
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.carried import are_weights, labels_of_weights
from xai_widgets.models.files import open_file
from xai_widgets.models.opened import Opened
from xai_widgets.models.preprocessing import preprocessing_from


class _Registry:
    """Adapters by the identity of the user's model, alive as long as somebody uses them.

    An adapter holds its model, so an entry's identity cannot be taken by another model. Files are
    known by path, time and size, so that a file that was written anew is opened anew.
    """

    def __init__(self) -> None:
        self._adapters: weakref.WeakValueDictionary[tuple[int, Hashable], ExplainableModel] = (
            weakref.WeakValueDictionary()
        )
        self._files: weakref.WeakValueDictionary[Hashable, ExplainableModel] = (
            weakref.WeakValueDictionary()
        )
        self.lock = threading.RLock()

    def find(self, source: Any, options: Hashable = None) -> ExplainableModel | None:
        """Return the adapter made with the same options, or any where ``options`` is None."""
        for (identity, made_with), adapter in list(self._adapters.items()):
            if identity == id(source) and options in (None, made_with):
                return adapter
        return None

    def add(self, source: Any, options: Hashable, adapter: ExplainableModel) -> None:
        """Remember an adapter without keeping it alive."""
        self._adapters[(id(source), options)] = adapter

    def find_file(self, stamp: Hashable) -> ExplainableModel | None:
        """Return an adapter of a file that was opened before."""
        return self._files.get(stamp)

    def add_file(self, stamp: Hashable, adapter: ExplainableModel) -> None:
        """Remember what a file was opened as, without keeping it alive."""
        self._files[stamp] = adapter


_registry = _Registry()


def load(
    source: Any,
    labels: Sequence[str] | None = None,
    preprocessing: Any = None,
    input_size: int | tuple[int, int] | None = None,
    device: str | None = None,
    trust: bool = False,
    architecture: Callable[[], Any] | None = None,
    output: str | int | None = None,
    task: str | None = None,
) -> ExplainableModel:
    """Make anything that predicts explainable.

    Loading is idempotent: the same model with the same options gives the same object, and
    without options the one that exists already, so that worker, lock and cache are shared.

    Parameters
    ----------
    source
        A ``torch.nn.Module`` on images [N, C, H, W] that returns scores [N, K], or dense ones
        [N, K, h, w], or a tuple, dict or ModelOutput that contains them; TorchScript; a
        ``torch.export`` program; a Keras model on images [N, H, W, C]; a loaded SavedModel; an
        onnxruntime session; a TensorFlow GraphDef; the path of a file or folder with any of these,
        recognised by its content; or an `ExplainableModel`, which is returned as it is.
    labels
        Names of the K outputs; else what the model carries.
    preprocessing
        A `Preprocessing`, a dict of its fields (size, mean, std, value_range, channels, resize,
        crop_fraction), a callable from a PIL image to an array [C, H, W], or torchvision's weights;
        else what the model carries; else uint8 / 255.
    input_size
        Side, or (height, width), of the input in pixels where preprocessing does not say it.
    device
        "cpu", "cuda", "mps" ...; else where the model is. On another device a copy is used.
    trust
        Let code inside of a file run; recorded in the model's provenance. A model that is in memory
        already needs no trust.
    architecture
        For a file that holds weights alone: a function that returns the module they belong to.
    output
        For a Keras or PyTorch model: name or position of the output to explain where there are
        several; for Keras also "logits" for what its last softmax is applied to.
    task
        "classification", "segmentation" or "regression"; else dense outputs are a segmentation, a
        single score per image is a regression, several are a classification.

    Returns
    -------
    ExplainableModel
        The model behind one contract; the original is never changed.

    Raises
    ------
    ModelError
        If the source is no model, cannot be read, or its forward pass fails or returns no scores.
    TrustError
        If a file holds code that loading would run, and ``trust`` is not set.
    DependencyError
        If a package that the model needs is not installed.
    PreprocessingError
        If preprocessing has an unknown form or field.
    """
    if isinstance(source, ExplainableModel):
        given = (labels, preprocessing, input_size, device, output, task)
        if all(option is None for option in given):
            return source
        if preprocessing is None and input_size is None:
            preprocessing = source.preprocess
        labels = source.labels if labels is None else labels
        source = source.source
    if are_weights(preprocessing):
        labels = labels_of_weights(preprocessing) if labels is None else labels
        preprocessing = preprocessing.transforms()
    if labels is not None and not isinstance(labels, Iterable):
        raise ModelError(f"labels is {labels!r}: give a list with one name per output.")
    options: dict[str, Any] = {
        "labels": None if labels is None else tuple(str(label) for label in labels),
        "preprocess": None if preprocessing is None else preprocessing_from(preprocessing),
        "input_size": (input_size, input_size) if isinstance(input_size, int) else input_size,
        "device": device,
        "output": output,
        "task": task,
    }
    with _registry.lock:
        if not isinstance(source, str | os.PathLike):
            return _load(source, options)
        path = Path(source).expanduser()
        stamp = _stamp(path, trust, architecture)
        known = _registry.find_file(stamp)
        if known is not None:
            return _load(known.source, options)
        opened = open_file(path, trust, architecture)
        adapter = _load(opened.source, options, opened)
        _registry.add_file(stamp, adapter)
        return adapter


def _load(source: Any, options: dict[str, Any], opened: Opened | None = None) -> ExplainableModel:
    """Return the adapter of a model object, an existing one where the options are the same."""
    key = tuple(options.values())
    known = _registry.find(source, key if any(value is not None for value in key) else None)
    if known is not None:
        return known
    sibling = _registry.find(source)
    if opened is None and sibling is not None:
        opened = sibling.opened
    lock = None if sibling is None else sibling.lock
    adapter = adapted(source, opened, **options, lock=lock)
    adapter.opened = opened
    if opened is not None:
        adapter.format = adapter.format if opened.format == "torch" else opened.format
        adapter.trusted = opened.trusted
        adapter.findings = (*opened.notes, *adapter.findings)
    _registry.add(source, key, adapter)
    return adapter


def _stamp(path: Path, trust: bool, architecture: Any) -> Hashable:
    """Return what changes whenever a file is written, or opened in another way."""
    try:
        files = [path, *path.glob("*"), *path.glob("variables/*")]
        states = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        states = ()
    return (str(path.absolute()), states, trust, architecture)
