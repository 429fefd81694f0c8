"""The readiness check of ResNet-50 at 224 px against one forward and backward pass."""

from __future__ import annotations

import torch

import xai_widgets as xw
from benchmarks.attribution import TARGET, pictures, resnet50
from benchmarks.paired import Line, compare, time_in_turn


def run(rounds: int = 15) -> list[Line]:
    """Compare the check of a loaded model with the work of a single gradient."""
    source = resnet50()
    model = xw.load(source, input_size=224)
    picture = pictures(1)[0]
    values = torch.from_numpy(model.prepare(picture).values[None].copy()).permute(0, 3, 1, 2)

    def bare() -> None:
        batch = values.clone().requires_grad_(True)
        torch.autograd.grad(source(batch).logits[:, TARGET].sum(), batch)

    seconds = time_in_turn(
        {"check": lambda: xw.check(model, picture), "bare": bare}, rounds, warm_up=3
    )
    title = "readiness check / one forward + backward"
    return [compare(title, seconds["check"], seconds["bare"], 6)]
