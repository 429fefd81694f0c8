"""`InferenceModel`: models that predict and can never be explained by gradients."""

import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from xai_widgets.errors import ImageError, ModelError
from xai_widgets.models.base import ExplainableModel, Lock
from xai_widgets.models.choosing import Size, are_probabilities, choose_input, choose_labels
from xai_widgets.models.numpy_backend import Floats, NumpyBackend
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.primitives import Capabilities

NOT_SEEN = (
    "input_gradients",
    "feature_maps",
    "layer_gradients",
    "relu",
    "rescale",
    "attention",
    "patches",
    "weights",
)
"""What no model has that only predicts."""


class InferenceModel(ExplainableModel):
    """A model without an autograd graph: it predicts everywhere, and says why it is not explained.

    A subclass opens its source, says what it knows of the input, calls this constructor, and
    implements `infer` and `versions`.

    Parameters
    ----------
    source
        The user's own model object.
    why
        One sentence: why there are no gradients, and what to do instead.
    digest
        SHA-256 over the weights, which never change.
    labels, preprocess, input_size, lock
        As in `load`.
    own_labels, own_size, channels
        What the model says of itself.
    notes
        Sentences on what was assumed so far.

    Raises
    ------
    ModelError
        If the model accepts no image or does not return scores [N, K].
    """

    backend: NumpyBackend

    def __init__(
        self,
        source: Any,
        why: str,
        digest: str,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: Size | None = None,
        lock: Lock | None = None,
        *,
        own_labels: Sequence[str] | None = None,
        own_size: Size | None = None,
        channels: Sequence[int] = (3, 1),
        notes: Sequence[str] = (),
    ) -> None:
        self._source = source
        self._why = why
        self._digest = digest
        self.lock = lock or threading.RLock()
        self.backend = NumpyBackend()
        found = list(notes)
        with self.lock:
            self.preprocess, probe = choose_input(
                self._scores, preprocess, input_size, own_size, channels, found
            )
            scores = self._scores(probe)
        self.input_shape = (int(probe.shape[1]), int(probe.shape[2]), int(probe.shape[3]))
        self.labels = choose_labels(labels, own_labels, int(scores.shape[1]), found)
        self.outputs_probabilities = are_probabilities(scores)
        self.layers = ()
        self.capabilities = Capabilities(dict.fromkeys(NOT_SEEN, why))
        self.findings = tuple(found)

    @abstractmethod
    def infer(self, images: Values) -> Any:
        """Return what the model returns for float32 images [N, H, W, C], as a NumPy array.

        Raises
        ------
        ModelError
            If the model cannot take them.
        """

    def _scores(self, images: Values) -> Floats:
        output = np.asarray(self.infer(images))
        if output.ndim != 2 or len(output) != len(images):
            raise ModelError(
                f"{self.name} returned shape {list(output.shape)} for {len(images)} image"
                f"{'s' if len(images) > 1 else ''}: expected scores [{len(images)}, K]."
            )
        if not np.issubdtype(output.dtype, np.floating):
            raise ModelError(
                f"{self.name} returned {output.dtype} values: expected scores, not class numbers."
            )
        return output.astype(np.float32)

    def scores(self, images: Any) -> Floats:
        """Return scores [N, K] of images [N, H, W, C], computed in chunks."""
        batch = self.backend.asarray(images)
        if batch.ndim != 4 or len(batch) == 0:
            raise ImageError(
                f"The model input has shape {list(batch.shape)}: expected [N, H, W, C], N >= 1."
            )
        size = self.chunk_size
        with self.lock:
            chunks = [self._scores(batch[i : i + size]) for i in range(0, len(batch), size)]
        return np.concatenate(chunks)

    def gradients(
        self,
        images: Any,
        target: Any,
        weights: Any = None,
        rule: str | None = None,
        layer: str | None = None,
    ) -> NoReturn:
        """Raise `ModelError` with the reason why there are no gradients."""
        raise ModelError(self._why)

    def forward_pass(self, image: Any) -> NoReturn:
        """Raise `ModelError` with the reason why there are no gradients."""
        raise ModelError(self._why)

    @property
    def source(self) -> Any:
        """The user's own model object."""
        return self._source

    @property
    def fingerprint(self) -> str:
        """The weights' hash: they never change."""
        return self._digest

    @property
    def weight_hash(self) -> str:
        """SHA-256 over the weights, in the file or graph that holds them."""
        return self._digest

    @property
    def chunk_size(self) -> int:
        """8 images of 224 x 224 at once, more of smaller ones, at most 64."""
        height, width, _ = self.input_shape
        return int(np.clip(8 * 224 * 224 // (height * width), 1, 64))
