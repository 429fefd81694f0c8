"""DeepLIFT's rescale rule on PyTorch: closed forms, and completeness of whole architectures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn

from tests.models.nets import SIDE, Residual, Restless, Twice, convolutional, picture, seeded
from tests.models.test_torch_attention import Encoder, Tokens, beit, written
from tests.models.test_torch_tokens import deit, registers, swin, vit
from xai_widgets.errors import ModelError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget, Target


def pairs(n: int = 2, side: int = SIDE) -> Any:
    """Return pictures and smooth references, [2 n, side, side, 3]."""
    generator = np.random.default_rng(1)
    images = np.stack([picture(side, side, seed=i) for i in range(n)]) / np.float32(255)
    references = images.mean(axis=(1, 2), keepdims=True) + generator.normal(size=images.shape) * 0.1
    return np.concatenate([images, references]).astype(np.float32)


def gap(model: ExplainableModel, target: Target, images: Any) -> float:
    """Return the largest error of completeness, relative to the change of the score."""
    n = len(images) // 2
    found = model.gradients(images, target, rule="rescale")
    values, scores = model.backend.to_numpy(found.values), model.backend.to_numpy(found.scores)
    assert values.shape == (n, *images.shape[1:]) and scores.shape == (2 * n,)
    told = (values.astype(np.float64) * (images[:n] - images[n:])).sum(axis=(1, 2, 3))
    change = scores[:n].astype(np.float64) - scores[n:]
    return float(np.abs((told - change) / change).max())


# Closed forms -----------------------------------------------------------------------------


class TwoLayers(nn.Module):
    """relu(w x + b) summed with weights: two inputs, three hidden units."""

    hidden = torch.tensor([[1.0, 2.0], [-1.0, 1.0], [3.0, -2.0]])
    bias = torch.tensor([-1.0, 0.5, 0.0])
    out = torch.tensor([[2.0, -1.0, 0.5]])

    def __init__(self, activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inputs = x[:, 0].reshape(len(x), -1)[:, :2]
        return self.activation(inputs @ self.hidden.T + self.bias) @ self.out.T


def in_place(x: torch.Tensor) -> torch.Tensor:
    x.relu_()
    return x


RELUS = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "functional": F.relu,
    "in place": in_place,
    "clamp": lambda x: x.clamp(min=0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(1, 3)),
}


@pytest.mark.parametrize("style", RELUS)
def test_a_two_layer_relu_network_equals_its_solution_by_hand(style: str) -> None:
    model = load(seeded(TwoLayers, RELUS[style]), input_size=(1, 2))
    images = np.zeros((2, 1, 2, 3), np.float32)
    images[0, 0, :, 0], images[1, 0, :, 0] = (2.0, 1.0), (0.0, -0.5)
    # Hidden units before the ReLU: (3, -0.5, 4) for the image and (-2, 0, 1) for the reference.
    # Difference quotients: (3 - 0) / (3 + 2) = 0.6; 0 / -0.5 = 0; (4 - 1) / (4 - 1) = 1.
    # Multipliers: 2 * 0.6 * (1, 2) - 1 * 0 * (-1, 1) + 0.5 * 1 * (3, -2) = (2.7, 1.4).
    found = model.gradients(images, ClassTarget(0), rule="rescale")
    np.testing.assert_allclose(found.values[0, 0, :, 0], [2.7, 1.4], rtol=1e-5)
    # Completeness: 2.7 * 2 + 1.4 * 1.5 = 7.5; scores 2 * 3 + 0.5 * 4 = 8 and 0.5 * 1 = 0.5.
    np.testing.assert_allclose(found.scores, [8.0, 0.5], rtol=1e-6)
    # The gradient would say 2 * (1, 2) + 0.5 * (3, -2) = (3.5, 3).
    plain = model.gradients(images[:1], ClassTarget(0)).values
    np.testing.assert_allclose(plain[0, 0, :, 0], [3.5, 3.0], rtol=1e-5)


def single(function: Callable[[torch.Tensor], torch.Tensor]) -> ExplainableModel:
    """Return a model of a function of pictures [N, 3, 2, 2], summed over all but the batch."""

    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(x).flatten(1).sum(1, keepdim=True)

    return load(Sum(), input_size=2)


def noise(low: float = -2, high: float = 2) -> Any:
    return np.random.default_rng(3).uniform(low, high, (4, 2, 2, 3)).astype(np.float32)


ELEMENTWISE = {
    "relu": F.relu,
    "relu6": lambda x: F.relu6(x * 8),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "silu in place": lambda x: F.silu(x * 1, inplace=True),
    "sigmoid": torch.sigmoid,
    "sigmoid_": lambda x: (x * 1).sigmoid_(),
    "tanh": torch.tanh,
    "elu": F.elu,
    "elu in place": lambda x: F.elu(x * 1, 1.3, True),
    "selu": F.selu,
    "celu": F.celu,
    "mish": F.mish,
    "hardswish": lambda x: F.hardswish(x * 3),
    "hardsigmoid": lambda x: F.hardsigmoid(x * 3),
    "hardtanh": F.hardtanh,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "logsigmoid": F.logsigmoid,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3]).to(x)),
    "exp": torch.exp,
    "erf": torch.erf,
    "abs": torch.abs,
    "square": torch.square,
    "cube": lambda x: x**3,
    "power of two": lambda x: 2**x,
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "sin": torch.sin,
}
POSITIVE = {
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "log": torch.log,
    "reciprocal": torch.reciprocal,
    "one over": lambda x: 3.0 / x,
    "power": lambda x: x**1.5,
}


@pytest.mark.parametrize("name", [*ELEMENTWISE, *POSITIVE])
def test_an_activation_gives_its_difference_quotient(name: str) -> None:
    function = {**ELEMENTWISE, **POSITIVE}[name]
    images = noise(0.2, 2) if name in POSITIVE else noise()
    model = single(function)
    assert model.incomplete == ()
    found = model.gradients(images, ClassTarget(0), rule="rescale").values
    one, other = torch.from_numpy(images).double().permute(0, 3, 1, 2).chunk(2)
    expected = ((function(one.clone()) - function(other.clone())) / (one - other)).detach()
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("change", [0.0, 1e-7, 1e-5])
def test_where_nothing_changes_an_activation_gives_its_slope(name: str, change: float) -> None:
    function = ELEMENTWISE[name]
    images = noise()
    images[2:] = images[:2] + np.float32(change)
    model = single(function)
    found = model.gradients(images, ClassTarget(0), rule="rescale").values
    plain = model.gradients(images[:2], ClassTarget(0)).values
    np.testing.assert_allclose(found, plain, rtol=2e-2 if change else 1e-3, atol=1e-3)


def stacked(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[:, :1], x[:, 1:2] + 3


PRODUCTS = {
    "times": lambda a, b: a * b,
    "mul_": lambda a, b: (a * 1).mul_(b),
    "matmul": lambda a, b: a @ b,
    "bmm": lambda a, b: torch.bmm(a[:, 0], b[:, 0]),
    "einsum": lambda a, b: torch.einsum("nchw,ncvw->nhv", a, b),
    "addcmul": lambda a, b: torch.addcmul(a, a, b, value=0.5),
    "baddbmm": lambda a, b: torch.baddbmm(a[:, 0], a[:, 0], b[:, 0], beta=0.3, alpha=2),
    "divide": lambda a, b: a / b,
    "div_": lambda a, b: (a * 1).div_(b),
    "normed": lambda a, b: a / (a.square().sum() * 0 + b),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_and_quotients_of_two_that_change_are_complete(name: str) -> None:
    model = single(lambda x: PRODUCTS[name](*stacked(x)))
    assert model.incomplete == ()
    assert gap(model, ClassTarget(0), noise()) < 1e-4


def test_a_product_shares_its_change_by_the_mean_of_the_other_factor() -> None:
    model = single(lambda x: x[:, :1] * x[:, 1:2])
    images = noise()
    found = model.gradients(images, ClassTarget(0), rule="rescale").values
    middle = (images[:2] + images[2:]) / 2
    expected = np.stack([middle[..., 1], middle[..., 0], 0 * middle[..., 0]], axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_max_pooling_gives_the_whole_change_to_one_place() -> None:
    model = load(nn.Sequential(nn.MaxPool2d(2), nn.Flatten()), input_size=2)
    images = np.zeros((2, 2, 2, 3), np.float32)
    images[0, :, :, 0] = [[1, 5], [2, 3]]
    images[1, :, :, 0] = [[4, 2], [1, 0]]
    images[0, :, :, 1] = [[1, 0], [2, 3]]
    images[1, :, :, 1] = [[7, 2], [1, 0]]
    found = model.gradients(images, FunctionTarget(lambda o: o.sum(1)), rule="rescale").values[0]
    # Rises from 4 to 5 where the image has its maximum: (5 - 4) / (5 - 2).
    np.testing.assert_allclose(found[..., 0], [[0, 1 / 3], [0, 0]], rtol=1e-6)
    # Falls from 7 to 3 where the reference has its maximum: (3 - 7) / (1 - 7).
    np.testing.assert_allclose(found[..., 1], [[4 / 6, 0], [0, 0]], rtol=1e-6)


POOLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "disjoint": nn.MaxPool2d(2),
    "overlapping": nn.MaxPool2d(3, 2, 1),
    "dense": lambda x: F.max_pool2d(x, 3, stride=1),
    "ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "dilated": nn.MaxPool2d(2, dilation=2),
    "adaptive": nn.AdaptiveMaxPool2d((3, 2)),
    "global": lambda x: x.amax((2, 3)),
    "global max": lambda x: x.flatten(2).max(2).values,
    "minimum": lambda x: x.amin(dim=(1, 2), keepdim=True),
    "over channels": lambda x: x.max(1, keepdim=True)[0],
    "maximum": lambda x: torch.maximum(x[:, :1], x[:, 1:2]),
    "minimum of two": lambda x: torch.min(x[:, :1], x[:, 1:2]),
}
NORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "layer norm": lambda x: F.layer_norm(x, [8, 8]),
    "layer norm of channels": lambda x: F.layer_norm(
        x.movedim(1, 3), [3], torch.tensor([1.0, 2.0, 3.0])
    ),
    "rms norm": lambda x: F.rms_norm(x, [8]),
    "group norm": lambda x: F.group_norm(x, 3, torch.tensor([1.0, 2.0, 3.0])),
    "instance norm": lambda x: F.instance_norm(x, weight=torch.tensor([1.0, 2.0, 3.0])),
    "normalize": F.normalize,
    "vector norm": lambda x: torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True),
    "norm": lambda x: x.norm(dim=1),
    "variance": lambda x: x.var((2, 3)),
    "deviation": lambda x: x.std(1, keepdim=True, unbiased=False),
    "written out": lambda x: (
        (x - x.mean(1, True)) / torch.sqrt(x.var(1, keepdim=True, correction=0) + 1e-5)
    ),
    "softmax": lambda x: x.flatten(2).softmax(-1),
    "steep softmax": lambda x: F.softmax(x * 50, 1),
    "log softmax": lambda x: F.log_softmax(x, dim=1),
    "log sum exp": lambda x: x.logsumexp(1),
    "gated linear unit": lambda x: F.glu(x, dim=2),
    "masked": lambda x: x.masked_fill(torch.eye(8, dtype=torch.bool), 0).square(),
}


@pytest.mark.parametrize("name", [*POOLS, *NORMS])
def test_pools_and_normalisations_are_complete(name: str) -> None:
    function = {**POOLS, **NORMS}[name]
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(4096, generator=generator)

    class Mixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = function(x * 2).flatten(1)
            return (out * mixing[: out.shape[1]]).sum(1, keepdim=True)

    model = load(Mixed(), input_size=8)
    assert model.incomplete == ()
    assert gap(model, ClassTarget(0), pairs(2, 8)) < 1e-3


# Architectures ----------------------------------------------------------------------------


def resnet() -> nn.Module:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24], depths=[1, 2, 1], layer_type="bottleneck",
        num_labels=4,
    )  # fmt: skip
    return transformers.ResNetForImageClassification(config)


def convnext() -> nn.Module:
    config = transformers.ConvNextV2Config(
        hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 2, 1], num_labels=4, image_size=64
    )
    module = transformers.ConvNextV2ForImageClassification(config)
    for name, parameter in module.named_parameters():
        if ".grn." in name:  # which start as zeros, that is, without effect
            nn.init.normal_(parameter)
    return module


def alive(module: nn.Module) -> nn.Module:
    """Return a network whose random weights let signals through: batch norms fitted to noise."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        module(torch.rand(8, 3, 64, 64))
    return module


def mobilenet() -> nn.Module:
    config = transformers.MobileNetV2Config(depth_multiplier=0.25, num_labels=4, image_size=64)
    return alive(transformers.MobileNetV2ForImageClassification(config))


def efficientnet() -> nn.Module:
    config = transformers.EfficientNetConfig(
        width_coefficient=0.3, depth_coefficient=0.3, num_labels=4, image_size=64, hidden_dim=384
    )
    return alive(transformers.EfficientNetForImageClassification(config))


def segformer() -> nn.Module:
    config = transformers.SegformerConfig(
        num_labels=3, hidden_sizes=[8, 8], depths=[1, 1], num_attention_heads=[1, 2],
        num_encoder_blocks=2, sr_ratios=[4, 2], patch_sizes=[7, 3], strides=[4, 2],
        mlp_ratios=[2, 2], decoder_hidden_size=8,
    )  # fmt: skip
    return transformers.SegformerForSemanticSegmentation(config)


def eager(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        module = make()
        module.config._attn_implementation = "eager"
        return module

    made.__name__ = f"eager {make.__name__}"
    return made


def gelu() -> nn.Module:
    return convolutional(nn.GELU)


def fused() -> nn.Module:
    return Tokens(F.scaled_dot_product_attention)


def multihead() -> nn.Module:
    return Encoder(False, True)


def exported() -> Any:
    program = torch.export.export(seeded(Residual), (torch.zeros(2, 3, SIDE, SIDE),))
    return program


ARCHITECTURES = [
    (make, 32)
    for make in (convolutional, gelu, Residual, Twice, vit, deit, registers, beit, swin)
] + [
    (eager(vit), 32), (eager(beit), 32), (fused, 32), (Encoder, 32), (multihead, 32),
    (exported, 32), (resnet, 64), (convnext, 64), (mobilenet, 64), (efficientnet, 64),
    (segformer, 64),
]  # fmt: skip


@pytest.mark.parametrize(("make", "side"), ARCHITECTURES, ids=lambda x: getattr(x, "__name__", x))
def test_the_multipliers_of_a_whole_architecture_are_complete(
    make: Callable[[], Any], side: int
) -> None:
    source = make() if make is exported else seeded(make)
    model = load(source, input_size=side)
    assert model.incomplete == ()
    assert gap(model, ClassTarget(1), pairs(2, side)) < 1e-2


def test_fused_and_written_attention_have_the_same_multipliers() -> None:
    images = pairs(1)
    found, expected = (
        load(seeded(Tokens, attend), input_size=32)
        .gradients(images, ClassTarget(1), rule="rescale")
        .values
        for attend in (F.scaled_dot_product_attention, written)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-6)


# The contract -----------------------------------------------------------------------------


def test_plain_gradients_are_not_complete_where_the_rule_is() -> None:
    model = load(seeded(Residual), input_size=SIDE)
    images = pairs()
    found = model.gradients(images[:2], ClassTarget(1))
    told = (found.values.numpy() * (images[:2] - images[2:])).sum(axis=(1, 2, 3))
    scores = model.scores(images)[:, 1].numpy()
    assert np.abs(told / (scores[:2] - scores[2:]) - 1).max() > 0.05


def test_scores_are_the_models_own_for_inputs_and_references() -> None:
    model = load(seeded(vit), input_size=32)
    found = model.gradients(pairs(), ClassTarget(1, versus=2), rule="rescale")
    scores = model.scores(pairs())
    np.testing.assert_allclose(found.scores, scores[:, 1] - scores[:, 2], atol=1e-5)


def test_an_image_gets_the_same_multipliers_whatever_is_in_its_batch() -> None:
    model = load(seeded(vit), input_size=32)
    images = pairs(3)
    together = model.gradients(images, ClassTarget(0), rule="rescale").values
    alone = model.gradients(images[[1, 4]], ClassTarget(0), rule="rescale").values
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-2, atol=1e-6)


def test_weights_reduce_multipliers() -> None:
    model = load(convolutional(), input_size=SIDE)
    plain = model.gradients(pairs(), ClassTarget(0), rule="rescale").values.numpy()
    weights = np.array([0.25, -2.0])
    reduced = model.gradients(pairs(), ClassTarget(0), weights, rule="rescale").values
    np.testing.assert_allclose(reduced, np.tensordot(weights, plain, 1), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "layer"), [(convolutional, "1"), (Residual, "layer2"), (vit, "vit.layers.0")]
)
def test_multipliers_at_a_layer_are_complete_there(
    make: Callable[[], nn.Module], layer: str
) -> None:
    model = load(seeded(make), input_size=32)
    images = pairs()
    found = model.gradients(images, ClassTarget(1), rule="rescale", layer=layer)
    activations = model.activations(images, layer)
    change = activations[:2] - activations[2:]
    told = (found.values * change).flatten(1).sum(1)
    np.testing.assert_allclose(told, found.scores[:2] - found.scores[2:], rtol=1e-3, atol=1e-5)


TARGETS = [
    LayerTarget("2", channel=3),
    LayerTarget("2", channel=3, reduce="max"),
    FunctionTarget(lambda outputs: outputs.softmax(1)[:, 1], "probability"),
    FunctionTarget(lambda outputs: torch.relu(outputs).square().sum(1), "energy"),
]


@pytest.mark.parametrize("target", TARGETS)
def test_targets_that_are_not_linear_are_rescaled_too(target: Target) -> None:
    model = load(convolutional(nn.GELU), input_size=SIDE)
    assert gap(model, target, pairs()) < 1e-3


class Sorted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cumprod(x.flatten(1)[:, :3].sort(1).values, 1)


def test_operations_without_a_rule_are_named_and_differentiated_as_they_are() -> None:
    module = seeded(Sorted)
    model = load(module, input_size=4)
    assert set(model.incomplete) == {"sort", "cumprod"}
    images = pairs(1, 4)
    found = model.gradients(images, ClassTarget(1), rule="rescale").values
    np.testing.assert_allclose(
        found, model.gradients(images[:1], ClassTarget(1)).values, rtol=1e-5, atol=1e-7
    )


def test_the_survey_of_a_model_runs_once_and_only_when_it_is_asked_for() -> None:
    calls: list[int] = []
    module = convolutional()
    model = load(module, input_size=SIDE)
    handle = module.register_forward_hook(lambda *_: calls.append(1))
    assert model.incomplete == model.incomplete == ()
    assert len(calls) == 2  # image and reference
    handle.remove()


class OtherWay(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.mean((2, 3))
        return torch.relu(x) if float(x.detach().mean()) > 0.5 else torch.tanh(x)


def test_a_model_that_goes_another_way_for_the_reference_is_a_sentence() -> None:
    model = load(OtherWay(), input_size=4)
    images = np.stack([np.ones((4, 4, 3)), np.zeros((4, 4, 3))])
    with pytest.raises(ModelError, match="another way for the reference"):
        model.gradients(images, ClassTarget(0), rule="rescale")


def test_an_odd_number_of_images_is_a_sentence() -> None:
    model = load(convolutional(), input_size=SIDE)
    with pytest.raises(ModelError, match="as many references as inputs"):
        model.gradients(pairs()[:3], ClassTarget(0), rule="rescale")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_network_is_a_sentence() -> None:
    model = load(torch.jit.script(convolutional()), input_size=SIDE)
    assert model.incomplete == ("TorchScript",)
    with pytest.raises(ModelError, match="TorchScript"):
        model.gradients(pairs(), ClassTarget(0), rule="rescale")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_complete_within_its_own_rounding(dtype: torch.dtype) -> None:
    half = load(seeded(Residual).to(dtype), input_size=SIDE)
    plain = load(seeded(Residual), input_size=SIDE)
    found = half.gradients(pairs(), ClassTarget(1), rule="rescale").values
    expected = plain.gradients(pairs(), ClassTarget(1), rule="rescale").values
    assert found.dtype == torch.float32
    error = (found - expected).abs().sum() / expected.abs().sum()
    assert error < (0.05 if dtype == torch.float16 else 0.3)


def test_a_restless_module_is_as_before_also_after_a_failure() -> None:
    module = seeded(Restless)
    model = load(module, input_size=SIDE)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    random_state = torch.get_rng_state()
    images = pairs()
    kept = images.copy()
    model.gradients(images, ClassTarget(0), rule="rescale")
    module.fails_in = 1  # in the second of the two passes
    with pytest.raises(ModelError, match="out of memory"):
        model.gradients(images, ClassTarget(0), rule="rescale")
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.grad is None for parameter in module.parameters())
    np.testing.assert_array_equal(images, kept)
