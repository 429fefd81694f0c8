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
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as serialised
from torch import Tensor, nn
from torch.nn import functional as F

from . import Dataset, dataset
from .networks import DESIGNS, Design, SmallResNet, fresh, normalised, weights_path


@dataclass(frozen=True)
class Recipe:
    """How one demo network is trained.

    Attributes
    ----------
    data : str
        Name of the data set.
    options : mapping
        Options of the data set, for training.
    n : int
        Training pictures, drawn once and augmented anew in every epoch.
    epochs, batch : int
        Passes over the pictures, and pictures per step.
    rate : float
        Highest learning rate; it rises over the first tenth of the steps and falls as a cosine.
    smoothing : float
        Label smoothing: keeps probabilities away from 0 and 1, where gradients vanish.
    decay : float
        Weight decay (AdamW).
    turns, mirrors : bool
        Whether quarter turns and up-down mirrors, or left-right mirrors, keep the class.
    shift_px : int
        Largest random shift.
    seed : int
        Seed of data, weights and augmentation.
    """

    data: str
    options: Mapping[str, str] = field(default_factory=dict)
    n: int = 4000
    epochs: int = 12
    batch: int = 50
    rate: float = 4e-3
    smoothing: float = 0.08
    decay: float = 2e-2
    turns: bool = False
    mirrors: bool = True
    shift_px: int = 6
    seed: int = 1


_LESIONS = Recipe("lesions", {"ruler": "random"}, turns=True)
RECIPES = {
    "lesions": _LESIONS,
    "lesions-shortcut": replace(_LESIONS, options={"ruler": "malignant"}),
    "animals": Recipe("animals", n=5000, epochs=12),
    "digits": Recipe("digits", n=1240, epochs=25, mirrors=False, shift_px=2),
}


@dataclass(frozen=True)
class Trained:
    """A trained network with the mean loss of each step, the seconds it took and the precision."""

    network: SmallResNet
    losses: list[float]
    seconds: float
    precision: str


def augmented(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return uint8 images [N, H, W, 3] mirrored, turned, shifted, relit and with noise.

    The result is float32 in the 0..255 scale.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    n = len(images)
    x = images.float()
    if recipe.mirrors:
        x = torch.where(uniform(0, 1, n, 1, 1, 1) < 0.5, x.flip(2), x)
    if recipe.turns:
        x = torch.where(uniform(0, 1, n, 1, 1, 1) < 0.5, x.flip(1), x)
        x = torch.where(uniform(0, 1, n, 1, 1, 1) < 0.5, x.transpose(1, 2), x)
    s = recipe.shift_px
    if s:
        padded = F.pad(x.permute(0, 3, 1, 2), (s, s, s, s), mode="replicate").permute(0, 2, 3, 1)
        dy, dx = torch.randint(0, 2 * s + 1, (2,), generator=generator).tolist()
        x = padded[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]
    contrast, brightness = uniform(0.8, 1.2, n, 1, 1, 1), uniform(-0.08, 0.08, n, 1, 1, 3) * 255
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * contrast + mean + brightness
    level = uniform(0, 0.05, n, 1, 1, 1) * 255
    x = x + level * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 255)


def _rate_factor(step: int, steps: int) -> float:
    """Return the learning rate relative to the highest: a ramp, then half a cosine."""
    ramp = max(1, steps // 10)
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))


def fit(
    data: Dataset,
    design: Design,
    recipe: Recipe,
    bfloat16: bool = False,
    report: Callable[[str], None] | None = None,
) -> Trained:
    """Train a network from scratch.

    Parameters
    ----------
    data : Dataset
        Training pictures.
    design : Design
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
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    per_epoch = len(images) // recipe.batch
    steps = per_epoch * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _rate_factor(s, steps))
    generator = torch.Generator().manual_seed(recipe.seed)
    losses: list[float] = []
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator)
        for step in range(per_epoch):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            pictures = augmented(images[chosen], recipe, generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = network(normalised(pictures, design))
            loss = F.cross_entropy(logits.float(), labels[chosen], label_smoothing=recipe.smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if report:
            mean = float(np.mean(losses[-per_epoch:]))
            report(f"epoch {epoch + 1}/{recipe.epochs}: loss {mean:.3f}")
    seconds = time.perf_counter() - started
    return Trained(network.eval(), losses, seconds, "bfloat16" if bfloat16 else "float32")


@torch.no_grad()
def probabilities(
    network: nn.Module, images: NDArray[np.uint8], design: Design, batch: int = 100
) -> NDArray[np.float32]:
    """Return the probabilities [N, n_classes] of uint8 images [N, H, W, 3]."""
    chunks = [
        network(normalised(images[i : i + batch], design)).softmax(1).numpy()
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(chunks)


def accuracy(network: nn.Module, data: Dataset, design: Design) -> float:
    """Return the share of pictures whose most probable class is their label."""
    predicted = probabilities(network, data.images, design).argmax(1)
    return float((predicted == data.labels).mean())


def save(trained: Trained, name: str, recipe: Recipe, score: float, n: int, path: Path) -> None:
    """Write the weights as float16 safetensors, with what is known about them beside them."""
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in trained.network.state_dict().items()
    }
    metadata = {
        "name": name,
        "classes": json.dumps(list(_class_names(recipe))),
        "recipe": json.dumps({**vars(recipe), "options": dict(recipe.options)}),
        "seed": str(recipe.seed),
        "accuracy": f"{score:.4f}",
        "accuracy_n": str(n),
        "precision": trained.precision,
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


def _class_names(recipe: Recipe) -> tuple[str, ...]:
    return dataset(recipe.data, n=1).class_names


def train(name: str, folder: Path | None, bfloat16: bool, report: Callable[[str], None]) -> None:
    """Train one demo network, measure it on held-out data of its own kind, and write it."""
    recipe, design = RECIPES[name], DESIGNS[name]
    report(f"{name}: drawing {recipe.n} pictures")
    data = dataset(recipe.data, n=recipe.n, seed=recipe.seed, split="train", **recipe.options)
    trained = fit(data, design, recipe, bfloat16, lambda line: report(f"{name}: {line}"))
    n = 500 if recipe.data == "digits" else 1000
    held_out = dataset(recipe.data, n=n, seed=recipe.seed, split="test", **recipe.options)
    score = accuracy(trained.network, held_out, design)
    path = (folder / f"{name}.safetensors") if folder else weights_path(name)
    save(trained, name, recipe, score, n, path)
    report(f"{name}: {score:.1%} of {n} held-out pictures, {trained.seconds:.0f} s, wrote {path}")


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
