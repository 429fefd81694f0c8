"""After any call, failed and cancelled ones included, the user's model is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.quickly import CONVOLUTIONAL as METHODS
from tests.explainers.quickly import QUICK
from tests.models.nets import SIDE, Residual, Restless, picture, seeded
from xai_widgets.errors import ModelError
from xai_widgets.explainers.run import explain, explain_stream
from xai_widgets.explanation import Explanation
from xai_widgets.models.loading import load


def quick(model: Any, method: str, image: Any = None, **options: Any) -> Explanation:
    """Explain with few steps."""
    given = picture() if image is None else image
    return explain(model, given, method, **{**QUICK.get(method, {}), **options})


HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def state(module: nn.Module) -> dict[str, Any]:
    """Return everything of a module that a library could change."""
    found: dict[str, Any] = {
        "random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": str(np.random.get_state(legacy=False)),  # noqa: NPY002
        "grad mode": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
    }
    for name, tensor in module.state_dict(keep_vars=True).items():
        found[f"{name} object"] = id(tensor)
        found[f"{name} bits"] = tensor.detach().clone().numpy().tobytes()
        found[f"{name} requires grad"] = tensor.requires_grad
        found[f"{name} grad"] = None if tensor.grad is None else tensor.grad.numpy().tobytes()
        found[f"{name} grad object"] = id(tensor.grad)
    for name, part in module.named_modules():
        found[f"{name} training"] = part.training
        for hooks in HOOKS:
            found[f"{name} {hooks}"] = list(getattr(part, hooks).items())
        found[f"{name} members"] = sorted(set(vars(part)) - {"fails_in"})
    return found


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Assert that the block leaves the module as it was."""
    before = state(module)
    yield
    after = state(module)
    assert {name for name in before if after[name] != before[name]} == set()
    assert after.keys() == before.keys()


def user_model(make: Callable[[], nn.Module] = Restless) -> nn.Module:
    """Return a model in the middle of somebody's work: mixed modes, gradients, a hook."""
    module = seeded(make).train()
    next(module.children()).eval()
    module.head = getattr(module, "head", None) or nn.Identity()
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 0.25)
    module.register_forward_hook(lambda _module, _inputs, output: output)
    return module


def test_the_check_itself_sees_every_change() -> None:
    module = user_model()
    changes: list[Callable[[], Any]] = [
        lambda: module.calls.add_(1),
        lambda: module.eval(),
        lambda: module.conv.weight.requires_grad_(False),
        lambda: module.conv.weight.grad.add_(1),
        lambda: module.bn.register_forward_hook(lambda *_: None),
        lambda: torch.rand(1),
        lambda: np.random.rand(),  # noqa: NPY002
        lambda: setattr(module, "replaced", module.replaced.clone()),
    ]
    for change in changes:
        with pytest.raises(AssertionError), unchanged(module):
            change()


@pytest.mark.parametrize("make", [Restless, Residual])
def test_loading_leaves_the_model_as_it_was(make: Callable[[], nn.Module]) -> None:
    module = user_model(make)
    with unchanged(module):
        load(module)


@pytest.mark.parametrize("make", [Restless, Residual])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_the_model_as_it_was(
    method: str, make: Callable[[], nn.Module]
) -> None:
    module = user_model(make)
    model = load(module, input_size=SIDE)
    with unchanged(module):
        result = quick(model, method)
        model.predict(picture())
        assert np.isfinite(result.attribution).all()


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_a_cancelled_method_leaves_the_model_as_it_was(
    method: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = user_model()
    model = load(module, input_size=SIDE)
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 2))
    with unchanged(module):
        stream = explain_stream(model, model.prepare(picture()), method, 0, None, QUICK.get(method))
        for _ in range(steps):
            next(stream, None)
        stream.close()


@pytest.mark.parametrize(
    ("method", "call"),
    [(method, 0) for method in METHODS]
    + [(method, call) for method in ("smoothgrad", "integrated_gradients") for call in (1, 2, 4)],
)
def test_a_model_that_fails_in_the_middle_is_left_as_it_was(
    method: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = user_model()
    model = load(module, input_size=SIDE)
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 1))
    with unchanged(module):
        module.fails_in = call
        with pytest.raises(ModelError, match="out of memory"):
            quick(model, method, target=0)
        module.fails_in = None
    assert np.isfinite(quick(model, method, target=0).attribution).all()


def test_a_model_that_cannot_be_loaded_is_left_as_it_was() -> None:
    module = user_model()
    module.fails_in = 1
    with unchanged(module), pytest.raises(ModelError, match="out of memory"):
        load(module, input_size=SIDE)


def test_the_picture_is_left_as_it_was_by_a_model_that_writes_its_input() -> None:
    model = load(user_model(), input_size=SIDE)
    pixels = picture()
    image = model.prepare(pixels)
    values = image.values.copy()
    for method in METHODS:
        quick(model, method, image)
    model.scores(image.values[None])
    assert np.array_equal(image.values, values)
    assert np.array_equal(pixels, picture())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_works_inside_the_users_own_mode(method: str, mode: Any) -> None:
    module = seeded(Residual)
    expected = quick(load(module, input_size=SIDE), method).attribution
    with mode():
        found = quick(load(module, input_size=SIDE), method, picture()).attribution
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_a_training_step_of_the_user_goes_on_after_an_explanation_in_its_middle() -> None:
    module = seeded(Residual).train()
    model = load(module, input_size=SIDE)
    image = torch.from_numpy(np.moveaxis(picture() / 255, 2, 0)[None]).float()
    loss = module(image.repeat(2, 1, 1, 1)).sum()
    for method in METHODS:
        quick(model, method)
    loss.backward()
    assert module.fc.weight.grad is not None
