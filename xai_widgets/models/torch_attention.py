"""Record attention inside of a PyTorch module, fused or written out; its output stays the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from xai_widgets.errors import ModelError, sentence
from xai_widgets.models.architecture import Grid, Layer
from xai_widgets.models.attention import AttentionLayer, AttentionPass
from xai_widgets.models.base import Lock
from xai_widgets.models.layers import token_grid
from xai_widgets.models.targets import Target
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_explicit import (
    attention_arguments,
    attention_probabilities,
    attention_scores,
)
from xai_widgets.models.torch_modes import SeeingMode
from xai_widgets.models.torch_recording import Graph
from xai_widgets.models.torch_state import autograd

CARRYING = frozenset(
    {"to", "type_as", "dropout", "float", "half", "bfloat16", "contiguous", "clone", "view"}
    | {"reshape", "flatten", "unflatten", "nan_to_num", "alias", "_to_copy"}
)
"""Operations between a softmax and the product with the values that change none of its numbers."""


@dataclass(eq=False)
class Seen:
    """One attention operation.

    Attributes
    ----------
    name
        The part of the module that ran it.
    probabilities
        [heads, T, S] or [N, heads, T, S]; upstream of the output where gradients are recorded.
    """

    name: str
    probabilities: torch.Tensor


class AttentionMode(SeeingMode):
    """While it is on, attention is computed with its probabilities in view.

    Attention is ``F.scaled_dot_product_attention``, or a softmax over keys whose result is
    multiplied with values: ``nn.MultiheadAttention`` comes down to one of these.

    Parameters
    ----------
    running
        The names of the parts that are running.

    Attributes
    ----------
    seen
        In the order of the forward pass.
    """

    def __init__(self, running: Sequence[str]) -> None:
        super().__init__()
        self._running = running
        self._softmaxes: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.seen: list[Seen] = []

    def call(
        self,
        name: str,
        in_place: bool,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Watch what becomes of a softmax; write fused attention out."""
        if name == "scaled_dot_product_attention":
            return self._written_out(args, kwargs)
        result = func(*args, **kwargs)
        if name in ("softmax", "_safe_softmax", "_softmax"):
            if isinstance(result, torch.Tensor) and result.ndim >= 3 and _is_last(args, kwargs):
                result = self._in_graph(result)
                self._softmaxes[id(result)] = (result, result)
        elif name in CARRYING:
            known = self._softmaxes.get(id(args[0])) if args else None
            if known is not None and isinstance(result, torch.Tensor):
                self._softmaxes[id(result)] = (result, known[1])
        elif name in ("matmul", "bmm", "einsum"):
            self._multiplied(args)
        return result

    def _written_out(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        parts = attention_arguments(args, kwargs)
        probabilities = self._in_graph(attention_probabilities(attention_scores(parts)))
        self._add(probabilities)
        return probabilities @ parts.value

    def _multiplied(self, args: tuple[Any, ...]) -> None:
        """Take a softmax for attention once it is multiplied with something from the left."""
        operands = [
            tensor
            for argument in args
            for tensor in (argument if isinstance(argument, list | tuple) else [argument])
        ]
        for operand in operands:
            known = self._softmaxes.get(id(operand))
            if known is not None and not any(s.probabilities is known[1] for s in self.seen):
                self._add(known[1])

    def _add(self, probabilities: torch.Tensor) -> None:
        name = self._running[-1] if self._running else ""
        self.seen.append(Seen(name or f"attention {len(self.seen) + 1}", probabilities))

    def _in_graph(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Let probabilities behind a cut carry a gradient anew."""
        if torch.is_grad_enabled() and not probabilities.requires_grad:
            return probabilities.detach().requires_grad_(True)
        return probabilities


def _is_last(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
    return axis in (-1, args[0].ndim - 1) if args else True


def described(
    seen: Sequence[Seen], layers: Sequence[Layer], input_size: tuple[int, int], copies: int
) -> tuple[tuple[AttentionLayer, ...], tuple[torch.Tensor, ...]]:
    """Return the self-attention among what was seen, and its probabilities without a batch axis.

    Attention between different numbers of queries and keys is none.
    """
    maps = [layer.shape[:2] for layer in layers if len(layer.shape) == 3]
    found: list[AttentionLayer] = []
    kept: list[torch.Tensor] = []
    for entry in seen:
        shape = entry.probabilities.shape
        if shape[-1] != shape[-2] or len(shape) > 4:
            continue
        windows = int(shape[0]) // copies if len(shape) == 4 else 1
        heads = int(shape[-3]) // (copies if len(shape) == 3 else 1)
        tokens = int(shape[-1])
        grid: Grid | None = None
        if windows == 1:
            same = (y.grid for y in layers if y.grid is not None and y.shape[0] == tokens)
            grid = next(same, None) or token_grid(tokens, maps, input_size)
        found.append(AttentionLayer(entry.name, heads, tokens, grid, windows))
        kept.append(entry.probabilities)
    return tuple(found), tuple(kept)


def attention_lack(name: str, seen: Sequence[Seen], layers: Sequence[AttentionLayer]) -> str | None:
    """Say why attention does not cover the picture, None where it does."""
    if not seen:
        return (
            f"{name} has no attention that can be seen: methods that follow attention are for "
            "transformers."
        )
    if not layers:
        return (
            f"The attention of {name} leads from some tokens to other, fewer ones: it cannot be "
            "followed through the layers."
        )
    if len(layers) < len(seen) or len({layer.tokens for layer in layers}) > 1:
        return (
            f"The attention of {name} changes its tokens from layer to layer: it cannot be "
            "followed through all of them."
        )
    if any(layer.windows > 1 for layer in layers):
        return (
            f"The attention of {name} stays inside of windows: it cannot be followed over the "
            "whole picture."
        )
    return None


class TorchAttentionPass(AttentionPass):
    """The attention of one forward pass of one image.

    Parameters
    ----------
    name
        The model's name.
    record
        Runs the forward pass and returns its graph to a target's layer, or to the output for
        None, with the attention seen.
    layers, input_size, lock
        The model's.
    copies
        How often the module gets the image, where it takes batches of one size alone.

    Raises
    ------
    ModelError
        If there is no self-attention that can be seen.
    """

    def __init__(
        self,
        name: str,
        record: Callable[[str | None], tuple[Graph, Sequence[Seen]]],
        layers: Sequence[Layer],
        input_size: tuple[int, int],
        lock: Lock,
        copies: int = 1,
    ) -> None:
        self._name = name
        self._record = record
        self._layers = layers
        self._input_size = input_size
        self._lock = lock
        self._copies = copies
        self._graphs: dict[str | None, tuple[Graph, tuple[torch.Tensor, ...]]] = {}
        graph, seen = record(None)
        self.layers, kept = described(seen, layers, input_size, copies)
        if not self.layers:
            raise ModelError(str(attention_lack(name, seen, self.layers)))
        self._graphs[None] = (graph, kept)
        self.outputs = np.ascontiguousarray(graph.outputs.detach()[0].cpu().numpy())

    def weights(self, index: int) -> torch.Tensor:
        """Return attention probabilities of a layer, [heads, T, T] or [windows, heads, T, T]."""
        return self._without_batch(index, self._graphs[None][1][index].detach())

    def gradients(self, target: Target) -> Sequence[torch.Tensor]:
        """Return d target / d attention probabilities of every layer, shaped as the weights."""
        with self._lock, autograd():
            if target.layer not in self._graphs:
                graph, seen = self._record(target.layer)
                kept = described(seen, self._layers, self._input_size, self._copies)[1]
                self._graphs[target.layer] = (graph, kept)
            graph, kept = self._graphs[target.layer]
            score = target(graph.reduced, TorchBackend(graph.reduced.device))
            if not score.requires_grad:
                raise ModelError(
                    f"The target does not depend on the attention of {self._name} through "
                    "autograd: choose another target or method."
                )
            with sentence(ModelError, f"The gradient of {self._name} cannot be computed"):
                found = torch.autograd.grad(score.sum(), kept, retain_graph=True, allow_unused=True)
        return [
            self._without_batch(
                index, torch.zeros_like(kept[index]) if gradient is None else gradient
            )
            for index, gradient in enumerate(found)
        ]

    def _without_batch(self, index: int, tensor: torch.Tensor) -> torch.Tensor:
        layer = self.layers[index]
        if tensor.ndim == 4:
            tensor = tensor[0] if layer.windows == 1 else tensor[: layer.windows]
        return tensor.detach()[: layer.heads if tensor.ndim == 3 else None].float()
