"""`ExplainableModel`: the only thing explainers see of a model, whatever its framework."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import LayerError, XaiError, near_matches
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.images import DisplayImage, open_image
from xai_widgets.models.preprocessing import Placement, Preprocess, Values
from xai_widgets.models.targets import ClassTarget, resolve_target

if TYPE_CHECKING:
    from xai_widgets.models.opened import Opened
    from xai_widgets.models.readiness.trace import Trace

Lock = AbstractContextManager[Any]
"""A re-entrant lock, used with ``with`` alone."""


@dataclass(frozen=True)
class Layer:
    """One entry of a model's architecture, in the order of the forward pass.

    Attributes
    ----------
    name
        Path of the layer, as the framework spells it.
    kind
        Class name of the layer.
    shape
        Output shape without the batch axis: (H, W, C) for feature maps, (T, D) for tokens.
    main
        True for the last layer at each resolution, which is what people mostly look at.
    recommended
        True for the layer that CAM methods should use unless told otherwise.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    main: bool = False
    recommended: bool = False

    @property
    def spatial(self) -> bool:
        """True if the output is a feature map with more than one position."""
        return len(self.shape) == 3 and self.shape[0] * self.shape[1] > 1

    @property
    def depth(self) -> int:
        """How deeply the layer is nested in others."""
        return self.name.count(".") + self.name.count("/")


@dataclass(frozen=True)
class Capabilities:
    """What a model can do for an explainer; each lack carries the sentence that a user reads."""

    lacks: dict[str, str] = field(default_factory=dict)

    def reason(self, needs: Sequence[str]) -> str | None:
        """Return why something needed is missing, or None if nothing is."""
        return next((self.lacks[need] for need in needs if need in self.lacks), None)


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """A picture together with the model input made from it.

    Attributes
    ----------
    display
        The picture, uint8 [H, W, 3].
    values
        The model input, float32 [h, w, C], in the model's own value range.
    placement
        Where the input grid lies on the picture, in display pixels.
    """

    display: DisplayImage
    values: Values
    placement: Placement

    @cached_property
    def key(self) -> str:
        """A hash of the model input."""
        digest = hashlib.blake2b(str(self.values.shape).encode(), digest_size=16)
        digest.update(self.values.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of a target, with the scores of the same forward pass.

    Attributes
    ----------
    values
        [N, H, W, C], or [H, W, C] where per-sample weights reduced them.
    scores
        The target's score per sample, [N].
    """

    values: Array
    scores: Array


class ForwardPass(ABC):
    """One retained forward pass of one image: any target, any layer, without a new forward."""

    scores: npt.NDArray[np.float32]
    """Scores of the image, float32 [K]."""

    def start_at(self, layer: str | None) -> None:  # noqa: B027
        """Prepare for gradients at a layer, or at the input for None; a hint that saves work."""

    @abstractmethod
    def activation(self, layer: str) -> Array:
        """Return the output of a layer, [1, H, W, C]."""

    @abstractmethod
    def gradient(self, target: ClassTarget, layer: str | None = None) -> Array:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""


class ExplainableModel(ABC):
    """A model behind one contract: images [N, H, W, C] in, scores and gradients out.

    Arrays given to it may be NumPy float32 or of its own framework; it returns arrays of its
    own framework, and `backend` turns them into NumPy. After any call, failed or cancelled ones
    included, the user's model has the weights, buffers, flags, hooks and gradients of before.

    Attributes
    ----------
    name
        Class name of the model.
    framework
        "torch", "tensorflow", "onnxruntime" ...
    format
        What the model came as, a name of `xai_widgets.models.formats.FORMATS`.
    trusted
        True if code inside of the model's file was allowed to run by ``load(..., trust=True)``.
    opened
        What the model's file held; None for a model that came as an object.
    backend
        The array operations on the model's device.
    labels
        The K names of the outputs.
    preprocess
        From a display image to the input.
    input_shape
        (H, W, C) of the input that was tried at loading.
    layers
        The architecture in the order of the forward pass.
    capabilities
        What the model lacks for explainers.
    findings
        Sentences on what was assumed while loading.
    lock
        Held during every use of the model.
    """

    name: str
    framework: str
    format: str = "torch"
    trusted: bool = False
    opened: "Opened | None" = None
    backend: Backend
    labels: tuple[str, ...]
    preprocess: Preprocess
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    capabilities: Capabilities
    findings: tuple[str, ...]
    lock: Lock
    outputs_probabilities: bool = False

    # What an adapter implements -----------------------------------------------------------

    @abstractmethod
    def scores(self, images: Array) -> Array:
        """Return scores [N, K] of images [N, H, W, C], computed in chunks."""

    @abstractmethod
    def gradients(
        self, images: Array, target: ClassTarget, weights: Array | None = None
    ) -> Gradients:
        """Return the gradient of a target's score with respect to the images.

        Parameters
        ----------
        images
            [N, H, W, C] in the model's value range; all N pass through the model at once.
        target
            A resolved target.
        weights
            [N]: return the weighted sum over the samples, [H, W, C], reduced on the device, so
            that path methods move one map and not N.
        """

    @abstractmethod
    def forward_pass(self, image: PreparedImage) -> ForwardPass:
        """Return a retained forward pass, the same one as long as image and weights are the same.

        Its memory is capped: a pass larger than the cap is not kept after use.
        """

    @property
    @abstractmethod
    def source(self) -> Any:
        """The user's own model object."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A cheap value that changes whenever the weights do."""

    @property
    @abstractmethod
    def weight_hash(self) -> str:
        """SHA-256 over names, shapes and values of all weights and buffers."""

    @property
    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Versions of the framework's libraries, for provenance."""

    @property
    @abstractmethod
    def chunk_size(self) -> int:
        """How many images pass through the model at once, by the size of its input."""

    # What all adapters share --------------------------------------------------------------

    @property
    def is_classifier(self) -> bool:
        """True if the output is one score per class, two classes at least."""
        return len(self.labels) > 1

    @property
    def recommended_layer(self) -> str | None:
        """The layer that CAM methods use unless told otherwise; None if there is no feature map."""
        return next((layer.name for layer in self.layers if layer.recommended), None)

    def prepare(self, image: Any, name: str | None = None) -> PreparedImage:
        """Open an image of any kind and make the model input from it.

        Raises
        ------
        ImageError, PreprocessingError
            If the image cannot be opened, or does not become the input the model expects.
        """
        if isinstance(image, PreparedImage):
            return image
        display = open_image(image, name)
        values, placement = self.preprocess(display)
        return PreparedImage(display, values, placement)

    def resolve_layer(self, layer: str | None) -> str:
        """Return a layer's name after checking it, the recommended one for None.

        Raises
        ------
        LayerError
            If the layer does not exist (with near matches), or the model has no feature map.
        """
        names = [entry.name for entry in self.layers]
        if layer is None:
            if self.recommended_layer is None:
                raise LayerError(
                    f"{self.name} has no layer whose output is a feature map: "
                    "choose a method that needs no layer."
                )
            return self.recommended_layer
        if layer not in names:
            raise LayerError(f"There is no layer {layer!r}.{near_matches(str(layer), names)}")
        return layer

    def resolve_target(self, target: Any, scores: npt.NDArray[np.float32]) -> ClassTarget:
        """Return the target with class positions; None becomes the class predicted by scores [K].

        Raises
        ------
        TargetError
            If a class does not exist.
        """
        return resolve_target(target, self.labels, int(np.argmax(scores)))

    def probabilities(self, scores: Array) -> npt.NDArray[np.float32] | None:
        """Return probabilities [N, K] of scores [N, K]; None where the model is no classifier."""
        if not self.is_classifier:
            return None
        if self.outputs_probabilities:
            return self.backend.to_numpy(scores)
        return self.backend.to_numpy(self.backend.softmax(self.backend.asarray(scores)))

    def predict(self, images: Sequence[Any] | Any) -> list[dict[str, Any]]:
        """Return the predictions for images of any kind.

        Returns
        -------
        list of dict
            A record an image: "label", "probability" (None if no classifier), "scores" [K].
        """
        from xai_widgets.models.images import ImageSet

        values = np.stack([self.prepare(image).values for image in ImageSet(images)])
        scores = self.scores(values)
        probabilities = self.probabilities(scores)
        records = []
        for i, row in enumerate(self.backend.to_numpy(scores)):
            best = int(np.argmax(row))
            probability = None if probabilities is None else float(probabilities[i, best])
            records.append({"label": self.labels[best], "probability": probability, "scores": row})
        return records

    def describe(self) -> dict[str, Any]:
        """Return what identifies model and preprocessing, for provenance."""
        return {
            "class": self.name,
            "framework": self.framework,
            "format": self.format,
            "trusted": self.trusted,
            "weight_hash": self.weight_hash,
            "input_shape": list(self.input_shape),
            "preprocessing": self.preprocess.describe(),
        }

    def training_layers(self) -> tuple[str, ...]:
        """Return the layers that are in train mode and behave differently there."""
        return ()

    def scores_in_own_mode(self, images: Array) -> Array:
        """Return scores [N, K] in the mode the user's model is in, without changing it."""
        return self.scores(images)

    def trace(self, values: Any, gradients: bool = True, target: int | None = None) -> "Trace":
        """Return what one forward pass, and a backward pass to all layers, shows.

        Parameters
        ----------
        values
            [N, H, W, C]; the gradient is that of the first image's score.
        gradients
            Go backward too.
        target
            The class whose score is differentiated; else the predicted one.

        Returns
        -------
        Trace
            Without layers and gradients, unless the adapter can see them.
        """
        from xai_widgets.models.readiness.trace import Trace

        scores = self.backend.to_numpy(self.scores(values))
        return Trace(scores=scores, target=int(np.argmax(scores[0])) if target is None else target)

    def __repr__(self) -> str:
        """Return name, input and outputs."""
        height, width, channels = self.input_shape
        return (
            f"<{self.name} ({self.framework}), input {height} x {width} x {channels}, "
            f"{len(self.labels)} outputs, {len(self.layers)} layers>"
        )


@contextmanager
def sentence(error_type: type[XaiError], what: str) -> Iterator[None]:
    """Turn a framework's exception into one sentence, keeping the original as its cause."""
    try:
        yield
    except XaiError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise error_type(f"{what}: {reason[:400]}") from error
