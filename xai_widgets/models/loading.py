"""`load`: one way in for every model; the same model always gets the same adapter."""

import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from xai_widgets.errors import ModelError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.preprocessing import preprocessing_from


class _Registry:
    """Adapters by the identity of the user's model, alive as long as somebody uses them.

    An adapter holds its model, so an entry's identity cannot be taken by another model.
    """

    def __init__(self) -> None:
        self._adapters: weakref.WeakValueDictionary[tuple[int, Hashable], ExplainableModel] = (
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
) -> ExplainableModel:
    """Make anything that predicts explainable.

    Loading is idempotent: the same model with the same options gives the same object, and
    without options the one that exists already, so that worker, lock and cache are shared.

    Parameters
    ----------
    source
        A ``torch.nn.Module`` on images [N, C, H, W] that returns scores [N, K], or a tuple, dict or
        ModelOutput that contains them; a Keras model on images [N, H, W, C]; or an
        `ExplainableModel`, which is returned as it is.
    labels
        Names of the K outputs; else what the model carries.
    preprocessing
        A `Preprocessing`, a dict of its fields (size, mean, std, value_range, channels, resize,
        crop_fraction), or a callable from a PIL image to an array [C, H, W]; else uint8 / 255.
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
        For a Keras model: name or position of the output to explain where there are several, or
        "logits" for what its last softmax is applied to.

    Returns
    -------
    ExplainableModel
        The model behind one contract; the original is never changed.

    Raises
    ------
    ModelError
        If the source is no model, or its forward pass fails or returns no scores.
    PreprocessingError
        If preprocessing has an unknown form or field.
    """
    if isinstance(source, ExplainableModel):
        if all(given is None for given in (labels, preprocessing, input_size, device, output)):
            return source
        if preprocessing is None and input_size is None:
            preprocessing = source.preprocess
        labels = source.labels if labels is None else labels
        source = source.source
    options: dict[str, Any] = {
        "labels": None if labels is None else tuple(str(label) for label in labels),
        "preprocess": None if preprocessing is None else preprocessing_from(preprocessing),
        "input_size": (input_size, input_size) if isinstance(input_size, int) else input_size,
        "device": device,
        "output": output,
    }
    key = tuple(options.values())
    with _registry.lock:
        known = _registry.find(source, key if any(value is not None for value in key) else None)
        if known is not None:
            return known
        sibling = _registry.find(source)
        adapter = _adapt(source, **options, lock=None if sibling is None else sibling.lock)
        _registry.add(source, key, adapter)
        return adapter


def _adapt(source: Any, output: str | int | None = None, **options: Any) -> ExplainableModel:
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(source, keras.Model):
        from xai_widgets.models.keras_model import KerasModel

        return KerasModel(source, **options, output=output)
    if output is not None:
        raise ModelError("output= chooses among the outputs of a Keras model: leave it away here.")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(source, torch.nn.Module):
        from xai_widgets.models.torch_model import TorchModel

        return TorchModel(source, **options)
    raise ModelError(
        f"A {type(source).__name__} is not a model that can be loaded: give a torch.nn.Module that "
        "maps images [N, C, H, W] to scores [N, K]."
    )
