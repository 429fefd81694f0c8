"""Fused attention taken apart: the same result, with its probabilities on the way."""

import math
from typing import Any, NamedTuple

import torch


class Attention(NamedTuple):
    """The arguments of ``F.scaled_dot_product_attention``, with as many key heads as query heads.

    ``bias`` is added to the scores, [.., T, S]; None for none.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    bias: torch.Tensor | None
    scale: float


def attention_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attention:
    """Read the arguments of ``F.scaled_dot_product_attention`` in any order they are given."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    query, key, value = given["query"], given["key"], given["value"]
    if given.get("enable_gqa"):
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    mask = given.get("attn_mask")
    if given.get("is_causal"):
        shape = (query.shape[-2], key.shape[-2])
        mask = torch.ones(shape, dtype=torch.bool, device=query.device).tril()
    scale = given.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    return Attention(query, key, value, _bias(mask, query), scale)


def _bias(mask: torch.Tensor | None, query: torch.Tensor) -> torch.Tensor | None:
    """Return a mask as what is added to the scores."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    nothing = torch.zeros((), dtype=query.dtype, device=query.device)
    return nothing.masked_fill(~mask, -math.inf)


def attention_scores(parts: Attention) -> torch.Tensor:
    """Return scores before the softmax, [.., T, S]."""
    scores = (parts.query * parts.scale) @ parts.key.transpose(-2, -1)
    return scores if parts.bias is None else scores + parts.bias


def attention_probabilities(scores: torch.Tensor) -> torch.Tensor:
    """Return the softmax over the keys; zero where a query may attend to nothing."""
    probabilities = torch.softmax(scores, -1, dtype=torch.float32).to(scores.dtype)
    empty = torch.isneginf(scores).all(-1, keepdim=True)
    return probabilities.masked_fill(empty, 0.0) if empty.any() else probabilities
