"""PyTorch modules as `ExplainableModel`: eager, scripted or traced, exported, converted."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from xai_widgets.errors import ImageError, ModelError, sentence
from xai_widgets.models.base import Lock
from xai_widgets.models.carried import Carried, carried_by
from xai_widgets.models.choosing import (
    are_probabilities,
    choose_input,
    choose_labels,
    choose_task,
)
from xai_widgets.models.preprocessing import Preprocess, Values
from xai_widgets.models.primitives import Capabilities, ForwardPass, Gradients, PreparedImage
from xai_widgets.models.targets import Target
from xai_widgets.models.torch_attention import AttentionMode, Seen, TorchAttentionPass
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_capabilities import probe_layers, survey
from xai_widgets.models.torch_forward import TorchLayerPass
from xai_widgets.models.torch_gradients import batch_gradients, one_by_one, without_rule
from xai_widgets.models.torch_kinds import (
    hash_of_weights,
    on_device,
    possible_channels,
    precision_note,
    torch_format,
)
from xai_widgets.models.torch_layers import read_architecture
from xai_widgets.models.torch_modes import run_in
from xai_widgets.models.torch_outputs import TorchOutput
from xai_widgets.models.torch_recording import Graph, Recorder
from xai_widgets.models.torch_seeing import RETAINED_BYTES, TorchLayers
from xai_widgets.models.torch_state import (
    autograd,
    evaluating,
    find_side_effects,
    frozen,
    times_written,
    training_layers,
)
from xai_widgets.models.torch_weight_changes import Change, exchanged

if TYPE_CHECKING:
    from xai_widgets.models.readiness.trace import Trace


class TorchModel(TorchLayers):
    """An ``nn.Module`` that maps [N, C, H, W] to scores [N, K], or dense ones [N, K, h, w].

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
    carried
        What is known of the model beside what it says itself.
    batches
        Splits images into batches of a size that the module takes, the last one filled up where
        need be; None if it takes any.
    output
        Name or position of the output to explain; else the one called "logits", else the first.
    task
        "classification", "segmentation" or "regression"; else what the output's shape says.

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
        carried: Carried | None = None,
        batches: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None = None,
        output: str | int | None = None,
        task: str | None = None,
    ) -> None:
        self._source = module
        self._module, own_device = on_device(module, device)
        self._dtype = next((p.dtype for p in module.parameters()), torch.float32)
        self._batches = batches
        self.name = str(getattr(module, "original_name", type(module).__name__))
        self.format = torch_format(module)
        self._output = TorchOutput(self.name, output)
        self.lock = lock or threading.RLock()
        self.backend = TorchBackend(own_device)
        self._retained: tuple[tuple[str, str], ForwardPass] | None = None
        self._hashed: tuple[str, str] | None = None
        self._exchange = self._exchanges = 0
        self._takes_one: dict[str, bool] = {}
        self._moving_buffers: list[torch.Tensor] = list(self._module.buffers())
        self._draws_random = self._writes_input = True
        self._parts = dict(self._module.named_modules())
        own = (carried or Carried()).over(carried_by(module))
        notes = [*own.notes, *precision_note(self._dtype)]
        with self.lock:
            self.preprocess, values = choose_input(
                self._try,
                own.preprocess_for(preprocess, input_size, notes),
                input_size,
                own.size,
                possible_channels(module),
                notes,
            )
            probe = self.backend.asarray(values)
            self.input_shape = (int(probe.shape[1]), int(probe.shape[2]), int(probe.shape[3]))
            self._moving_buffers, self._draws_random, self._writes_input = [], False, False
            found = find_side_effects(self._module, self._predict, probe)
            self._moving_buffers, self._draws_random, self._writes_input = found
            copies = None if self._batches is None else self._copies(probe)
            architecture, outputs = read_architecture(self._module, self._predict, probe, copies)
            self._recorder = Recorder(self.name, self._run, self._parts, architecture)
        self.layers, self.vector_layers = architecture.layers, architecture.vectors
        self.labels = choose_labels(labels, own.labels, int(outputs.shape[-1]), notes)
        self.task = choose_task(task, tuple(outputs.shape), self.name)
        self.outputs_probabilities = are_probabilities(self.backend.to_numpy(outputs))
        if output is None and len(self._output.names) > 1:
            notes.append(
                f"The model has {len(self._output.names)} outputs "
                f"({', '.join(self._output.names)}): {self._output.chosen!r} is explained. "
                "Pass output= to choose another."
            )
        if self.outputs_probabilities and self.is_classifier:
            notes.append(
                "The model returns probabilities, not logits: gradients of a saturated softmax "
                "vanish, so explain the model without its last softmax where you can."
            )
        if any(getattr(part, "training", False) for part in module.modules()):
            notes.append("The model was in train mode: it is put into eval mode for each call.")
        self.capabilities = self._probe_capabilities(probe)
        self._probe: torch.Tensor | None = probe
        self._incomplete: tuple[str, ...] = ()
        self.findings = tuple(notes)

    # Loading ------------------------------------------------------------------------------

    def _try(self, values: Values) -> None:
        self._run(self.backend.asarray(values), False)

    def _probe_capabilities(self, probe: torch.Tensor) -> Capabilities:
        self.layers, lacks = probe_layers(
            self.name,
            self._module,
            self.layers,
            lambda values: self._pass(values, whole=True),
            self.backend.to_numpy(probe),
            self.outputs_probabilities,
        )
        copies = self._copies(probe)
        lacks.update(survey(self.name, self._module, self._predict, probe, self.layers, copies))
        return Capabilities(lacks)

    # The contract -------------------------------------------------------------------------

    def _run(self, images: torch.Tensor, gradients: bool) -> torch.Tensor:
        """Return float32 outputs of [N, H, W, C]; records a graph if ``gradients``."""
        rows, columns = images.shape[1:3]
        failure = (
            f"{self.name} cannot process an image of {rows} x {columns} pixels "
            f"and {images.shape[3]} channels (pass input_size= or preprocessing=)"
        )
        state = evaluating(self._module, self._moving_buffers, gradients, self._draws_random)
        with state, sentence(ModelError, failure):
            batch = images.permute(0, 3, 1, 2).to(self._dtype)
            batch = batch.clone() if self._writes_input else batch
            if self._batches is None:
                return self._output(self._module(batch), len(images))
            parts = [self._output(self._module(part), len(part)) for part in self._batches(batch)]
            return torch.cat(parts)[: len(images)]

    def outputs(self, images: Any) -> torch.Tensor:
        """Return outputs [N, K] or [N, H, W, K], computed in chunks without a graph."""
        batch = self._checked(images)
        with self.lock:
            chunks = [self._run(chunk, False) for chunk in torch.split(batch, self.chunk_size)]
        return torch.cat(chunks)

    def scores(self, images: Any) -> torch.Tensor:
        """Return scores [N, K], computed in chunks without a graph; spatial means of dense ones."""
        batch = self._checked(images)
        with self.lock:
            chunks = [
                self._class_scores(self._run(chunk, False))
                for chunk in torch.split(batch, self.chunk_size)
            ]
        return torch.cat(chunks)

    def _copies(self, image: torch.Tensor) -> int:
        """Return how often the module gets one image."""
        return 1 if self._batches is None else len(self._batches(image)[0])

    def _class_scores(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs if outputs.ndim == 2 else outputs.mean(dim=(1, 2))

    def gradients(
        self,
        images: Any,
        target: Target,
        weights: Any = None,
        rule: str | None = None,
        layer: str | None = None,
    ) -> Gradients:
        """Return d target / d images, or a layer, and the target's scores; see the contract."""
        if layer is not None:
            layer = self.resolve_layer(layer)
        with self.lock, autograd(), frozen(self._module):
            batch = self._checked(images)
            alone = self._batches is not None and (layer is not None or target.layer is not None)
            compute = one_by_one if alone else batch_gradients
            return compute(self._recorder, self.backend, batch, target, weights, rule, layer)

    @property
    def incomplete(self) -> tuple[str, ...]:  # type: ignore[override]
        """Operations without a rescale rule, found by a survey when they are first asked for."""
        with self.lock:
            if self._probe is not None and "input_gradients" not in self.capabilities.lacks:
                with autograd(), frozen(self._module):
                    self._incomplete = without_rule(self._recorder, self.backend, self._probe)
            self._probe = None
            return self._incomplete

    def attention(self, image: PreparedImage) -> TorchAttentionPass:
        """Return the attention in one forward pass of an image; see the contract."""
        batch = self._checked(image.values[None])

        def record(target_layer: str | None) -> tuple[Graph, Sequence[Seen]]:
            with autograd(), frozen(self._module), run_in(self._module) as running:
                mode = AttentionMode(running)
                with mode:
                    graph = self._recorder.record(batch, (None,), target_layer)
                return graph, mode.seen

        with self.lock:
            size = (int(batch.shape[1]), int(batch.shape[2]))
            return TorchAttentionPass(
                self.name, record, self.layers, size, self.lock, self._copies(batch)
            )

    @contextmanager
    def changed_weights(self, change: Change) -> Iterator[None]:
        """Use other weights for a while, on this thread alone; see the contract."""
        reason = self.capabilities.reason(("weights",))
        if reason is not None:
            raise ModelError(reason)
        with self.lock:
            own = self._retained, self._hashed, self._exchange
            self._exchanges += 1
            try:
                with exchanged(self._module, change):
                    self._retained, self._hashed, self._exchange = None, None, self._exchanges
                    yield
            finally:
                self._retained, self._hashed, self._exchange = own

    def forward_pass(self, image: PreparedImage) -> ForwardPass:
        """Return the retained forward pass of an image; see the contract."""
        key = (image.key, self.fingerprint)
        with self.lock:
            if self._retained is None or self._retained[0] != key:
                self._retained = (key, self._pass(image.values[None]))
            return self._retained[1]

    def _pass(self, images: Any, whole: bool = False) -> ForwardPass:
        batch = TorchLayerPass(
            self._recorder, self._checked(images), self.lock, RETAINED_BYTES, whole=whole
        )
        return ForwardPass(batch, self.backend)

    def _predict(self, images: torch.Tensor) -> torch.Tensor:
        return self._run(images, False)

    def trace(self, values: Any, gradients: bool = True, target: int | None = None) -> "Trace":
        """Return what a traced forward and backward pass shows; see the contract."""
        from xai_widgets.models.readiness.torch_trace import trace_module

        other_numbers = self._draws_random and not gradients  # so that a comparison shows them
        fork = torch.random.fork_rng(devices=[], enabled=other_numbers)
        with self.lock, autograd(), fork:
            if other_numbers:
                torch.rand(1)
            batch = self._checked(values)
            return trace_module(
                self._module,
                lambda images, recorded: self._class_scores(self._run(images, recorded)),
                batch,
                gradients,
                target,
            )

    def training_layers(self) -> tuple[str, ...]:
        """Return the layers that are in train mode and behave differently there."""
        return training_layers(self._module)

    def scores_in_own_mode(self, images: Any) -> torch.Tensor:
        """Return scores [N, K] in the mode the user's module is in; buffers stay as they are."""
        batch = self._checked(images)
        training = [part for part in self._module.modules() if getattr(part, "training", False)]
        with self.lock, evaluating(self._module, list(self._module.buffers()), False, True):
            for part in training:
                part.training = True
            with sentence(ModelError, f"{self.name} fails in train mode"):
                output = self._module(batch.permute(0, 3, 1, 2).to(self._dtype).clone())
                return self._class_scores(self._output(output, len(batch)))

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
        # Tensors of one exchange of weights may lie where those of another lay.
        return f"{hash((self._exchange, *state)):x}"

    @property
    def weight_hash(self) -> str:
        """SHA-256 over names, shapes and values of all parameters and buffers."""
        fingerprint = self.fingerprint
        if self._hashed is None or self._hashed[0] != fingerprint:
            self._hashed = (fingerprint, hash_of_weights(self._module))
        return self._hashed[1]

    @property
    def versions(self) -> dict[str, str]:
        """The version of PyTorch."""
        return {"torch": torch.__version__}

    @property
    def chunk_size(self) -> int:
        """8 images of 224 x 224 at once, more of smaller ones, at most 64.

        Larger batches of large images are slower on a CPU: their activations leave the caches, and
        the allocator gives the memory back and asks for it again.
        """
        height, width, _ = self.input_shape
        return int(np.clip(8 * 224 * 224 // (height * width), 1, 64))
