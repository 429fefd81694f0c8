"""DeepLIFT's rescale rule on PyTorch: multipliers between images and references in two passes.

The references go through the model first, and what its operations got is kept. When the images go
through it, each operation finds what it got on the reference, wherever the batch axis is by then.
"""

from collections.abc import Callable
from typing import Any

import torch

from xai_widgets.errors import ModelError
from xai_widgets.models.primitives import Gradients
from xai_widgets.models.targets import Target
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_modes import SeeingMode
from xai_widgets.models.torch_recording import Recorder, differentiate
from xai_widgets.models.torch_rescale_norms import (
    batch_norm,
    between,
    deviation,
    extreme,
    group_norm,
    instance_norm,
    layer_norm,
    max_pool,
    vector_norm,
)
from xai_widgets.models.torch_rescale_rules import (
    FACTORS,
    PIECEWISE,
    RELATIVE,
    SMOOTH,
    Operation,
    attention,
    depends,
    division,
    elementwise,
    gated,
    log_softmax,
    log_sum_exp,
    product,
    softmax,
)
from xai_widgets.models.torch_state import autograd


def same_mask(operation: Operation) -> Any:
    """A choice by a mask: linear where image and reference choose alike."""
    positions = (0,) if operation.name == "where" else (1,)
    for position in positions:
        mask, other = operation.args[position], operation.reference[position]
        if isinstance(mask, torch.Tensor) and not torch.equal(mask, other):
            return None
    return operation.func(*operation.args, **operation.kwargs)


RULES: dict[str, Callable[[Operation], Any]] = {
    **dict.fromkeys(PIECEWISE | RELATIVE | SMOOTH, elementwise),
    **dict.fromkeys(FACTORS, product),
    **dict.fromkeys(["div", "divide", "true_divide", "reciprocal"], division),
    **dict.fromkeys(["softmax", "_softmax", "_safe_softmax"], softmax),
    **dict.fromkeys(["log_softmax", "_log_softmax"], log_softmax),
    **dict.fromkeys(["layer_norm", "rms_norm"], layer_norm),
    **dict.fromkeys(["var", "std", "var_mean", "std_mean"], deviation),
    **dict.fromkeys(["max", "min", "amax", "amin"], extreme),
    **dict.fromkeys(["maximum", "minimum", "fmax", "fmin"], between),
    **dict.fromkeys([f"max_pool{n}d" for n in (1, 2, 3)], max_pool),
    **dict.fromkeys([f"adaptive_max_pool{n}d" for n in (1, 2, 3)], max_pool),
    **dict.fromkeys(["where", "masked_fill"], same_mask),
    "glu": gated,
    "logsumexp": log_sum_exp,
    "scaled_dot_product_attention": attention,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "batch_norm": batch_norm,
    "linalg_vector_norm": vector_norm,
}
_NAMES = """
    add sub subtract rsub neg negative positive sum nansum mean cumsum trace lerp
    cat concat concatenate stack hstack vstack dstack column_stack
    reshape view view_as reshape_as flatten unflatten ravel permute transpose t swapaxes swapdims
    movedim moveaxis squeeze unsqueeze expand expand_as broadcast_to repeat repeat_interleave tile
    chunk split split_with_sizes tensor_split hsplit vsplit dsplit unbind narrow select slice
    index index_select gather take take_along_dim masked_select roll flip fliplr flipud rot90
    diagonal diag diag_embed tril triu as_strided unfold fold im2col col2im
    scatter scatter_add index_add index_copy index_fill index_put copy select_scatter slice_scatter
    contiguous clone alias to _to_copy type type_as float double half bfloat16 cpu cuda lift_fresh
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    _adaptive_avg_pool2d pad constant_pad_nd _pad_circular reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d
    upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d pixel_shuffle pixel_unshuffle
    channel_shuffle dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout
    feature_alpha_dropout native_dropout fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn
    view_as_real view_as_complex real imag atleast_1d atleast_2d atleast_3d nan_to_num
    requires_grad retain_grad set_grad_enabled _set_grad_enabled __getitem__ __setitem__ __get__
    __set__ __len__ __iter__ detach identity unsafe_chunk unsafe_split
"""
LINEAR = frozenset(_NAMES.split())
"""Operations, beside those with rules, that are linear in what depends on the image."""
OVERWRITTEN = frozenset((*PIECEWISE, *RELATIVE, *SMOOTH, "softmax", "_softmax", "div"))
"""Operations whose input a model may overwrite later: autograd keeps only their results."""


class OtherWayError(ModelError):
    """Image and reference do not go through the same operations."""


class _References(SeeingMode):
    """Keeps what every operation with a rule gets, in the order in which they run."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def call(
        self,
        name: str,
        in_place: bool,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if name in RULES:
            copied = in_place or name in OVERWRITTEN
            kept = tuple(
                argument.clone() if copied and isinstance(argument, torch.Tensor) else argument
                for argument in _flat(args)
            )
            self.kept.append((name, kept, kwargs))
        return func(*args, **kwargs)


class _Images(SeeingMode):
    """Replaces every operation with a rule by one that knows what it got on the reference."""

    def __init__(self, references: _References, model: str) -> None:
        super().__init__()
        self._kept = references.kept
        self._model = model
        self._position = 0
        self.unknown: set[str] = set()

    def rewind(self) -> None:
        """Start again: the forward pass is run anew."""
        self._position = 0

    def call(
        self,
        name: str,
        in_place: bool,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        rule = RULES.get(name)
        moving = any(depends(x) for x in (*_flat(args), *kwargs.values()))
        if rule is None:
            result = func(*args, **kwargs)
            if moving and name not in LINEAR and _carries(result):
                self.unknown.add(name)
            return result
        known, reference, reference_kwargs = self._next()
        if known != name:
            raise OtherWayError(
                f"{self._model} takes another way for the reference than for the image: the "
                "rescale rule needs the same operations for both."
            )
        if not moving:
            return func(*args, **kwargs)
        function = out_of_place(name, func) if in_place else func
        found = None
        if function is not None and "out" not in kwargs:
            function = torch.einsum if name == "einsum" else function  # which takes no list
            operation = Operation(name, function, _flat(args), kwargs, reference, reference_kwargs)
            found = rule(operation)
        if found is None:
            self.unknown.add(name)
            return func(*args, **kwargs)
        return args[0].copy_(found) if in_place else found

    def _next(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        if self._position >= len(self._kept):
            return "", (), {}
        self._position += 1
        return self._kept[self._position - 1]


def _flat(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments with lists of tensors, as einsum's, in their places."""
    if any(isinstance(x, list | tuple) and x and isinstance(x[0], torch.Tensor) for x in args):
        return tuple(part for x in args for part in (x if isinstance(x, list | tuple) else (x,)))
    return args


def _carries(result: Any) -> bool:
    values = result if isinstance(result, list | tuple) else (result,)
    return any(depends(value) for value in values)


def out_of_place(name: str, func: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the operation that does the same as an in-place one, into a new tensor."""
    for home in (torch, torch._C._nn, torch.Tensor):
        found = getattr(home, name, None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return None


def rescaled(
    recorder: Recorder,
    backend: TorchBackend,
    images: torch.Tensor,
    target: Target,
    weights: Any = None,
    layer: str | None = None,
) -> tuple[Gradients, tuple[str, ...]]:
    """Return multipliers between the first half of the images and the second, the references.

    Parameters
    ----------
    recorder
        Records forward passes.
    backend
        The model's.
    images
        [inputs; references], [2 M, H, W, C].
    target
        Its own function is part of what is rescaled.
    weights
        [M], or None.
    layer
        Return the multipliers at this layer's output.

    Returns
    -------
    tuple
        Multipliers [M, ...], or their weighted sum, with scores [2 M]; and the names of the
        operations that were differentiated as they are, because the rule does not know them.

    Raises
    ------
    ModelError
        If the images have no half, there is no gradient, or the model takes different ways.
    """
    if len(images) % 2:
        raise ModelError(
            f"The rescale rule got {len(images)} images: expected as many references as inputs."
        )
    inputs, references = images.chunk(2)
    kept = _References()
    with autograd(False), kept:
        if target.layer is None:
            reduced = recorder.run(references, False)
        else:
            reduced = recorder.activations(references, (target.layer,))[1][target.layer]
        reference_scores = target(reduced, backend)
    mode = _Images(kept, recorder.name)
    with autograd(), mode:
        graph = recorder.before_each_run(mode.rewind).record(inputs, (layer,), target.layer)
        scores = target(graph.reduced, backend)
    found = differentiate(recorder.name, scores, graph.sources, False, graph.reduced)
    values = found[layer]
    values = values.float() if layer is None else recorder.arranged(layer, values)[: len(inputs)]
    if weights is not None:
        values = torch.tensordot(backend.asarray(weights), values, dims=1)
    both = torch.cat([scores.detach(), reference_scores])
    return Gradients(values, both), tuple(sorted(mode.unknown))
