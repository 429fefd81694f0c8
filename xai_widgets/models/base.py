"""`ExplainableModel`: the only thing explainers see of a model, whatever its framework."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ModelError, TargetError
from xai_widgets.models.answers import Answers
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.images import open_image
from xai_widgets.models.layered import Layered
from xai_widgets.models.preprocessing import Preprocess
from xai_widgets.models.primitives import Capabilities, ForwardPass, Gradients, PreparedImage
from xai_widgets.models.targets import RegionTarget, Target, placed_mask, resolve_target

if TYPE_CHECKING:
    from xai_widgets.models.attention import AttentionPass
    from xai_widgets.models.opened import Opened
    from xai_widgets.models.readiness.trace import Trace

Lock = AbstractContextManager[Any]
"""A re-entrant lock, used with ``with`` alone."""


class ExplainableModel(Answers, Layered, ABC):
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
    layers, vector_layers
        The architecture in the order of the forward pass; see `Layered`.
    capabilities
        What the model lacks for explainers: "input_gradients", "feature_maps" (a layer with
        positions on the picture), "layer_gradients", "relu" (an activation that guided rules apply
        to), "rescale" (activations whose backward pass can be replaced), "attention" (over the
        whole picture), "patches" (a token embedding), "weights" (that can be exchanged for a
        while).
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
    capabilities: Capabilities
    findings: tuple[str, ...]
    lock: Lock
    incomplete: tuple[str, ...] = ()

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
