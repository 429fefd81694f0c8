"""Integrated gradients and Grad-CAM on ResNet-50 at 224 px: ours, Captum's, and the bare work."""

from __future__ import annotations

import statistics
import time
from itertools import count

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

import xai_widgets as xw
from benchmarks.paired import Line, compare, time_in_turn

N_STEPS = 32
CHUNK = 8
TARGET = 3


class Logits(nn.Module):
    """The model as Captum wants it: tensors in, tensors out."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.inner(x).logits


def resnet50() -> ResNetForImageClassification:
    """Return transformers' ResNet-50 with random weights."""
    torch.manual_seed(0)
    return ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval()


def pictures(n: int = 64) -> np.ndarray:
    """Return noise pictures, uint8 [N, 224, 224, 3]."""
    return np.random.default_rng(0).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


def run(rounds: int = 7) -> list[Line]:
    """Measure everything in this file."""
    source = resnet50()
    model = xw.load(source, input_size=224)
    return [*integrated_gradients(model, source, rounds), *grad_cam(model, source, rounds)]


def integrated_gradients(model: xw.ExplainableModel, source: nn.Module, rounds: int) -> list[Line]:
    """Compare 32 steps of integrated gradients."""
    picture = pictures(1)[0]
    x = torch.from_numpy(model.prepare(picture).values.transpose(2, 0, 1)[None].copy())
    captum = IntegratedGradients(Logits(source))
    fast = x.contiguous(memory_format=torch.channels_last)

    def ours() -> object:
        return xw.explain(model, picture, n_steps=N_STEPS, target=TARGET)

    def bare() -> None:
        for start in range(0, N_STEPS + 1, CHUNK):
            n = min(CHUNK, N_STEPS + 1 - start)
            batch = fast.repeat(n, 1, 1, 1).contiguous(memory_format=torch.channels_last)
            batch.requires_grad_(True)
            score = source(batch).logits[:, TARGET].sum()
            torch.autograd.grad(score, batch)

    def peer(size: int | None) -> object:
        return captum.attribute(x, target=TARGET, n_steps=N_STEPS, internal_batch_size=size)

    contenders = {
        "ours": ours,
        "bare": bare,
        "captum default": lambda: peer(None),
        "captum 4": lambda: peer(4),
        "captum 8": lambda: peer(8),
        "captum 16": lambda: peer(16),
    }
    seconds = time_in_turn(contenders, rounds)
    sizes = [name for name in contenders if name.startswith("captum")]
    best = min(sizes, key=lambda name: statistics.median(seconds[name]))
    title = f"IG {N_STEPS} steps"
    return [
        compare(f"{title} / bare forward + backward", seconds["ours"], seconds["bare"], 1.05),
        compare(f"{title} / Captum default", seconds["ours"], seconds["captum default"]),
        compare(f"{title} / Captum's best ({best})", seconds["ours"], seconds[best], 0.8),
    ]


def grad_cam(model: xw.ExplainableModel, source: nn.Module, rounds: int) -> list[Line]:
    """Compare Grad-CAM, then ask for new classes on the same picture."""
    images = pictures()
    turn = count()
    layer = model.recommended_layer
    captum = LayerGradCam(Logits(source), dict(source.named_modules())[layer])
    x = torch.from_numpy(model.prepare(images[0]).values.transpose(2, 0, 1)[None].copy())

    def ours() -> object:
        return xw.explain(model, images[next(turn) % len(images)], "grad_cam", target=TARGET)

    def bare() -> None:
        with torch.no_grad():
            source(x)

    seconds = time_in_turn(
        {"ours": ours, "bare": bare, "captum": lambda: captum.attribute(x, target=TARGET)},
        rounds * 4,
        warm_up=3,
    )
    lines = [
        compare("Grad-CAM / bare forward", seconds["ours"], seconds["bare"], 1.15),
        compare("Grad-CAM / Captum", seconds["ours"], seconds["captum"]),
    ]
    for entry in [entry for entry in model.layers if entry.main]:
        lines.append(_new_class(model, images, entry.name, entry.recommended, rounds))
    return lines


def _new_class(
    model: xw.ExplainableModel, images: np.ndarray, layer: str, recommended: bool, rounds: int
) -> Line:
    """Compare a second class on the same picture with the first."""
    classes = count()
    firsts: list[float] = []
    seconds: list[float] = []
    for image in (model.prepare(picture) for picture in images[:rounds]):
        for kept in (firsts, seconds):
            started = time.perf_counter()
            xw.explain(model, image, "grad_cam", target=next(classes), layer=layer)
            kept.append(time.perf_counter() - started)
    mark = ", recommended" if recommended else ""
    title = f"new class / first, at {layer}{mark}"
    return compare(title, seconds, firsts, 0.05 if recommended else 0.5)
