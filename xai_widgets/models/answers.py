"""What a model's outputs say to people: predicted classes, probabilities, shares of the picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.primitives import PreparedImage


class Answers:
    """The part of `ExplainableModel` that reads outputs [N, K] or dense [N, H, W, K].

    Attributes
    ----------
    labels
        The K names of the outputs.
    task
        "classification", "segmentation" or "regression".
    outputs_probabilities
        True if the outputs of a classifier are probabilities already.
    """

    backend: Backend
    labels: tuple[str, ...]
    task: str = "classification"
    outputs_probabilities: bool = False

    def outputs(self, images: Array) -> Array:
        """Return what the model returns, in chunks: [N, K], or dense [N, H, W, K]."""
        raise NotImplementedError

    def prepare(self, image: Any, name: str | None = None) -> PreparedImage:
        """Open an image of any kind and make the model input from it."""
        raise NotImplementedError

    @property
    def is_classifier(self) -> bool:
        """True if the output is one score per class, two classes at least."""
        return len(self.labels) > 1 and self.task != "regression"

    def predicted_class(self, outputs: npt.NDArray[np.float32]) -> int:
        """Return the class with the highest score [K]; the one with most pixels of dense [H, W, K].

        A first class called "background" is nobody's question, unless it is everywhere.
        """
        if outputs.ndim == 1:
            return int(np.argmax(outputs))
        shares = area_shares(outputs)
        if self.labels[0].lower() == "background" and shares[1:].any():
            return 1 + int(np.argmax(shares[1:]))
        return int(np.argmax(shares))

    def class_scores(self, outputs: Array) -> Array:
        """Return scores [N, K] of outputs [N, K] or dense [N, H, W, K]: their spatial means."""
        return outputs if len(outputs.shape) == 2 else self.backend.mean(outputs, (1, 2))

    def probabilities(self, outputs: Array) -> npt.NDArray[np.float32] | None:
        """Return probabilities [N, K] of outputs [N, K]; None where the model is no classifier.

        Of dense outputs [N, H, W, K]: the share of the pixels that each class gets.
        """
        if not self.is_classifier:
            return None
        if len(outputs.shape) == 4:
            return np.stack([area_shares(image) for image in self.backend.to_numpy(outputs)])
        if self.outputs_probabilities:
            return self.backend.to_numpy(outputs)
        return self.backend.to_numpy(self.backend.softmax(self.backend.asarray(outputs)))

    def predict(self, images: Sequence[Any] | Any) -> list[dict[str, Any]]:
        """Return the predictions for images of any kind.

        Returns
        -------
        list of dict
            A record an image: "label", "probability" (None if no classifier), "scores" [K].
        """
        from xai_widgets.models.images import ImageSet

        values = np.stack([self.prepare(image).values for image in ImageSet(images)])
        outputs = self.outputs(values)
        probabilities = self.probabilities(outputs)
        scores = self.backend.to_numpy(self.class_scores(outputs))
        records = []
        for i, row in enumerate(scores):
            best = self.predicted_class(self.backend.to_numpy(outputs[i]))
            probability = None if probabilities is None else float(probabilities[i, best])
            records.append({"label": self.labels[best], "probability": probability, "scores": row})
        return records


def area_shares(outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the share of positions that each class wins in dense outputs [H, W, K]."""
    winners = outputs.reshape(-1, outputs.shape[-1]).argmax(axis=1)
    counts = np.bincount(winners, minlength=outputs.shape[-1])
    return np.asarray(counts / len(winners), dtype=np.float32)
