"""Weights of a PyTorch module are exchanged for a while and come back as the same objects."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.nets import SIDE, Residual, convolutional, picture, seeded
from xai_widgets.errors import ModelError, TargetError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget


class Tied(nn.Module):
    """One matrix used by two layers, as embeddings and heads of language models share theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.first, self.second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(self.stem(x).mean((2, 3))).tanh())


def batch(n: int = 2) -> Any:
    return np.random.default_rng(0).random((n, SIDE, SIDE, 3), dtype=np.float32)


def state(module: nn.Module) -> list[tuple[Any, ...]]:
    return [
        (name, id(parameter), parameter.data_ptr(), parameter._version, parameter.requires_grad,
         parameter.detach().numpy().tobytes(), parameter.grad)
        for name, parameter in module.named_parameters(remove_duplicate=False)
    ]  # fmt: skip


def doubled(_name: str, weight: Any) -> Any:
    return weight * 2


def test_the_model_computes_with_the_other_weights() -> None:
    module = convolutional()
    model = load(module, input_size=SIDE)
    twin = convolutional()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(2)
    expected = load(twin, input_size=SIDE)
    plain = model.scores(batch())
    with model.changed_weights(doubled):
        np.testing.assert_allclose(model.scores(batch()), expected.scores(batch()), rtol=1e-5)
        np.testing.assert_allclose(
            model.gradients(batch(), ClassTarget(1)).values,
            expected.gradients(batch(), ClassTarget(1)).values,
            rtol=1e-4,
            atol=1e-8,
        )
    assert torch.equal(model.scores(batch()), plain)


@pytest.mark.parametrize(
    "make",
    [convolutional, lambda: seeded(Residual).train(), lambda: convolutional().half(),
     lambda: convolutional().to(memory_format=torch.channels_last), lambda: seeded(Tied)],
)  # fmt: skip
def test_the_users_own_weights_come_back_as_the_same_objects_bit_by_bit(make: Any) -> None:
    module = make()
    next(module.parameters()).requires_grad_(False)
    model = load(module, input_size=SIDE)
    before, told = state(module), (model.fingerprint, model.weight_hash)
    for _ in range(2):
        with model.changed_weights(lambda _n, w: np.full_like(w, np.nan)):
            model.scores(batch())
    with pytest.raises(TargetError), model.changed_weights(doubled):
        model.gradients(batch(), FunctionTarget(lambda outputs: outputs.sum(), "one number"))
    assert state(module) == before
    assert (model.fingerprint, model.weight_hash) == told


def test_a_failure_while_weights_are_made_leaves_the_module_as_it_was() -> None:
    module = seeded(Residual)
    model = load(module, input_size=SIDE)
    before = state(module)

    def failing(name: str, weight: Any) -> Any:
        if name.startswith("layer2"):
            raise ZeroDivisionError
        return weight * 2

    with pytest.raises(ZeroDivisionError), model.changed_weights(failing):
        pass
    with (
        pytest.raises(ModelError, match=r"'layer2.0.conv1.weight' have shape \[1\]"),
        model.changed_weights(lambda n, w: np.ones(1) if n == "layer2.0.conv1.weight" else w),
    ):
        pass
    assert state(module) == before


def test_names_and_values_come_in_the_order_of_the_architecture() -> None:
    module = convolutional()
    model = load(module, input_size=SIDE)
    seen: dict[str, Any] = {}
    with model.changed_weights(lambda name, weight: seen.setdefault(name, weight)):
        pass
    assert list(seen) == [name for name, _ in module.named_parameters()]
    for name, parameter in module.named_parameters():
        np.testing.assert_array_equal(seen[name], parameter.detach())


def test_writing_to_the_given_array_does_not_write_to_the_users_weights() -> None:
    module = convolutional()
    model = load(module, input_size=SIDE)
    before = state(module)

    def in_place(_name: str, weight: Any) -> Any:
        weight *= 3
        return weight

    with model.changed_weights(in_place):
        assert state(module)[0][5] != before[0][5]
    assert state(module) == before


def test_tied_weights_stay_tied_and_are_changed_once() -> None:
    module = seeded(Tied)
    model = load(module, input_size=SIDE)
    names: list[str] = []
    with model.changed_weights(lambda name, weight: names.append(name) or weight * 2):
        assert module.first.weight is module.second.weight
    assert names == ["stem.weight", "stem.bias", "first.weight"]
    assert module.first.weight is module.second.weight


def test_neither_retained_passes_nor_fingerprints_leak_between_weights() -> None:
    model = load(convolutional(), input_size=SIDE)
    image = model.prepare(picture())
    own = model.forward_pass(image)
    fingerprints = {model.fingerprint}
    scores = [own.scores]
    for factor in (1.5, 2.0, 3.0):
        with model.changed_weights(lambda _n, w, factor=factor: w * factor):
            forward = model.forward_pass(image)
            assert forward is not own
            scores.append(forward.scores)
            fingerprints.add(model.fingerprint)
            assert model.weight_hash
    assert len(fingerprints) == 4
    assert len({score.tobytes() for score in scores}) == 4
    assert model.forward_pass(image) is own
    np.testing.assert_array_equal(own.scores, model.scores(image.values[None])[0])


def test_changes_can_be_nested() -> None:
    model = load(convolutional(), input_size=SIDE)
    plain = model.scores(batch())
    with model.changed_weights(doubled):
        twice = model.scores(batch())
        with model.changed_weights(doubled):
            assert not torch.equal(model.scores(batch()), twice)
        assert torch.equal(model.scores(batch()), twice)
    assert torch.equal(model.scores(batch()), plain)


def test_other_threads_wait_until_the_own_weights_are_back() -> None:
    model = load(convolutional(), input_size=SIDE)
    expected = model.scores(batch())
    found: list[torch.Tensor] = []
    other = threading.Thread(target=lambda: found.append(model.scores(batch())))
    with model.changed_weights(doubled):
        other.start()
        model.scores(batch())
    other.join()
    assert torch.equal(found[0], expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_weights_that_cannot_be_exchanged_are_a_sentence() -> None:
    scripted = load(torch.jit.script(convolutional()), input_size=SIDE)
    bare = load(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), input_size=SIDE)
    for model, told in ((scripted, "TorchScript"), (bare, "no weights")):
        assert told in model.capabilities.lacks["weights"]
        with pytest.raises(ModelError, match=told), model.changed_weights(doubled):
            pass


def test_an_exported_programs_weights_can_be_exchanged() -> None:
    program = torch.export.export(convolutional(), (torch.zeros(2, 3, SIDE, SIDE),))
    model = load(program)
    plain = model.scores(batch())
    with model.changed_weights(doubled):
        assert not torch.equal(model.scores(batch()), plain)
    assert torch.equal(model.scores(batch()), plain)
