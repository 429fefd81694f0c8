"""`ExplainableModel`: the only thing explainers see of a model, whatever its framework."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import LayerError, ModelError, TargetError, XaiError, near_matches
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.images import DisplayImage, open_image
from xai_widgets.models.preprocessing import Placement, Preprocess, Values
from xai_widgets.models.targets import RegionTarget, Target, placed_mask, resolve_target

if TYPE_CHECKING:
    from xai_widgets.models.attention import AttentionPass
    from xai_widgets.models.opened import Opened
    from xai_widgets.models.readiness.trace import Trace

Lock = AbstractContextManager[Any]
"""A re-entrant lock, used with ``with`` alone."""


@dataclass(frozen=True)
class Grid:
    """Where the tokens of a transformer lie: ``prefix`` of them (CLS, registers), then patches.

    Attributes
    ----------
    rows, columns
        Of the patch grid, row by row from the top left.
    prefix
        How many tokens come before the patches.
    """

    rows: int
    columns: int
    prefix: int = 0

    @property
    def patches(self) -> slice:
        """The positions of the patches among the tokens."""
        return slice(self.prefix, self.prefix + self.rows * self.columns)


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
    grid
        Where the tokens lie on the picture; None for feature maps, and for tokens without a grid.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    main: bool = False
    recommended: bool = False
    grid: Grid | None = None

    @property
    def resolution(self) -> tuple[int, int] | None:
        """(rows, columns) of a feature map or of a token grid; None where there is neither."""
        if self.grid is not None:
            return self.grid.rows, self.grid.columns
        return (self.shape[0], self.shape[1]) if len(self.shape) == 3 else None

    @property
    def spatial(self) -> bool:
        """True if the output has more than one position on the picture."""
        return self.resolution is not None and self.resolution[0] * self.resolution[1] > 1

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
        [N, H, W, C] (or what the layer returns), without N where per-sample weights reduced them.
    scores
        The target's score per sample, [N].
    outputs
        What the target was made from: the model's output, so that other scores cost no pass of
        their own. None where it is not at hand.
    """

    values: Array
    scores: Array
    outputs: Array | None = None


class ForwardPass(ABC):
    """One retained forward pass of one image: any target, any layer, without a new forward."""

    scores: npt.NDArray[np.float32]
    """Scores of the image, float32 [K]."""

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """What the model returns for the image, float32 [K], or dense [H, W, K]."""
        return self.scores

    def start_at(self, layer: str | None) -> None:  # noqa: B027
        """Prepare for gradients at a layer, or at the input for None; a hint that saves work."""

    @abstractmethod
    def activation(self, layer: str) -> Array:
        """Return the output of a layer, [1, H, W, C], or [1, T, D] for tokens."""

    @abstractmethod
    def gradient(self, target: Target, layer: str | None = None) -> Array:
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
        What the model lacks for explainers: "input_gradients", "feature_maps" (a layer with
        positions on the picture), "layer_gradients", "relu" (an activation that guided rules apply
        to), "attention" (over the whole picture), "patches" (a token embedding), "weights" (that
        can be exchanged for a while).
    incomplete
        Operations for which the rescale rule has no exact form, by name.
    task
        "classification", "segmentation" (dense outputs [N, H, W, K]) or "regression".
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
    incomplete: tuple[str, ...] = ()
    task: str = "classification"

    # What an adapter implements -----------------------------------------------------------

    @abstractmethod
    def scores(self, images: Array) -> Array:
        """Return scores [N, K] of images [N, H, W, C], in chunks; spatial means of dense ones."""

    @abstractmethod
    def gradients(
        self,
        images: Array,
        target: Target,
        weights: Array | None = None,
        rule: str | None = None,
        layer: str | None = None,
    ) -> Gradients:
        """Return the gradient of a target's score with respect to the images, or a layer.

        Parameters
        ----------
        images
            [N, H, W, C] in the model's value range; all N pass through the model at once.
        target
            A resolved target.
        weights
            [N]: return the weighted sum over the samples, [H, W, C], reduced on the device, so
            that path methods move one map and not N.
        rule
            How activations go backward: None as they are; "guided" and "deconvolution" for ReLUs;
            "rescale", DeepLIFT's: N is even, the second half of the images are the references of
            the first, and the values are the first half's multipliers, [N / 2, H, W, C].
        layer
            Return the gradient with respect to this layer's output.

        Raises
        ------
        ModelError
            If there is no gradient, or the model has nothing that the rule applies to.
        """

    @abstractmethod
    def forward_pass(self, image: PreparedImage) -> ForwardPass:
        """Return a retained forward pass, the same one as long as image and weights are the same.

        Its memory is capped: a pass larger than the cap is not kept after use.
        """

    def outputs(self, images: Array) -> Array:
        """Return what the model returns, in chunks: [N, K], or dense [N, H, W, K]."""
        return self.scores(images)

    def activations(self, images: Array, layer: str) -> Array:
        """Return a layer's output for images [N, H, W, C], in chunks: [N, H, W, C] or [N, T, D].

        Raises
        ------
        LayerError
            If the layer cannot be reached.
        """
        raise LayerError(f"{self.name} shows no layers: choose a method that needs no layer.")

    def attention(self, image: PreparedImage) -> "AttentionPass":
        """Return the attention of every head and layer in one forward pass of an image.

        Raises
        ------
        ModelError
            If the model has no attention that can be seen.
        """
        raise ModelError(f"{self.name} has no attention that can be seen: choose another method.")

    def changed_weights(
        self, change: Callable[[str, npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    ) -> AbstractContextManager[None]:
        """Use other weights for a while; the user's own are back afterwards, bit by bit.

        Parameters
        ----------
        change
            Gets the name and the value of each trainable array of weights, in the order of the
            architecture, and returns the value to use instead.

        Raises
        ------
        ModelError
            If the weights cannot be exchanged.
        """
        raise ModelError(
            f"The weights of {self.name} cannot be exchanged: load the original model."
        )

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
        return len(self.labels) > 1 and self.task != "regression"

    @property
    def patch_layer(self) -> str | None:
        """The first layer that returns a token per patch; None where there are no tokens."""
        return next((layer.name for layer in self.layers if layer.grid is not None), None)

    def layer(self, name: str) -> Layer:
        """Return the entry of a layer that exists."""
        return next(layer for layer in self.layers if layer.name == name)

    def feature_map(self, layer: str, array: Array) -> Array:
        """Arrange a layer's activations or gradients on the picture: [N, H, W, C].

        Tokens [N, T, D] become [N, rows, columns, D] without CLS and registers.

        Raises
        ------
        LayerError
            If the layer has no positions on the picture.
        """
        grid = self.layer(layer).grid
        if len(array.shape) == 4:
            return array
        if grid is None or len(array.shape) != 3:
            raise LayerError(
                f"The output of layer {layer!r} is no feature map: choose a layer with height, "
                "width and channels, or with a token per patch."
            )
        n, width = int(array.shape[0]), int(array.shape[2])
        return self.backend.reshape(array[:, grid.patches], (n, grid.rows, grid.columns, width))

    def target_scores(self, images: Array, target: Target) -> Array:
        """Return a target's scores [N] of images [N, H, W, C], in chunks."""
        if target.layer is not None:
            return target(self.activations(images, target.layer), self.backend)
        return target(self.outputs(images), self.backend)

    def target_score(self, forward: ForwardPass, target: Target) -> float:
        """Return a target's score of a retained forward pass."""
        if target.layer is not None:
            value = target(forward.activation(target.layer), self.backend)
        else:
            value = target(self.backend.asarray(forward.outputs[None]), self.backend)
        return float(self.backend.to_numpy(value)[0])

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

    def resolve_target(
        self,
        target: Any,
        outputs: npt.NDArray[np.float32],
        image: PreparedImage | None = None,
    ) -> Target:
        """Return the target with class positions, regions on the grid of the output.

        Parameters
        ----------
        target
            What the user wrote; None becomes the predicted class.
        outputs
            What the model returns for the image, [K] or dense [H, W, K].
        image
            The image, for regions.

        Raises
        ------
        TargetError
            If a class or layer does not exist, or a region does not fit.
        """
        resolved = resolve_target(target, self.labels, self.predicted_class(outputs))
        if resolved.layer is not None:
            self.resolve_layer(resolved.layer)
        if not isinstance(resolved, RegionTarget):
            return resolved
        if outputs.ndim != 3:
            raise TargetError(
                f"{self.name} gives one score per picture and class: a region can be explained "
                "only where there is a score per pixel, as in segmentation. Choose a class."
            )
        size = outputs.shape[:2]
        if image is None or image.display.pixels.shape[:2] != resolved.mask.shape:
            given = list(resolved.mask.shape)
            raise TargetError(f"The region's mask is {given}: give one of the picture's size.")
        mask = placed_mask(resolved.mask, image.placement, (size[0], size[1]))
        return replace(resolved, mask=mask)

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

    def describe(self) -> dict[str, Any]:
        """Return what identifies model and preprocessing, for provenance."""
        return {
            "class": self.name,
            "framework": self.framework,
            "format": self.format,
            "task": self.task,
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


def area_shares(outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the share of positions that each class wins in dense outputs [H, W, K]."""
    winners = outputs.reshape(-1, outputs.shape[-1]).argmax(axis=1)
    counts = np.bincount(winners, minlength=outputs.shape[-1])
    return np.asarray(counts / len(winners), dtype=np.float32)


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
