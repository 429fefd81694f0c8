"""The architecture is read off a forward pass: order, shapes, layouts, and what CAM should use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.nets import (
    FAULTS,
    ChannelsLast,
    Contained,
    Deep,
    Linear,
    Residual,
    Twice,
    convolutional,
    picture,
    seeded,
)
from xai_widgets.errors import LayerError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget

transformers = pytest.importorskip("transformers")


def resnet() -> nn.Module:
    config = transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=3
    )
    return transformers.ResNetForImageClassification(config)


def convnext() -> nn.Module:
    config = transformers.ConvNextConfig(
        hidden_sizes=[4, 6, 8], depths=[1, 1, 1], num_stages=3, num_labels=3, image_size=64
    )
    return transformers.ConvNextForImageClassification(config)


def vit() -> nn.Module:
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=32,
        patch_size=8,
    )
    return transformers.ViTForImageClassification(config)


def swin() -> nn.Module:
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
    )
    return transformers.SwinForImageClassification(config)


def loaded(make: Callable[[], nn.Module], side: int = 64) -> ExplainableModel:
    return load(seeded(make), input_size=side)


@pytest.mark.parametrize(
    ("make", "side", "main"),
    [
        (
            resnet,
            64,
            {
                "resnet.embedder.embedder": (32, 32, 4),
                "resnet.encoder.stages.0": (16, 16, 4),
                "resnet.encoder.stages.1": (8, 8, 8),
            },
        ),
        (
            convnext,
            64,
            {
                "convnext.encoder.stages.0": (16, 16, 4),
                "convnext.encoder.stages.1": (8, 8, 6),
                "convnext.encoder.stages.2": (4, 4, 8),
            },
        ),
        (
            Residual,
            64,
            {
                "relu": (32, 32, 4),
                "layer1": (16, 16, 4),
                "layer2": (8, 8, 8),
                "layer3": (4, 4, 8),
            },
        ),
        (convolutional, 32, {"1": (16, 16, 6), "3": (8, 8, 8)}),
        (Contained, 32, {"backbone.1": (16, 16, 4), "backbone": (8, 8, 6)}),
        (Deep, 32, {"10": (8, 8, 4)}),
        (ChannelsLast, 32, {"act": (8, 8, 7)}),
    ],
)
def test_the_main_layers_are_the_ends_of_the_stages_and_the_last_is_recommended(
    make: Callable[[], nn.Module], side: int, main: dict[str, tuple[int, ...]]
) -> None:
    model = loaded(make, side)
    assert {layer.name: layer.shape for layer in model.layers if layer.main} == main
    assert model.recommended_layer == list(main)[-1]
    assert not FAULTS & set(model.capabilities.lacks)


def test_windows_in_place_of_the_batch_are_no_layers() -> None:
    names = {layer.name for layer in loaded(swin, 32).layers}
    assert "swin.encoder.layers.0.blocks.0.layernorm_after" in names
    assert not any(name.endswith("attention.q_proj") for name in names if ".layers.0." in name)


def windowed() -> nn.Module:
    """Return a Swin whose last stage is a single window, [N, T, D] and not [N * windows, T, D]."""
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1] * 3, num_heads=[2] * 3, window_size=4
    )
    return transformers.SwinForImageClassification(config)


@pytest.fixture(scope="module")
def swin_of_windows() -> ExplainableModel:
    return loaded(windowed, 32)


def test_position_biases_that_no_image_moves_are_no_layers(
    swin_of_windows: ExplainableModel,
) -> None:
    every = (*swin_of_windows.layers, *swin_of_windows.vector_layers)
    assert not [layer.name for layer in every if "relative_position" in layer.name]
    assert "swin.encoder.layers.2.blocks.0.attention" in {layer.name for layer in every}


def test_every_layer_has_a_row_for_each_image(swin_of_windows: ExplainableModel) -> None:
    names = [layer.name for layer in (*swin_of_windows.layers, *swin_of_windows.vector_layers)]
    images = np.stack([swin_of_windows.prepare(picture(seed=seed)).values for seed in range(3)])
    passed = swin_of_windows.recorded(images, names, gradients=False)
    assert {name: len(passed.activation(name)) for name in names} == dict.fromkeys(names, 3)


def test_what_pooling_leaves_of_tokens_lies_on_no_grid(swin_of_windows: ExplainableModel) -> None:
    pooler = swin_of_windows.layer("swin.pooler")
    assert pooler.shape == (32, 1)
    assert pooler.grid is None and not pooler.main


class OneAtATime(nn.Module):
    """Takes a single image, and says nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, stride=4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3)).reshape(1, 4))


def test_a_module_that_takes_one_image_at_a_time_shows_its_layers() -> None:
    model = load(seeded(OneAtATime), input_size=32)
    assert [layer.name for layer in model.layers] == ["conv"]
    assert [layer.name for layer in model.vector_layers] == ["head"]


class Prompted(nn.Module):
    """Compares images with two prompts, which are as many as the images of a batch of two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.prompts = nn.Conv2d(3, 4, 3, stride=4), nn.Linear(5, 4)
        self.register_buffer("words", torch.ones(2, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3)) @ self.prompts(self.words).T


def test_as_many_prompts_as_images_are_no_layer() -> None:
    model = load(seeded(Prompted), input_size=32)
    assert [layer.name for layer in (*model.layers, *model.vector_layers)] == ["conv"]


def test_a_model_without_feature_maps_says_so() -> None:
    model = load(seeded(Linear, 8), input_size=8)
    assert "no layer whose output is a feature map" in model.capabilities.lacks["feature_maps"]
    with pytest.raises(LayerError, match="no layer whose output is a feature map"):
        model.resolve_layer(None)
    with pytest.raises(LayerError, match=f"name a layer, such as {model.vector_layers[-1].name!r}"):
        model.resolve_layer(None)


@pytest.mark.parametrize("layer", [None, "1"])
def test_a_model_whose_layers_cannot_be_seen_says_what_tcav_needs(layer: str | None) -> None:
    model = load(torch.jit.script(seeded(convolutional)), input_size=32)
    with pytest.raises(LayerError, match=r"shows no layers: .* TCAV .* need the original model"):
        model.resolve_layer(layer, vectors=True)


def test_layers_come_in_the_order_of_the_forward_pass() -> None:
    names = [layer.name for layer in loaded(Residual).layers]
    wanted = ["conv1", "maxpool", "layer1.0", "layer1", "layer2", "layer3", "avgpool"]
    assert [name for name in names if name in wanted] == wanted
    assert len(names) == len(set(names))


def test_layers_know_their_kind_depth_and_whether_they_are_spatial() -> None:
    layers = {layer.name: layer for layer in loaded(Residual).layers}
    assert layers["layer1.0.conv1"].kind == "Conv2d"
    assert layers["layer1.0.conv1"].depth == 2
    assert layers["layer1"].spatial and not layers["avgpool"].spatial


def test_shapes_are_height_width_channels_for_pictures_that_are_not_square() -> None:
    model = load(seeded(Residual), input_size=(64, 96))
    shapes = {layer.name: layer.shape for layer in model.layers}
    assert shapes["layer2"] == (8, 12, 8)


@pytest.mark.parametrize(
    ("name", "shape"), [("stem", (8, 12, 5)), ("norm", (8, 12, 5)), ("act", (8, 12, 7))]
)
def test_layers_with_channels_last_are_read_with_the_right_axes(
    name: str, shape: tuple[int, ...]
) -> None:
    model = load(seeded(ChannelsLast), input_size=(32, 48))
    assert {layer.name: layer.shape for layer in model.layers}[name] == shape
    forward = model.forward_pass(model.prepare(picture()))
    assert tuple(forward.activation(name).shape) == (1, *shape)
    assert tuple(forward.gradient(ClassTarget(0), name).shape) == (1, *shape)


def test_in_place_operations_after_a_layer_change_neither_activation_nor_gradient() -> None:
    twin = loaded(lambda: Residual(inplace=False), 32)
    model = loaded(Residual, 32)
    image = model.prepare(picture())
    overwritten, plain = model.forward_pass(image), twin.forward_pass(image)
    assert [layer.name for layer in model.layers] == [layer.name for layer in twin.layers]
    np.testing.assert_allclose(overwritten.scores, plain.scores, rtol=1e-6)
    for layer in (layer.name for layer in model.layers):
        np.testing.assert_allclose(
            overwritten.activation(layer), plain.activation(layer), rtol=1e-5, err_msg=layer
        )
        np.testing.assert_allclose(
            overwritten.gradient(ClassTarget(1), layer),
            plain.gradient(ClassTarget(1), layer),
            rtol=1e-4,
            atol=1e-9,
            err_msg=layer,
        )


def test_a_module_that_runs_twice_stands_for_its_last_call() -> None:
    module = seeded(Twice)
    model = load(module, input_size=32)
    image = model.prepare(picture())
    with torch.no_grad():
        x = torch.from_numpy(image.values[None]).permute(0, 3, 1, 2)
        last = module.shared(torch.relu(module.shared(module.stem(x))))
    activation = model.forward_pass(image).activation("shared")
    np.testing.assert_allclose(activation, last.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in model.layers] == ["stem", "shared"]


class Sometimes(nn.Module):
    """Uses one branch for bright pictures and another for dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.bright, self.dark = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.bright if x.mean() > 0.3 else self.dark)(x).mean((2, 3))


def test_a_layer_that_an_image_does_not_reach_is_a_sentence() -> None:
    model = load(seeded(Sometimes), input_size=32)
    forward = model.forward_pass(model.prepare(np.zeros((32, 32, 3), np.uint8)))
    with pytest.raises(LayerError, match="'bright' took no part"):
        forward.activation("bright")


@pytest.mark.parametrize(
    ("name", "told"), [("layer33", "Did you mean 'layer3'"), ("stem", "Known: 'conv1'")]
)
def test_an_unknown_layer_is_refused_with_near_matches(name: str, told: str) -> None:
    with pytest.raises(LayerError, match=told):
        loaded(Residual).resolve_layer(name)
