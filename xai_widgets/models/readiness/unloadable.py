"""Why a model in memory cannot be loaded: what its forward pass does to the image."""

import sys
from typing import Any

import numpy as np

from xai_widgets.errors import ModelError
from xai_widgets.models.readiness.causes import CAUSES
from xai_widgets.models.readiness.report import Finding


def diagnose(source: Any, error: ModelError) -> list[Finding] | None:
    """Return findings on a model whose loading failed; None if it is no model in memory."""
    torch = sys.modules.get("torch")
    keras = sys.modules.get("keras")
    found: list[Finding] | None = None
    if torch is not None and isinstance(source, torch.nn.Module):
        found = _torch(source)
    elif keras is not None and isinstance(source, keras.Model):
        found = _keras(source)
    if found is None:
        return None
    return [*found, Finding("error", "prediction", str(error))]


def _torch(module: Any) -> list[Finding]:
    import torch

    from xai_widgets.models.choosing import TRIED_SIZES
    from xai_widgets.models.readiness.torch_trace import trace_module
    from xai_widgets.models.torch_layers import first_tensor
    from xai_widgets.models.torch_state import evaluating

    def run(images: torch.Tensor, gradients: bool) -> torch.Tensor:
        with evaluating(module, list(module.buffers()), gradients, True):
            try:
                output = first_tensor(module(images.permute(0, 3, 1, 2)))
            except Exception as error:
                raise ModelError(str(error)) from error
            if output is None:
                raise ModelError("The output is no tensor.")
            return output.float().reshape(len(images), -1)

    for side in TRIED_SIZES:
        for channels in (3, 1):
            values = np.random.default_rng(0).random((1, side, side, channels), np.float32)
            try:
                trace = trace_module(module, run, torch.from_numpy(values))
            except (ModelError, RuntimeError):
                continue
            if trace.loss is None:
                return []
            return [_named(trace.loss.cause, trace.loss.layer, trace.loss.detail)]
    return []


def _keras(model: Any) -> list[Finding]:
    from xai_widgets.models.readiness.keras_loss import find_integer_output

    event = find_integer_output(model)
    return [] if event is None else [_named(event.cause, event.layer, event.detail)]


def _named(name: str, layer: str, detail: str) -> Finding:
    cause = CAUSES[name]
    where = f"in {layer!r}" if layer else "in the model's own forward pass"
    seen = f" ({detail})" if detail else ""
    text = f"The scores are lost {where}: {cause.what}{seen}."
    return Finding("error", "output", text, cause.advice, layer, name)
