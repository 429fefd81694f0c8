"""Gradients of a batch on PyTorch, under the backward rule that is asked for."""

from contextlib import nullcontext
from typing import Any

import torch

from xai_widgets.errors import ModelError
from xai_widgets.models.primitives import Gradients
from xai_widgets.models.targets import ClassTarget, Target
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_recording import Recorder, differentiate
from xai_widgets.models.torch_rescale import OtherWayError, rescaled
from xai_widgets.models.torch_rules import ReluRule

RULES = ("guided", "deconvolution", "rescale")


def batch_gradients(
    recorder: Recorder,
    backend: TorchBackend,
    images: torch.Tensor,
    target: Target,
    weights: Any,
    rule: str | None,
    layer: str | None,
) -> Gradients:
    """Return the gradient of a target at the images or a layer; see the model contract.

    Parameters
    ----------
    recorder
        Records the forward pass.
    backend
        The model's.
    images, target, weights, rule, layer
        As in `ExplainableModel.gradients`.

    Raises
    ------
    ModelError
        If there is no gradient, no such rule, or nothing that it applies to.
    """
    if rule is not None and rule not in RULES:
        raise ModelError(f"There is no backward rule {rule!r}: give one of {', '.join(RULES)}.")
    if rule == "rescale":
        if recorder.compiled:
            raise ModelError(
                f"{recorder.name} is a TorchScript program, whose operations cannot be replaced: "
                "load the original nn.Module for the rescale rule."
            )
        return rescaled(recorder, backend, images, target, weights, layer)[0]
    mode: Any = nullcontext()
    if rule == "guided" or rule == "deconvolution":
        mode = ReluRule(rule)
    with mode:
        graph = recorder.record(images, (layer,), target.layer)
    if isinstance(mode, ReluRule) and not mode.n_replaced:
        raise ModelError(
            f"{recorder.name} has no ReLU that can be seen, and the rule {rule!r} is defined for "
            "ReLU alone: choose another method."
        )
    scores = target(graph.reduced, backend)
    found = differentiate(recorder.name, scores, graph.sources, False, graph.reduced)
    values = found[layer]
    values = values.float() if layer is None else recorder.arranged(layer, values)[: len(images)]
    if weights is not None:
        values = torch.tensordot(backend.asarray(weights), values, dims=1)
    outputs = graph.reduced.detach() if target.layer is None else None
    return Gradients(values, scores.detach(), outputs)


def one_by_one(
    recorder: Recorder,
    backend: TorchBackend,
    images: torch.Tensor,
    target: Target,
    weights: Any,
    rule: str | None,
    layer: str | None,
) -> Gradients:
    """Return the same as `batch_gradients`, for modules that see a batch in several calls.

    A hook at a layer sees only the last of these.
    """
    halves = images.chunk(2) if rule == "rescale" and len(images) % 2 == 0 else (images,)
    found = [
        batch_gradients(recorder, backend, torch.stack(rows), target, None, rule, layer)
        for rows in zip(*halves, strict=True)
    ]
    values = torch.cat([part.values for part in found])
    scores = torch.stack([part.scores for part in found]).T.reshape(-1)
    if weights is not None:
        values = torch.tensordot(backend.asarray(weights), values, dims=1)
    return Gradients(values, scores)


def without_rule(recorder: Recorder, backend: TorchBackend, probe: torch.Tensor) -> tuple[str, ...]:
    """Return the operations of a model that the rescale rule does not know, by name.

    Parameters
    ----------
    recorder, backend
        The model's.
    probe
        An input of noise, [1, H, W, C].
    """
    if recorder.compiled:
        return ("TorchScript",)
    pair = torch.cat([probe, probe.mean(dim=(1, 2), keepdim=True).expand_as(probe)])
    try:
        return rescaled(recorder, backend, pair, ClassTarget(0))[1]
    except OtherWayError:
        return ("other operations for each image",)
    except ModelError:
        return ("an operation that the rule fails on",)
