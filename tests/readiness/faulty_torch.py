"""PyTorch models with one fault each, inside a layer and in the model's own forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIDE = 32
Cutter = Callable[[torch.Tensor], torch.Tensor]


class Step(nn.Module):
    """Applies a function."""

    def __init__(self, function: Cutter) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Net(nn.Module):
    """Stem, fault, body, head. The fault is a layer of its own, or code in the forward."""

    def __init__(self, function: Cutter, as_layer: bool = True) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.fault = Step(function) if as_layer else None
        self.function = function
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.function(x) if self.fault is None else self.fault(x)
        return self.head(self.body(x).mean((2, 3)))


class Around(nn.Module):
    """Calls its stem, its backbone or everything in a context manager such as ``no_grad``."""

    def __init__(self, context: Callable[[], Any], where: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)
        self.context, self.where = context, where

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.where == "all":
            with self.context():
                return self.head(self.body(self.stem(x)).mean((2, 3)))
        with self.context():
            x = self.stem(x)
        return self.head(self.body(x).mean((2, 3)))


class Ending(nn.Module):
    """A sound network with something after its scores."""

    def __init__(self, function: Cutter) -> None:
        super().__init__()
        self.net = Net(lambda x: x)
        self.last = Step(function)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.net(x))


class NoBackward(torch.autograd.Function):
    """Forgets its gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(gradient)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def under_no_grad(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return x * 2


def under_inference_mode(x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return x * 2


def overwritten(x: torch.Tensor) -> torch.Tensor:
    y = torch.sigmoid(x)
    y[:, 0] = 0.5
    return y


def one_hot_of_argmax(x: torch.Tensor) -> torch.Tensor:
    return F.one_hot(x.argmax(1), x.shape[1]).permute(0, 3, 1, 2).float()


CUTS: dict[str, tuple[str, Cutter]] = {
    "no_grad": ("no_grad", under_no_grad),
    "inference_mode": ("inference_mode", under_inference_mode),
    "detach": ("detach", lambda x: x.detach()),
    "data": ("detach", lambda x: x.data),
    "numpy": ("numpy", lambda x: torch.from_numpy(np.tanh(x.detach().numpy()))),
    "asarray": ("numpy", lambda x: torch.tensor(np.asarray(x.detach()) * 2)),
    "tolist": ("item", lambda x: torch.tensor(x.tolist())),
    "item": ("item", lambda x: torch.full_like(x, x.mean().item())),
    "float": ("item", lambda x: torch.ones(x.shape) * float(x.detach().mean())),
    "argmax": ("argmax", one_hot_of_argmax),
    "long": ("integer", lambda x: (x * 10).long().float()),
    "compare": ("integer", lambda x: (x > 0.1).float()),
}
"""What cuts the graph, so that no gradient arrives."""

ZEROS: dict[str, tuple[str, Cutter]] = {
    "round": ("integer", torch.round),
    "sign": ("integer", lambda x: x.sign()),
    "custom": ("custom_gradient", NoBackward.apply),
}
"""What keeps the graph and makes the gradient zero."""


@dataclass(frozen=True)
class Case:
    """A faulty model, and what the check has to say of it."""

    make: Callable[[], nn.Module]
    cause: str
    layer: str
    verdict: str


def batch_norm(x: torch.Tensor) -> torch.Tensor:
    return F.batch_norm(x, None, None, training=True)


CASES: dict[str, Case] = {
    "in place in a layer": Case(
        lambda: Net(overwritten), "in_place", "fault", "layer-gradients-only"
    ),
    "in place in the forward": Case(
        lambda: Net(overwritten, False), "in_place", "stem", "layer-gradients-only"
    ),
    "no_grad around the stem": Case(
        lambda: Around(torch.no_grad, "stem"), "no_grad", "stem", "layer-gradients-only"
    ),
    "no_grad around everything": Case(
        lambda: Around(torch.no_grad, "all"), "no_grad", "stem", "inference-only"
    ),
    "frozen weights, no_grad around the stem": Case(
        lambda: Around(torch.no_grad, "stem").requires_grad_(False),
        "no_grad",
        "stem",
        "layer-gradients-only",
    ),
    "inference_mode around the stem": Case(
        lambda: Around(torch.inference_mode, "stem"), "inference_mode", "stem", "inference-only"
    ),
    "inference_mode around everything": Case(
        lambda: Around(torch.inference_mode, "all"), "inference_mode", "stem", "inference-only"
    ),
    "detached scores": Case(
        lambda: Ending(lambda s: s.detach()), "detach", "last", "inference-only"
    ),
    "NumPy scores": Case(
        lambda: Ending(lambda s: torch.from_numpy(np.exp(s.detach().numpy()))),
        "numpy",
        "last",
        "inference-only",
    ),
    "image through NumPy": Case(
        lambda: nn.Sequential(Step(lambda x: torch.from_numpy(x.numpy() / 2)), Net(lambda x: x)),
        "numpy",
        "0",
        "inference-only",
    ),
    "NaN gradient": Case(
        lambda: Net(lambda x: x + torch.sqrt(x * 0)), "not_finite", "fault", "layer-gradients-only"
    ),
    "tiny gradient": Case(
        lambda: Net(lambda x: x * 1e-13 + 1), "vanishing", "fault", "layer-gradients-only"
    ),
    "dead ReLU": Case(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), Step(lambda x: x - 1e3), nn.ReLU(), nn.Conv2d(4, 8, 3),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
        ),
        "dead",
        "2",
        "layer-gradients-only",
    ),
    "saturated sigmoid": Case(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), Step(lambda x: x * 10 + 1e3), nn.Sigmoid(),
            nn.Conv2d(4, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
        ),
        "saturated",
        "2",
        "layer-gradients-only",
    ),
}  # fmt: skip
for _name, (_cause, _function) in {**CUTS, **ZEROS}.items():
    CASES[f"{_name} in a layer"] = Case(
        lambda f=_function: Net(f), _cause, "fault", "layer-gradients-only"
    )
    if _name != "inference_mode":  # no module ends there: the next convolution refuses to run
        CASES[f"{_name} in the forward"] = Case(
            lambda f=_function: Net(f, False),
            _cause,
            "stem",
            "layer-gradients-only",
        )
