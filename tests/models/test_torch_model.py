"""A PyTorch module behind the model contract: scores, gradients, what is refused and why."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import (
    FAULTS,
    SIDE,
    Linear,
    NoGrad,
    Residual,
    Wrapped,
    convolutional,
    picture,
    seeded,
)
from xai_widgets.errors import ImageError, ModelError
from xai_widgets.explainers import explain
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.torch_backend import TorchBackend


def batch(n: int, side: int = SIDE, channels: int = 3) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).random((n, side, side, channels), dtype=np.float32)


def test_the_module_sees_the_numpy_memory_itself_as_channels_last() -> None:
    seen: list[torch.Tensor] = []
    module = Wrapped(before=lambda x: seen.append(x) or x)
    model = load(module, input_size=SIDE)
    images = batch(4)
    seen.clear()
    model.scores(images)
    assert [tensor.data_ptr() for tensor in seen] == [images.ctypes.data]
    assert seen[0].shape == (4, 3, SIDE, SIDE)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("n", [1, 64, 65, 130])
def test_scores_in_chunks_equal_scores_at_once(n: int) -> None:
    module = convolutional()
    model = load(module, input_size=SIDE)
    assert model.chunk_size == 64
    images = batch(n)
    with torch.no_grad():
        expected = module(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(model.scores(images), expected, rtol=1e-5, atol=1e-6)


def test_no_more_images_than_a_chunk_pass_through_the_model_at_once() -> None:
    sizes: list[int] = []
    model = load(Wrapped(before=lambda x: sizes.append(len(x)) or x), input_size=SIDE)
    sizes.clear()
    model.scores(batch(130))
    assert sizes == [64, 64, 2]


@pytest.mark.parametrize("target", [ClassTarget(1), ClassTarget(1, versus=2)])
def test_gradients_equal_autograd_by_hand(target: ClassTarget) -> None:
    module = convolutional(nn.Softplus)
    images = batch(3)
    x = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).requires_grad_()
    scores = target(module(x), TorchBackend(torch.device("cpu")))
    (expected,) = torch.autograd.grad(scores.sum(), x)
    found = load(module, input_size=SIDE).gradients(images, target)
    np.testing.assert_allclose(found.values, expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.scores, scores.detach(), rtol=1e-5)


def test_weights_reduce_as_weighting_by_hand() -> None:
    model = load(convolutional(nn.Softplus), input_size=SIDE)
    images, weights = batch(5), np.array([0.5, 1, -2, 0, 3])
    plain = model.gradients(images, ClassTarget(0)).values.numpy()
    reduced = model.gradients(images, ClassTarget(0), weights).values
    assert reduced.shape == (SIDE, SIDE, 3)
    expected = (plain * weights[:, None, None, None]).sum(axis=0)
    np.testing.assert_allclose(reduced, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [convolutional, lambda: seeded(Residual)])
def test_an_image_gets_the_same_gradient_whatever_is_in_its_batch(make: Any) -> None:
    model = load(make().train(), input_size=SIDE)
    images = batch(4)
    together = model.gradients(images, ClassTarget(1))
    alone = model.gradients(images[2:3], ClassTarget(1))
    np.testing.assert_allclose(together.values[2], alone.values[0], rtol=1e-4, atol=1e-7)
    assert float(together.scores[2]) == pytest.approx(float(alone.scores[0]), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precision_are_used_as_they_are(dtype: torch.dtype) -> None:
    model = load(convolutional().to(dtype), input_size=SIDE)
    reference = load(convolutional(), input_size=SIDE)
    found = model.gradients(batch(2), ClassTarget(0))
    assert found.values.dtype == found.scores.dtype == torch.float32
    np.testing.assert_allclose(model.scores(batch(2)), reference.scores(batch(2)), atol=0.02)
    assert not FAULTS & set(model.capabilities.lacks)


OUTPUTS = {
    "tensor": lambda s: s,
    "tuple": lambda s: (s, torch.zeros(1)),
    "list": lambda s: [s],
    "dict": lambda s: {"logits": s, "loss": None},
    "dict with other tensors first": lambda s: {"hidden": s.new_zeros(1, 9), "logits": s},
    "dict without logits": lambda s: {"out": s},
    "fully convolutional": lambda s: s[:, :, None, None],
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_scores_are_found_in_what_the_model_returns(kind: str) -> None:
    model = load(Wrapped(after=OUTPUTS[kind]), input_size=SIDE)
    assert len(model.labels) == 3
    np.testing.assert_allclose(model.scores(batch(2)), load(convolutional()).scores(batch(2)))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (lambda s: s.argmax(1), r"returned shape \[1\] for 1 image: expected scores \[1, K\]"),
        (lambda s: s.argmax(1, keepdim=True), "returned int64 values: expected scores"),
        (lambda s: s[0], r"returned shape \[3\]"),
        (lambda s: s.mean(), r"returned shape \[\]"),
        (lambda s: s[:, :, None], r"returned shape \[1, 3, 1\]"),
        (lambda s: None, "returned a NoneType without a tensor"),
        (lambda s: {"loss": 1.0}, "returned a dict without a tensor"),
        (lambda s: s.numpy(), "returned a ndarray without a tensor"),
    ],
)
def test_outputs_that_are_no_scores_are_refused(after: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load(Wrapped(after=after), input_size=SIDE)


def test_a_model_without_a_batch_axis_is_told_to_keep_it() -> None:
    module = Wrapped(before=lambda x: x[0][None], after=lambda s: s[0])
    with pytest.raises(ModelError, match="keeps the batch axis"):
        load(module, input_size=SIDE)


@pytest.mark.parametrize(("side", "found"), [(28, 28), (64, 64), (128, 128)])
def test_the_input_size_is_found_by_trying(side: int, found: int) -> None:
    model = load(seeded(Linear, side))
    assert model.input_shape == (found, found, 3)
    assert any(f"resized to {found} x {found}" in note for note in model.findings)


def test_a_grey_model_without_convolutions_is_found_by_trying() -> None:
    model = load(nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)))
    assert model.input_shape == (28, 28, 1)


def test_a_grey_convolution_gets_grey_pictures() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = load(module, input_size=(20, 24))
    assert model.input_shape == (20, 24, 1)
    assert model.prepare(picture()).values.shape == (20, 24, 1)


@pytest.mark.parametrize("options", [{"input_size": 30}, {"preprocessing": {"size": (30, 30)}}])
def test_a_wrong_input_size_is_named_with_the_way_out(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"30 x 30 pixels.*input_size=.*mat1 and mat2"):
        load(seeded(Linear, 28), **options)


def test_a_size_that_no_trial_fits_is_a_sentence() -> None:
    with pytest.raises(ModelError, match="input_size="):
        load(seeded(Linear, 27))


def test_the_wrong_number_of_channels_is_a_sentence() -> None:
    with pytest.raises(ModelError, match="3 channels"):
        load(nn.Sequential(nn.Conv2d(5, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


class Configured(nn.Module):
    """A model with a configuration as transformers writes it."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.net = convolutional()
        self.config = type("Config", (), config)()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@pytest.mark.parametrize(
    ("size", "expected"), [(40, (40, 40, 3)), ([40, 48], (40, 48, 3)), ("?", (224, 224, 3))]
)
def test_the_configured_image_size_is_used(size: Any, expected: tuple[int, ...]) -> None:
    assert load(Configured(image_size=size)).input_shape == expected


@pytest.mark.parametrize("id2label", [{0: "a", 1: "b", 2: "c"}, {"0": "a", "1": "b", "2": "c"}])
def test_labels_come_from_the_configuration(id2label: dict[Any, str]) -> None:
    assert load(Configured(id2label=id2label)).labels == ("a", "b", "c")
    given = load(Configured(id2label=id2label), labels=["x", "y", "z"])
    assert given.labels == ("x", "y", "z")


def test_labels_that_do_not_fit_the_outputs_are_refused_or_left_out() -> None:
    with pytest.raises(ModelError, match="2 labels were given for 3 outputs"):
        load(convolutional(), labels=["a", "b"], input_size=SIDE)
    assert load(Configured(id2label={0: "a"})).labels == ("class 0", "class 1", "class 2")


def test_what_was_assumed_is_said() -> None:
    silent = load(
        convolutional(), labels="abc", preprocessing={"size": SIDE, "mean": 0.5, "std": 0.5}
    )
    assert silent.findings == ()
    told = " ".join(load(convolutional().train()).findings)
    for sentence in ("No preprocessing", "No input size", "No labels", "train mode"):
        assert sentence in told


@pytest.mark.parametrize(
    ("after", "expected"),
    [(lambda s: s.softmax(1), True), (lambda s: s, False), (torch.sigmoid, False)],
)
def test_probabilities_are_recognised_and_not_normalised_twice(after: Any, expected: bool) -> None:
    model = load(Wrapped(after=after), input_size=SIDE)
    assert model.outputs_probabilities is expected
    assert any("softmax" in note for note in model.findings) is expected
    scores = model.scores(batch(2))
    probabilities = model.probabilities(scores)
    assert probabilities is not None
    wanted = scores if expected else F.softmax(scores, dim=1)
    np.testing.assert_allclose(probabilities, wanted, rtol=1e-5)


def test_a_single_output_is_no_classifier() -> None:
    model = load(convolutional(n_classes=1), input_size=SIDE)
    assert not model.is_classifier
    assert model.probabilities(model.scores(batch(1))) is None
    assert model.predict(picture())[0]["probability"] is None


def test_predictions_are_records() -> None:
    model = load(convolutional(), labels=["a", "b", "c"], input_size=SIDE)
    records = model.predict([picture(seed=0), picture(50, 40, seed=1)])
    assert len(records) == 2
    for record in records:
        assert record["label"] == "abc"[int(np.argmax(record["scores"]))]
        assert 1 / 3 < record["probability"] < 1


BROKEN_PATHS = {
    "no_grad": NoGrad,
    "inference_mode": lambda: Wrapped(before=torch.inference_mode()(lambda x: x * 1)),
    "detach": lambda: Wrapped(before=lambda x: x.detach()),
    "numpy": lambda: Wrapped(before=lambda x: torch.from_numpy(x.detach().cpu().numpy() * 1)),
    "detached scores": lambda: Wrapped(after=lambda s: s.detach()),
    "rounded": lambda: Wrapped(after=lambda s: s.argsort(1).float()),
}


@pytest.mark.parametrize("kind", BROKEN_PATHS)
def test_a_model_without_a_gradient_path_predicts_and_says_what_it_lacks(kind: str) -> None:
    model = load(BROKEN_PATHS[kind](), input_size=SIDE)
    reason = model.capabilities.reason(("input_gradients",))
    assert reason is not None and reason.endswith((".", "mode"))
    assert "no_grad" in reason or "inference" in reason.lower()
    assert model.predict(picture())[0]["label"].startswith("class ")
    with pytest.raises(ModelError):
        model.gradients(batch(1), ClassTarget(0))


def test_a_detached_input_still_leaves_gradients_at_layers() -> None:
    model = load(Wrapped(before=lambda x: x.detach()), input_size=SIDE)
    assert FAULTS & set(model.capabilities.lacks) == {"input_gradients"}


@pytest.mark.parametrize("kind", ["no_grad", "detached scores", "rounded"])
def test_a_score_without_a_path_lacks_gradients_at_layers_too(kind: str) -> None:
    model = load(BROKEN_PATHS[kind](), input_size=SIDE)
    assert FAULTS & set(model.capabilities.lacks) == {"input_gradients", "layer_gradients"}


def test_gradients_that_are_not_finite_are_named() -> None:
    module = Wrapped(before=lambda x: (x * 0).sqrt() * 1 + x)
    reason = load(module, input_size=SIDE).capabilities.lacks["input_gradients"]
    assert reason == "The gradient at the input is NaN or infinite."


class NoBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 1

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("no backward for this kernel")


def test_a_backward_pass_that_fails_is_a_sentence() -> None:
    model = load(Wrapped(before=NoBackward.apply), input_size=SIDE)
    assert (
        "cannot be computed: no backward for this kernel"
        in (model.capabilities.lacks["input_gradients"])
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_loading_and_gradients_work_inside_the_users_own_mode(mode: Any) -> None:
    expected = load(convolutional(), input_size=SIDE).gradients(batch(2), ClassTarget(0)).values
    module = convolutional()
    with mode():
        model = load(module, input_size=SIDE)
        found = model.gradients(batch(2), ClassTarget(0)).values
        tensor = model.gradients(torch.from_numpy(batch(2)), ClassTarget(0)).values
        forward = model.forward_pass(model.prepare(picture()))
        gradient = forward.gradient(ClassTarget(0))
    assert torch.equal(found, expected) and torch.equal(tensor, expected)
    assert gradient.abs().sum() > 0


def test_a_model_made_in_inference_mode_predicts_and_says_why_no_more() -> None:
    with torch.inference_mode():
        module = convolutional()
    model = load(module, input_size=SIDE)
    assert "inference mode" in model.capabilities.lacks["input_gradients"].lower()
    assert len(model.predict(picture())) == 1
    assert len(model.weight_hash) == 64


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripted_modules_have_input_gradients_and_no_layers() -> None:
    model = load(torch.jit.script(convolutional()), input_size=SIDE)
    assert FAULTS & set(model.capabilities.lacks) == {"feature_maps"}
    assert model.layers == ()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.freeze, torch.jit.optimize_for_inference])
def test_the_weight_hash_sees_weights_that_a_compiler_made_constants(compiled: Any) -> None:
    def hash_with(change: float) -> str:
        torch.manual_seed(0)
        module = convolutional().eval()
        with torch.no_grad():
            next(module.parameters())[0, 0, 0, 0] += change
        return load(compiled(torch.jit.script(module)), input_size=SIDE).weight_hash

    assert hash_with(0.0) == hash_with(0.0) != hash_with(1.0)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "abacus", ""])
def test_an_unknown_device_is_a_sentence(device: str) -> None:
    with pytest.raises(ModelError, match=f"The device '{device}' cannot be used"):
        load(convolutional(), input_size=SIDE, device=device)


def test_on_another_device_a_copy_is_used_and_described(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(module: nn.Module, device: Any) -> tuple[nn.Module, torch.device]:
        return copy.deepcopy(module), torch.device("cpu")

    monkeypatch.setattr("xai_widgets.models.torch_model.on_device", elsewhere)
    module = convolutional()
    model = load(module, input_size=SIDE)
    scores, told = model.scores(batch(1)), model.weight_hash
    with torch.no_grad():
        module[6].bias.add_(1)
    assert torch.equal(model.scores(batch(1)), scores)
    assert model.weight_hash == told, "the hash is that of the weights that were used"
    assert model.source is module


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (1, 1, 8, 8, 3)])
def test_arrays_that_are_no_batch_are_refused(shape: tuple[int, ...]) -> None:
    model = load(seeded(Linear, 8), input_size=8)
    with pytest.raises(ImageError, match=r"expected \[N, H, W, C\]"):
        model.scores(np.zeros(shape, np.float32))


class TestForwardPass:
    def test_it_is_retained_for_the_same_image_and_weights_only(self) -> None:
        model = load(convolutional(), input_size=SIDE)
        first = model.prepare(picture(seed=0))
        retained = model.forward_pass(first)
        assert model.forward_pass(model.prepare(picture(seed=0))) is retained
        other = model.forward_pass(model.prepare(picture(seed=1)))
        assert other is not retained
        with torch.no_grad():
            model.source[0].weight.mul_(1.1)
        assert model.forward_pass(model.prepare(picture(seed=1))) is not other

    def test_a_pass_over_the_memory_cap_is_not_kept(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("xai_widgets.models.torch_model.RETAINED_BYTES", 100)
        model = load(convolutional(), input_size=SIDE)
        image = model.prepare(picture())
        calls: list[int] = []
        handle = model.source.register_forward_hook(lambda *_: calls.append(1))
        for _ in range(2):
            model.forward_pass(image).gradient(ClassTarget(0))
        handle.remove()
        assert len(calls) == 2

    def test_a_new_target_runs_no_forward_pass(self) -> None:
        calls: list[int] = []
        model = load(Wrapped(before=lambda x: calls.append(len(x)) or x), input_size=SIDE)
        forward = model.forward_pass(model.prepare(picture()))
        for layer in (model.recommended_layer, None):
            forward.start_at(layer)
            calls.clear()
            for index in range(3):
                forward.gradient(ClassTarget(index), layer)
            assert calls == []

    def test_scores_and_layer_share_one_pass(self) -> None:
        calls: list[int] = []
        model = load(Wrapped(before=lambda x: calls.append(len(x)) or x), input_size=SIDE)
        image = model.prepare(picture())
        calls.clear()
        explain(model, image, "grad_cam")
        assert calls == [1]

    def test_before_the_layer_nothing_is_recorded(self) -> None:
        recorded: dict[str, bool] = {}
        model = load(convolutional(), input_size=SIDE)
        forward = model.forward_pass(model.prepare(picture()))
        first, last = model.source[0], list(model.source.children())[-1]
        handles = [
            part.register_forward_hook(
                lambda *_, name=name: recorded.update({name: torch.is_grad_enabled()})
            )
            for name, part in [("first", first), ("last", last)]
        ]
        forward.gradient(ClassTarget(0), model.recommended_layer)
        for handle in handles:
            handle.remove()
        assert recorded == {"first": False, "last": True}

    def test_its_scores_and_gradients_equal_those_of_a_batch(self) -> None:
        model = load(convolutional(nn.Softplus), input_size=SIDE)
        image = model.prepare(picture())
        forward = model.forward_pass(image)
        batch_of_one = model.gradients(image.values[None], ClassTarget(1))
        np.testing.assert_allclose(forward.gradient(ClassTarget(1)), batch_of_one.values, atol=1e-7)
        assert forward.scores[1] == pytest.approx(float(batch_of_one.scores[0]))
        assert forward.scores.shape == (3,)
