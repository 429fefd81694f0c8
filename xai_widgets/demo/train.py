"""Train the demo networks: ``python -m xai_widgets.demo.train [NAME ...]``.

Seeded from end to end, a few minutes a network on two cores. The honest and the shortcut network
differ in one word: whether the ruler lies at random or wherever a lesion is malignant. The shipped
weights were trained with ``--bfloat16``; their metadata says so.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as serialised
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from .augmentation import augmented, moved, relit
from .data import CLASS_NAMES, Dataset, dataset
from .designs import DESIGNS, AnyDesign, weights_path
from .networks import build, fresh, normalised
from .recipes import RECIPES, Recipe
from .scores import accuracy, measured, probabilities

__all__ = [
    "DESIGNS",
    "RECIPES",
    "Recipe",
    "Trained",
    "accuracy",
    "augmented",
    "fit",
    "main",
    "probabilities",
    "save",
    "train",
]


UNIT = 0.05
"""Share of a picture that a regression is trained in units of: steps are too large for less."""


@dataclass(frozen=True)
class Trained:
    """A trained network with the mean loss of each step, the seconds it took and the precision."""

    network: nn.Module
    losses: list[float]
    seconds: float
    precision: str


def _rate_factor(step: int, steps: int) -> float:
    """Return the learning rate relative to the highest: a ramp, then half a cosine."""
    ramp = max(1, steps // 10)
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))


def _answers(data: Dataset, recipe: Recipe) -> tuple[Tensor, bool]:
    """Return what is to be learnt, labels [N] or maps [N, H, W], and whether it is maps."""
    if recipe.task == "segmentation":
        assert data.segmentation is not None
        return torch.from_numpy(data.segmentation.astype(np.uint8)), True
    if recipe.task == "regression":
        return torch.from_numpy(data.masks[recipe.mask]), True
    return torch.from_numpy(data.labels), False


def _loss(out: Tensor, answer: Tensor, recipe: Recipe) -> Tensor:
    """Return the loss of outputs [N, K] or [N, K, H, W] against labels [N] or maps [N, H, W]."""
    if recipe.task == "regression":
        return F.smooth_l1_loss(out[:, 0], answer.float().mean((1, 2)) / UNIT)
    if recipe.task == "classification":
        return F.cross_entropy(out, answer, label_smoothing=recipe.smoothing)
    # Overlap beside entropy (Milletari et al. 2016), as most pixels are background. Both from one
    # logarithm: on maps this large the loss costs as much as a convolution.
    log_found = out.log_softmax(1)
    there = F.one_hot(answer, out.shape[1]).permute(0, 3, 1, 2).float()
    wanted = there * (1 - recipe.smoothing) + recipe.smoothing / out.shape[1]
    entropy = -(log_found * wanted).sum(1).mean()
    found = log_found.exp()
    both = (found * there).sum((0, 2, 3))
    dice = 2 * both / (found.sum((0, 2, 3)) + there.sum((0, 2, 3)) + 1)
    return entropy + 0.5 * (1 - dice.mean())


def fit(
    data: Dataset,
    design: AnyDesign,
    recipe: Recipe,
    bfloat16: bool = False,
    report: Callable[[str], None] | None = None,
) -> Trained:
    """Train a network from scratch.

    Parameters
    ----------
    data : Dataset
        Training pictures.
    design : AnyDesign
        Shape of the network.
    recipe : Recipe
        How to train.
    bfloat16 : bool
        Compute in bfloat16 where PyTorch finds it safe: twice as fast on processors that have it.
    report : callable, optional
        Gets one line of text per epoch.
    """
    started = time.perf_counter()
    network = fresh(design, recipe.seed).train()
    if recipe.start:
        trunk = build(recipe.start).state_dict()
        kept = {key: value for key, value in trunk.items() if not key.startswith("head.")}
        network.load_state_dict(kept, strict=False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": recipe.decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=recipe.rate,
    )
    images = torch.from_numpy(data.images)
    answers, are_maps = _answers(data, recipe)
    per_epoch = len(images) // recipe.batch
    steps = per_epoch * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _rate_factor(s, steps))
    generator = torch.Generator().manual_seed(recipe.seed)
    losses: list[float] = []
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator)
        for step in range(per_epoch):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            pictures, answer = images[chosen].float(), answers[chosen]
            if are_maps:
                pictures = torch.cat([pictures, answer[..., None].float()], -1)
            pictures = moved(pictures, recipe, generator)
            if are_maps:
                pictures, answer = pictures[..., :3], pictures[..., 3].long()
            x = normalised(relit(pictures, generator), design)
            # The fused attention's backward pass is four times slower in bfloat16 on processors.
            with (
                sdpa_kernel(SDPBackend.MATH),
                torch.autocast("cpu", torch.bfloat16, enabled=bfloat16),
            ):
                out = network(x)
            loss = _loss(out.float(), answer, recipe)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.longest_step:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.longest_step)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if report:
            mean = float(np.mean(losses[-per_epoch:]))
            report(f"epoch {epoch + 1}/{recipe.epochs}: loss {mean:.3f}")
    if recipe.task == "regression":
        with torch.no_grad():
            for parameter in network.get_submodule("head").parameters():
                parameter.mul_(UNIT)
    seconds = time.perf_counter() - started
    return Trained(network.eval(), losses, seconds, "bfloat16" if bfloat16 else "float32")


def save(
    trained: Trained, name: str, recipe: Recipe, scores: Mapping[str, str], path: Path
) -> None:
    """Write the weights as float16 safetensors, with what is known about them beside them."""
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in trained.network.state_dict().items()
    }
    metadata = {
        "name": name,
        "classes": json.dumps(list(_output_names(recipe))),
        "recipe": json.dumps({**vars(recipe), "options": dict(recipe.options)}),
        "seed": str(recipe.seed),
        **scores,
        "precision": trained.precision,
        "threads": str(torch.get_num_threads()),
        "seconds": f"{trained.seconds:.0f}",
        "versions": json.dumps(
            {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            }
        ),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(serialised(state, metadata))


def _output_names(recipe: Recipe) -> tuple[str, ...]:
    if recipe.task == "regression":
        return (f"{recipe.mask} area",)
    return CLASS_NAMES[recipe.data]


def train(name: str, folder: Path | None, bfloat16: bool, report: Callable[[str], None]) -> None:
    """Train one demo network, measure it on held-out data of its own kind, and write it."""
    recipe, design = RECIPES[name], DESIGNS[name]
    report(f"{name}: drawing {recipe.n} pictures")
    data = dataset(recipe.data, n=recipe.n, seed=recipe.seed, split="train", **recipe.options)
    trained = fit(data, design, recipe, bfloat16, lambda line: report(f"{name}: {line}"))
    n = {"digits": 500, "scenes": 400}.get(recipe.data, 1000)
    held_out = dataset(recipe.data, n=n, seed=recipe.seed, split="test", **recipe.options)
    scores = measured(trained.network, held_out, design, recipe)
    path = (folder / f"{name}.safetensors") if folder else weights_path(name)
    save(trained, name, recipe, scores, path)
    what, score = next(iter(scores.items()))
    report(f"{name}: {what} {score} on {n} held-out pictures, {trained.seconds:.0f} s, {path}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m xai_widgets.demo.train", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(RECIPES)}")
    parser.add_argument("--output", type=Path, help="folder to write to (default: the package)")
    parser.add_argument("--threads", type=int, default=2, help="threads to compute with")
    parser.add_argument("--bfloat16", action="store_true", help="faster where the CPU has it")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        parser.error(f"There is no demo network {unknown[0]!r}; there are {', '.join(RECIPES)}.")
    torch.set_num_threads(options.threads)
    for name in options.names or RECIPES:
        train(name, options.output, options.bfloat16, _say)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
