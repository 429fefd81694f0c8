"""The same weights in PyTorch and Keras give the same rules, attention, tokens and targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import keras
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import picture
from tests.parity.test_frameworks import maps_differ
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget, RegionTarget

L = keras.layers
SIDE, WIDTH, HEADS = 16, 8, 2
Pair = tuple[ExplainableModel, ExplainableModel]


class Convolutional(nn.Module):
    """ReLU, max pooling, ReLU6 written out, a squeeze-and-excite gate and GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6, eps=1e-3)
        self.second = nn.Conv2d(6, 8, 3, padding=1)
        self.squeeze = nn.Linear(8, 4)
        self.excite = nn.Linear(4, 8)
        self.third = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.norm(self.first(x))), 3, 2)
        x = F.relu6(self.second(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))
        x = F.gelu(self.third(x * gate[:, :, None, None]))
        return self.head(x.mean((2, 3)))


def convolutional_twin() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(6, 3, padding="same", name="first")(image)
    x = L.Activation("relu")(L.BatchNormalization(epsilon=1e-3, name="norm")(x))
    x = L.MaxPooling2D(3, 2)(x)
    x = L.ReLU(max_value=6)(L.Conv2D(8, 3, padding="same", name="second")(x))
    gate = L.Dense(4, activation="relu", name="squeeze")(L.GlobalAveragePooling2D()(x))
    gate = L.Dense(8, activation="sigmoid", name="excite")(gate)
    x = L.Multiply()([x, L.Reshape((1, 1, 8))(gate)])
    x = L.Conv2D(8, 1, activation="gelu", name="third")(x)
    return keras.Model(image, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x)))


class Transformer(nn.Module):
    """Patches and a class token through one block with fused attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.norm1 = nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm2 = nn.LayerNorm(WIDTH)
        self.wide = nn.Linear(WIDTH, 16)
        self.narrow = nn.Linear(16, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Any) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        y = self.norm1(x)
        q, k, v = (
            part(y).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        x = x + self.narrow(F.gelu(self.wide(self.norm2(x))))
        return self.head(self.norm(x)[:, 0])


class Token(L.Layer):
    """One learned token in front of the others."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, x: Any) -> Any:
        first = keras.ops.repeat(self.token, keras.ops.shape(x)[0], axis=0)
        return keras.ops.concatenate([first, x], axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[1] + 1, shape[2])


def transformer_twin() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Reshape((16, WIDTH))(L.Conv2D(WIDTH, 4, 4, name="patches")(image))
    x = Token(name="token")(x)
    y = L.LayerNormalization(epsilon=1e-5, name="norm1")(x)
    x = x + L.MultiHeadAttention(HEADS, WIDTH // HEADS, name="attention")(y, y)
    y = L.LayerNormalization(epsilon=1e-5, name="norm2")(x)
    y = L.Dense(WIDTH, name="narrow")(L.Dense(16, activation="gelu", name="wide")(y))
    x = L.LayerNormalization(epsilon=1e-5, name="norm")(x + y)
    return keras.Model(image, L.Dense(3, name="head")(x[:, 0]))


class Dense(nn.Module):
    """A score for each pixel and class."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.classes = nn.Conv2d(6, 4, 1)

    def forward(self, x: Any) -> Any:
        return self.classes(F.gelu(self.first(x)))


def dense_twin() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Activation("gelu")(L.Conv2D(6, 3, padding="same", name="first")(image))
    return keras.Model(image, L.Conv2D(4, 1, name="classes")(x))


def with_weights(module: nn.Module) -> dict[str, Any]:
    """Draw the module's weights from NumPy, and return them."""
    generator = np.random.default_rng(0)
    drawn = {}
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        shape = tuple(tensor.shape)
        size = max(1, int(np.prod(shape[1:])))
        values = generator.normal(0, 1 / np.sqrt(size), shape)
        if "norm" in name and name.endswith(("weight", "var")):
            values = generator.uniform(0.6, 1.4, shape)
        elif name.endswith(("bias", "mean")):
            values = generator.normal(0, 0.2, shape)
        drawn[name] = values.astype(np.float32)
    module.load_state_dict(
        {name: torch.from_numpy(values) for name, values in drawn.items()}, strict=False
    )
    return drawn


def fill(model: keras.Model, drawn: dict[str, Any]) -> keras.Model:
    for layer in model.layers:
        name = layer.name
        if isinstance(layer, L.MultiHeadAttention):
            parts = ("query", "key", "value")
            values = [
                value
                for part in parts
                for value in (
                    drawn[f"{part}.weight"].T.reshape(WIDTH, HEADS, -1),
                    drawn[f"{part}.bias"].reshape(HEADS, -1),
                )
            ]
            out = drawn["out.weight"].T.reshape(HEADS, -1, WIDTH)
            layer.set_weights([*values, out, drawn["out.bias"]])
        elif isinstance(layer, Token):
            layer.set_weights([drawn["token"]])
        elif isinstance(layer, L.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([drawn[f"{name}.{part}"] for part in names])
        elif layer.weights:
            kernel = drawn[f"{name}.weight"]
            kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
            layer.set_weights([kernel, drawn[f"{name}.bias"]])
    return model


def twins(module: nn.Module, model: keras.Model) -> Pair:
    filled = fill(model, with_weights(module.eval()))
    return load(module, input_size=SIDE), load(filled, input_size=SIDE)


@pytest.fixture(scope="module")
def convolutional() -> Pair:
    return twins(Convolutional(), convolutional_twin())


@pytest.fixture(scope="module")
def transformer() -> Pair:
    return twins(Transformer(), transformer_twin())


@pytest.fixture(scope="module")
def dense() -> Pair:
    return twins(Dense(), dense_twin())


def images(n: int = 4) -> Any:
    return np.random.default_rng(1).random((n, SIDE, SIDE, 3), dtype=np.float32)


def assert_equal_maps(pair: Pair, found: Any, expected: Any) -> None:
    torch_model, keras_model = pair
    expected = torch_model.backend.to_numpy(expected)
    found = keras_model.backend.to_numpy(found)
    assert found.shape == expected.shape and np.abs(expected).max() > 0
    median, l1, largest = maps_differ(found, expected)
    assert median <= 1e-4
    assert l1 <= 1e-3
    assert largest <= 1e-2


@pytest.mark.parametrize("rule", [None, "guided", "deconvolution", "rescale"])
@pytest.mark.parametrize("target", [ClassTarget(1), ClassTarget(2, versus=0)])
def test_a_rule_gives_the_same_maps(
    convolutional: Pair, rule: str | None, target: ClassTarget
) -> None:
    maps = [model.gradients(images(), target, rule=rule).values for model in convolutional]
    assert_equal_maps(convolutional, maps[1], maps[0])
    half = rule == "rescale"
    weights = np.array([1.0, -2.0] if half else [1.0, -2.0, 0.5, 0.1])
    maps = [model.gradients(images(), target, weights, rule).values for model in convolutional]
    assert_equal_maps(convolutional, maps[1], maps[0])


def test_what_is_lacking_is_the_same(convolutional: Pair, transformer: Pair, dense: Pair) -> None:
    for pair in (convolutional, transformer, dense):
        assert set(pair[0].capabilities.lacks) == set(pair[1].capabilities.lacks)
        assert pair[0].incomplete == pair[1].incomplete == ()
        assert pair[0].task == pair[1].task


def test_a_transformers_multipliers_are_the_same(transformer: Pair) -> None:
    maps = [
        model.gradients(images(), ClassTarget(1), rule="rescale").values for model in transformer
    ]
    assert_equal_maps(transformer, maps[1], maps[0])


def test_attention_and_its_gradients_are_the_same(transformer: Pair) -> None:
    passes = [model.attention(model.prepare(picture(SIDE, SIDE))) for model in transformer]
    shapes = [[(y.heads, y.tokens, y.grid, y.windows) for y in seen.layers] for seen in passes]
    assert shapes[0] == shapes[1]
    assert_equal_maps(transformer, passes[1].weights(0), passes[0].weights(0))
    gradients = [seen.gradients(ClassTarget(2))[0] for seen in passes]
    assert_equal_maps(transformer, gradients[1], gradients[0])


def test_tokens_lie_on_the_same_grid_with_the_same_gradients(transformer: Pair) -> None:
    assert [model.recommended_layer for model in transformer] == ["norm1", "norm1"]
    found = []
    for model in transformer:
        forward = model.forward_pass(model.prepare(picture(SIDE, SIDE)))
        assert model.layer("norm1").grid == transformer[0].layer("norm1").grid
        found.append(model.feature_map("norm1", forward.gradient(ClassTarget(0), "norm1")))
    assert_equal_maps(transformer, found[1], found[0])
    found = [model.gradients(images(), LayerTarget("norm1", 3)).values for model in transformer]
    assert_equal_maps(transformer, found[1], found[0])


def test_regions_and_layers_of_dense_models_are_the_same(dense: Pair) -> None:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[2:7, 5:11] = 1 / 30
    targets = (
        RegionTarget(1, mask, versus=3),
        ClassTarget(2),
        LayerTarget("first", 2, (3, 4)),
        LayerTarget("first", 1, reduce="max"),
    )
    for target in targets:
        for rule in (None, "rescale"):
            found = [model.gradients(images(), target, rule=rule) for model in dense]
            assert_equal_maps(dense, found[1].values, found[0].values)
            np.testing.assert_allclose(
                found[1].scores,
                dense[0].backend.to_numpy(found[0].scores),
                rtol=1e-4,
                atol=1e-5,
            )
