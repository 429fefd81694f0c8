"""A network of two layers whose every explanation can be written down, in both frameworks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

FRAMEWORKS = ("torch", "tensorflow")
HEIGHT, WIDTH, UNITS, CLASSES = 5, 6, 16, 3
PREPROCESSING = {"size": (HEIGHT, WIDTH), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwoLayer:
    """score_k = sum_j out[k, j] * relu(hidden[j] . x + shift[j]) + last[k], in float64.

    Attributes
    ----------
    hidden
        [units, H, W, C].
    shift, out, last
        [units], [classes, units], [classes].
    """

    hidden: Floats
    shift: Floats
    out: Floats
    last: Floats

    def inside(self, x: Any) -> Floats:
        """Return what goes into the ReLUs, [units]."""
        return np.tensordot(self.hidden, np.asarray(x, np.float64), 3) + self.shift

    def score(self, x: Any, k: int) -> float:
        return float(self.out[k] @ np.maximum(self.inside(x), 0) + self.last[k])

    def gradient(self, x: Any, k: int, rule: str | None = None) -> Floats:
        """Return d score / d x, [H, W, C], under a rule for the ReLUs."""
        back, gate = self.out[k], (self.inside(x) > 0).astype(np.float64)
        if rule == "guided":
            back = np.maximum(back, 0)
        if rule == "deconvolution":
            back, gate = np.maximum(back, 0), np.ones_like(gate)
        return np.tensordot(back * gate, self.hidden, 1)

    def integrated(self, x: Any, b: Any, k: int) -> Floats:
        """Return integrated gradients exactly: each unit is active on one stretch of the path."""
        first, last = self.inside(b), self.inside(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = np.where(first != last, first / (first - last), 0.0)
        active = np.select(
            [(first > 0) & (last > 0), (first <= 0) & (last > 0), (first > 0) & (last <= 0)],
            [np.ones(UNITS), 1 - crossing, crossing],
            0.0,
        )
        step = np.asarray(x, np.float64) - np.asarray(b, np.float64)
        return np.tensordot(self.out[k] * active, self.hidden, 1) * step


def two_layer(seed: int = 0) -> TwoLayer:
    """Return fixed random weights; about half of the units are active on a picture."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(0, 0.3, (UNITS, HEIGHT, WIDTH, 3)).astype(np.float32)
    shift = generator.normal(0, 0.3, UNITS).astype(np.float32)
    out = generator.normal(0, 1, (CLASSES, UNITS)).astype(np.float32)
    last = generator.normal(0, 1, CLASSES).astype(np.float32)
    return TwoLayer(*(np.asarray(part, np.float64) for part in (hidden, shift, out, last)))


def in_framework(form: TwoLayer, framework: str, relu: str = "module") -> ExplainableModel:
    """Build and load the network.

    Parameters
    ----------
    relu
        In PyTorch: "module", "functional", "in place" or "method"; in Keras: "module" (a layer),
        "functional" (an op) or "string".
    """
    build = _torch if framework == "torch" else _keras
    return load(build(form, relu), preprocessing=PREPROCESSING)


def _torch(form: TwoLayer, relu: str) -> Any:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(3 * HEIGHT * WIDTH, UNITS)
            self.out = nn.Linear(UNITS, CLASSES)
            self.relu = nn.ReLU(inplace=relu == "in place")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inside = self.hidden(x.flatten(1))
            functions = {"functional": torch.relu, "method": torch.Tensor.relu}
            return self.out(functions.get(relu, self.relu)(inside))

    net = Net().eval()
    flat = form.hidden.transpose(0, 3, 1, 2).reshape(UNITS, -1)
    with torch.no_grad():
        net.hidden.weight.copy_(torch.from_numpy(flat.copy()))
        net.hidden.bias.copy_(torch.from_numpy(form.shift))
        net.out.weight.copy_(torch.from_numpy(form.out))
        net.out.bias.copy_(torch.from_numpy(form.last))
    return net


def _keras(form: TwoLayer, relu: str) -> Any:
    import keras

    layers = keras.layers
    image = keras.Input((HEIGHT, WIDTH, 3))
    activation = "relu" if relu == "string" else None
    x = layers.Dense(UNITS, activation=activation, name="hidden")(layers.Flatten()(image))
    if relu == "module":
        x = layers.ReLU(name="relu")(x)
    if relu == "functional":
        x = keras.ops.relu(x)
    model = keras.Model(image, layers.Dense(CLASSES, name="out")(x), name="two_layer")
    model.get_layer("hidden").set_weights([form.hidden.reshape(UNITS, -1).T, form.shift])
    model.get_layer("out").set_weights([form.out.T, form.last])
    return model


def picture(seed: int = 3) -> npt.NDArray[np.uint8]:
    """Return a picture of the network's size."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
