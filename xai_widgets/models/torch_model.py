"""PyTorch eager modules as `ExplainableModel`."""

import copy
import dataclasses
import hashlib
import itertools
import threading
from typing import Any

import numpy as np
import torch
from torch import nn

from xai_widgets.errors import ImageError, ModelError, XaiError
from xai_widgets.models.base import (
    Capabilities,
    ExplainableModel,
    Gradients,
    Lock,
    PreparedImage,
    sentence,
)
from xai_widgets.models.preprocessing import Preprocess, Preprocessing
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_forward import TorchForwardPass, differentiate
from xai_widgets.models.torch_layers import first_tensor, read_architecture
from xai_widgets.models.torch_state import autograd, evaluating, times_written

TRIED_SIZES = (224, 256, 299, 384, 128, 64, 32, 28)
RETAINED_BYTES = 2 * 1024**3


class TorchModel(ExplainableModel):
    """An ``nn.Module`` that maps [N, C, H, W] to scores [N, K].

    The module is used where it is, in eval mode for the duration of a call. Images are handed
    over as [N, H, W, C] and viewed as [N, C, H, W], which is PyTorch's channels_last memory
    format, so that nothing is copied.

    Parameters
    ----------
    module
        The model. Its output is a tensor, or a tuple, dict or transformers ModelOutput with one.
    labels
        Names of the K outputs; else the model's own (``config.id2label``), else "class 0" ...
    preprocess
        Else uint8 / 255, resized to ``input_size``.
    input_size
        (height, width); else what preprocessing or the model's config says, else the first of
        224, 256, 299, 384, 128, 64, 32, 28 that the model accepts.
    device
        Where to compute; on another device than the module's a copy of it is used.

    Raises
    ------
    ModelError
        If the forward pass fails or does not return scores [N, K].
    """

    framework = "torch"
    backend: TorchBackend

    def __init__(
        self,
        module: nn.Module,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: tuple[int, int] | None = None,
        device: str | None = None,
        lock: Lock | None = None,
    ) -> None:
        self._source = module
        self._module, own_device = _on_device(module, device)
        self._dtype = next((p.dtype for p in module.parameters()), torch.float32)
        self.name = type(module).__name__
        self.lock = lock or threading.RLock()
        self.backend = TorchBackend(own_device)
        self._retained: tuple[tuple[str, str], TorchForwardPass] | None = None
        self._hashed: tuple[str, str] | None = None
        self._moving_buffers: list[torch.Tensor] = list(self._module.buffers())
        self._draws_random = self._writes_input = True
        self._parts = dict(self._module.named_modules())
        notes: list[str] = []
        with self.lock:
            self.preprocess, probe = self._choose_input(preprocess, input_size, notes)
            self.input_shape = (int(probe.shape[1]), int(probe.shape[2]), int(probe.shape[3]))
            self._find_side_effects(probe)
            self._architecture = read_architecture(self._module, self._predict, probe)
            scores = self._run(probe, False)
        self.layers = self._architecture.layers
        self.labels = _labels(labels, module, int(scores.shape[1]), notes)
        self.outputs_probabilities = _looks_like_probabilities(scores)
        if self.outputs_probabilities and self.is_classifier:
            notes.append(
                "The model returns probabilities, not logits: gradients of a saturated softmax "
                "vanish, so explain the model without its last softmax where you can."
            )
        if any(part.training for part in module.modules()):
            notes.append("The model was in train mode: it is put into eval mode for each call.")
        self.capabilities = self._probe_capabilities(probe)
        self.findings = tuple(notes)

    # Loading ------------------------------------------------------------------------------

    def _choose_input(
        self, preprocess: Preprocess | None, size: tuple[int, int] | None, notes: list[str]
    ) -> tuple[Preprocess, torch.Tensor]:
        """Find preprocessing whose input the model accepts, and an input to try it with."""
        if preprocess is not None and not isinstance(preprocess, Preprocessing):
            return preprocess, self._probe_through(preprocess, size)
        if preprocess is None:
            forms = [Preprocessing(channels=n) for n in _possible_channels(self._module)]
            notes.append(
                "No preprocessing was given: pixels are divided by 255 and not normalised. "
                "Pass preprocessing= if the model was trained otherwise."
            )
        else:
            forms = [preprocess]
            size = preprocess.size or size
        size = size or _configured_size(self._module)
        tried = [(side, side) for side in TRIED_SIZES] if size is None else [size]
        errors: list[ModelError] = []
        for form, sides in itertools.product(forms, tried):
            settled = dataclasses.replace(form, size=sides)
            try:
                probe = self._probe_through(settled, sides)
            except ModelError as error:
                errors.append(error)
                continue
            if size is None:
                notes.append(
                    f"No input size was given: images are resized to {sides[0]} x {sides[1]}. "
                    "Pass input_size= if the model expects another."
                )
            return settled, probe
        raise errors[0]

    def _probe_through(self, preprocess: Preprocess, size: tuple[int, int] | None) -> torch.Tensor:
        from xai_widgets.models.images import DisplayImage

        height, width = size or (224, 224)
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        values, _ = preprocess(DisplayImage(noise, "probe"))
        probe = self.backend.asarray(values[None])
        self._run(probe, False)
        return probe

    def _find_side_effects(self, probe: torch.Tensor) -> None:
        """Find out what the forward pass changes in eval mode: buffers, generators, its input."""
        image = probe.clone()
        before = [
            (buffer, times_written(buffer), buffer.detach().clone())
            for buffer in self._module.buffers()
        ]
        self._moving_buffers, self._draws_random, self._writes_input = [], False, False
        with torch.random.fork_rng(devices=[]):
            random_state = torch.get_rng_state()
            self._run(image, False)
            self._draws_random = not torch.equal(random_state, torch.get_rng_state())
        self._writes_input = times_written(image) > 0
        for buffer, written, value in before:
            if times_written(buffer) != written:
                with torch.no_grad():
                    buffer.copy_(value)
                self._moving_buffers.append(buffer)

    def _probe_capabilities(self, probe: torch.Tensor) -> Capabilities:
        places: dict[str, str | None] = {"input_gradients": None}
        lacks: dict[str, str] = {}
        if self.recommended_layer is not None:
            places["layer_gradients"] = self.recommended_layer
        elif any(layer.spatial for layer in self.layers):
            lacks["feature_maps"] = f"{self.name} ends in tokens, not in a feature map."
        else:
            lacks["feature_maps"] = f"{self.name} has no layer whose output is a feature map."
        forward = self._pass(probe, whole=True)
        for need, layer in places.items():
            try:
                gradient = forward.gradient(ClassTarget(0), layer)
            except XaiError as error:
                lacks[need] = str(error)
            else:
                if not torch.isfinite(gradient).all():
                    where = "the input" if layer is None else f"layer {layer!r}"
                    lacks[need] = f"The gradient at {where} is NaN or infinite."
        return Capabilities(lacks)

    # The contract -------------------------------------------------------------------------

    def _run(self, images: torch.Tensor, gradients: bool) -> torch.Tensor:
        """Return float32 scores [N, K] of [N, H, W, C]; records a graph if ``gradients``."""
        rows, columns = images.shape[1:3]
        with evaluating(self._module, self._moving_buffers, gradients, self._draws_random):
            with sentence(
                ModelError,
                f"{self.name} cannot process an image of {rows} x {columns} pixels "
                f"and {images.shape[3]} channels (pass input_size= or preprocessing=)",
            ):
                batch = images.permute(0, 3, 1, 2).to(self._dtype)
                output = self._module(batch.clone() if self._writes_input else batch)
            return _scores_of(output, self.name, len(images))

    def scores(self, images: Any) -> torch.Tensor:
        """Return scores [N, K] of images [N, H, W, C], computed in chunks without a graph."""
        batch = self._checked(images)
        with self.lock:
            chunks = [self._run(chunk, False) for chunk in torch.split(batch, self.chunk_size)]
        return torch.cat(chunks)

    def gradients(self, images: Any, target: ClassTarget, weights: Any = None) -> Gradients:
        """Return d target / d images and the target's scores; see the contract."""
        with self.lock, autograd():
            batch = self._checked(images).detach().requires_grad_(True)
            scores = target(self._run(batch, True))
            values = differentiate(self.name, scores, batch, "its input")
        if weights is not None:
            values = torch.tensordot(self.backend.asarray(weights), values, dims=1)
        return Gradients(values, scores.detach())

    def forward_pass(self, image: PreparedImage) -> TorchForwardPass:
        """Return the retained forward pass of an image; see the contract."""
        key = (image.key, self.fingerprint)
        with self.lock:
            if self._retained is None or self._retained[0] != key:
                self._retained = (key, self._pass(image.values[None]))
            return self._retained[1]

    def _pass(self, images: Any, whole: bool = False) -> TorchForwardPass:
        return TorchForwardPass(
            self.name,
            self._run,
            self._parts,
            self._architecture,
            self._checked(images),
            self.lock,
            RETAINED_BYTES,
            whole,
        )

    def _predict(self, images: torch.Tensor) -> torch.Tensor:
        return self._run(images, False)

    def _checked(self, images: Any) -> torch.Tensor:
        batch = self.backend.asarray(images)
        if batch.is_inference():  # autograd refuses what the caller made in inference mode
            batch = batch.clone()
        if batch.ndim != 4 or len(batch) == 0:
            raise ImageError(
                f"The model input has shape {list(batch.shape)}: expected [N, H, W, C], N >= 1."
            )
        return batch

    @property
    def source(self) -> nn.Module:
        """The user's module."""
        return self._source

    @property
    def fingerprint(self) -> str:
        """Where the weights lie and how often they were written: changes when training goes on."""
        moving = {id(buffer) for buffer in self._moving_buffers}
        state = [
            (tensor.data_ptr(), 0 if id(tensor) in moving else times_written(tensor))
            for part in self._module.modules()
            for tensor in (*part._parameters.values(), *part._buffers.values())
            if tensor is not None
        ]
        return f"{hash(tuple(state)):x}"

    @property
    def weight_hash(self) -> str:
        """SHA-256 over names, shapes and values of all parameters and buffers."""
        fingerprint = self.fingerprint
        if self._hashed is None or self._hashed[0] != fingerprint:
            digest = hashlib.sha256()
            for name, tensor in sorted(self._module.state_dict().items()):
                if isinstance(tensor, torch.Tensor):
                    digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
                    data = tensor.detach().cpu().contiguous().reshape(-1)
                    digest.update(data.view(torch.uint8).numpy().tobytes())
            self._hashed = (fingerprint, digest.hexdigest())
        return self._hashed[1]

    @property
    def versions(self) -> dict[str, str]:
        """The version of PyTorch."""
        return {"torch": torch.__version__}

    @property
    def chunk_size(self) -> int:
        """4 images of 224 x 224 at once, more of smaller ones, at most 64.

        Larger batches of large images are slower on a CPU: their activations leave the caches, and
        the allocator gives the memory back and asks for it again.
        """
        height, width, _ = self.input_shape
        return int(np.clip(4 * 224 * 224 // (height * width), 1, 64))


def _on_device(module: nn.Module, device: str | None) -> tuple[nn.Module, torch.device]:
    own = next((p.device for p in module.parameters()), torch.device("cpu"))
    if device is None:
        return module, own
    with sentence(ModelError, f"The device {device!r} cannot be used"):
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
        if wanted.type == own.type and wanted.index in (None, own.index):
            return module, own
        return copy.deepcopy(module).to(wanted), wanted


def _possible_channels(module: nn.Module) -> tuple[int, ...]:
    convolution = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    if convolution is None:
        return (3, 1)
    return (1,) if convolution.in_channels == 1 else (3,)


def _configured_size(module: nn.Module) -> tuple[int, int] | None:
    size = getattr(getattr(module, "config", None), "image_size", None)
    if isinstance(size, int):
        return (size, size)
    if isinstance(size, list | tuple) and len(size) == 2:
        return (int(size[0]), int(size[1]))
    return None


def _labels(
    given: tuple[str, ...] | None, module: nn.Module, n_outputs: int, notes: list[str]
) -> tuple[str, ...]:
    if given is not None:
        if len(given) != n_outputs:
            raise ModelError(
                f"{len(given)} labels were given for {n_outputs} outputs: give one per output."
            )
        return tuple(str(label) for label in given)
    own = getattr(getattr(module, "config", None), "id2label", None)
    if isinstance(own, dict) and len(own) == n_outputs:
        return tuple(str(own.get(i, own.get(str(i), f"class {i}"))) for i in range(n_outputs))
    if n_outputs > 1:
        notes.append("No labels were given: classes are called by their position. Pass labels=.")
    return tuple(f"class {i}" for i in range(n_outputs))


def _scores_of(output: Any, name: str, n_images: int) -> torch.Tensor:
    """Find the scores [N, K] in what a model returns."""
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, dict):
        logits = output.get("logits")
    scores = logits if isinstance(logits, torch.Tensor) else first_tensor(output)
    if scores is None:
        raise ModelError(
            f"{name} returned a {type(output).__name__} without a tensor: its forward pass must "
            "return scores [N, K]."
        )
    if scores.ndim != 2 or scores.shape[0] != n_images:
        raise ModelError(
            f"{name} returned shape {list(scores.shape)} for {n_images} image"
            f"{'s' if n_images > 1 else ''}: expected scores [{n_images}, K]. Wrap the model so "
            "that it keeps the batch axis and returns one score per class."
        )
    if not scores.is_floating_point():
        raise ModelError(
            f"{name} returned {str(scores.dtype).removeprefix('torch.')} values: expected scores, "
            "not class numbers. Return the logits."
        )
    return scores.float()


def _looks_like_probabilities(scores: torch.Tensor) -> bool:
    return bool(
        scores.shape[1] > 1
        and (scores >= 0).all()
        and torch.allclose(scores.sum(dim=1), torch.ones(len(scores)).to(scores), atol=1e-3)
    )
