"""Steps of work through a model: looked at, differentiated, traced once, nothing left behind."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from tests.models import keras_nets
from tests.models.nets import SIDE, Residual, Twice, convolutional, picture, seeded
from xai_widgets.errors import LayerError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget, Target

SOURCES: dict[str, Any] = {
    "torch": lambda: seeded(Residual),
    "torch, a layer used twice": lambda: seeded(Twice),
    **{f"keras, {name}": make for name, make in keras_nets.KINDS.items()},
}


@pytest.fixture(scope="module", params=list(SOURCES))
def model(request: pytest.FixtureRequest) -> ExplainableModel:
    source = SOURCES[request.param]()
    return load(source, **({"input_size": (SIDE, SIDE)} if isinstance(source, nn.Module) else {}))


def images(model: ExplainableModel, n: int = 2) -> Any:
    rng = np.random.default_rng(0)
    return rng.random((n, *model.input_shape), dtype=np.float32)


def ascent(model: ExplainableModel, target: Target) -> Any:
    """Return a step that gives gradients and scores of a target."""

    def step(look: Any, pictures: Any) -> tuple[Any, ...]:
        def score(pictures: Any) -> Any:
            return target(look(pictures)[target.layer], model.backend)

        values, (gradient,) = model.backend.gradients(score, (pictures,))
        return gradient, values

    return model.compiled(step, [target.layer])


def test_gradients_through_a_step_are_those_of_the_contract(model: ExplainableModel) -> None:
    given = images(model)
    for target in (ClassTarget(1), *(LayerTarget(layer.name, 1) for layer in model.layers[:2])):
        gradient, values = ascent(model, target)(given)
        expected = model.gradients(given, target)
        for found, wanted in ((gradient, expected.values), (values, expected.scores)):
            wanted = model.backend.to_numpy(wanted)
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(
                model.backend.to_numpy(found), wanted, rtol=1e-4, atol=1e-5 * scale
            )


def test_a_step_sees_several_layers_and_the_outputs_at_once(model: ExplainableModel) -> None:
    given = images(model)
    names = [layer.name for layer in (*model.layers, *model.vector_layers)]
    step = model.compiled(lambda look, x: tuple(look(x)[n] for n in (*names, None)), [*names, None])
    *found, outputs = map(model.backend.to_numpy, step(given))
    recorded = model.recorded(given, names, gradients=False)
    for name, values in zip(names, found, strict=True):
        wanted = model.backend.to_numpy(recorded.activation(name))
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        outputs, model.backend.to_numpy(model.outputs(given)), rtol=1e-4, atol=1e-5
    )


def test_gradients_of_two_layers_together_are_the_sum_of_both(model: ExplainableModel) -> None:
    given = images(model)
    targets = [LayerTarget(layer.name, 0) for layer in model.layers[:2]]

    def step(look: Any, pictures: Any) -> tuple[Any, ...]:
        def score(pictures: Any) -> Any:
            seen = look(pictures)
            return sum(target(seen[target.layer], model.backend) for target in targets)

        return (model.backend.gradients(score, (pictures,))[1][0],)

    (found,) = model.compiled(step, [target.layer for target in targets])(given)
    wanted = sum(model.backend.to_numpy(model.gradients(given, t).values) for t in targets)
    np.testing.assert_allclose(
        model.backend.to_numpy(found), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()
    )


def test_an_unknown_layer_is_refused_before_anything_runs(model: ExplainableModel) -> None:
    with pytest.raises(LayerError, match="There is no layer 'nowhere'"):
        model.compiled(lambda look, x: (x,), ["nowhere"])


def test_keras_traces_a_step_once_and_not_once_per_run() -> None:
    model, traced = load(keras_nets.functional()), []

    def step(look: Any, pictures: Any) -> tuple[Any, ...]:
        traced.append(tf.inside_function())
        return (look(pictures)[None],)

    run = model.compiled(step, [None])
    for seed in range(4):
        run(images(model) + seed)
    assert traced == [True]
    run(images(model, 3))
    assert len(traced) == 2


def test_keras_sees_new_weights_in_an_old_trace() -> None:
    source = keras_nets.functional()
    model = load(source)
    run = model.compiled(lambda look, x: (look(x)[None],), [None])
    given = images(model)
    before = model.backend.to_numpy(run(given)[0])
    source.set_weights([weight * 1.5 for weight in source.get_weights()])
    after = model.backend.to_numpy(run(given)[0])
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, model.backend.to_numpy(model.outputs(given)), rtol=1e-4)


def test_a_pass_ends_behind_the_last_layer_that_is_looked_at() -> None:
    source = convolutional()
    model = load(source, input_size=(SIDE, SIDE))
    ran: list[str] = []
    for name, part in source.named_children():
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    ascent(model, LayerTarget("1", 0))(images(model))
    assert ran == ["0", "1"] or ran == ["0"]  # the hook of the last may come after ours
    ran.clear()
    ascent(model, ClassTarget(0))(images(model))
    assert ran == ["0", "1", "2", "3", "4", "5", "6"]


def test_the_lock_is_held_during_a_step() -> None:
    held = []

    class Lock:
        depth = 0

        def __enter__(self) -> None:
            Lock.depth += 1

        def __exit__(self, *_: object) -> None:
            Lock.depth -= 1

    for source in (convolutional(), keras_nets.functional()):
        model = load(source)
        model.lock = Lock()

        def step(look: Any, pictures: Any) -> tuple[Any, ...]:
            held.append(Lock.depth)
            return (look(pictures)[None],)

        model.compiled(step, [None])(images(model))
    assert len(held) == 2 and min(held) >= 1


def test_pictures_of_a_dataset_may_come_from_inference_mode() -> None:
    model = load(convolutional(), input_size=(SIDE, SIDE))
    with torch.inference_mode():
        gradient, _ = ascent(model, ClassTarget(0))(torch.ones(1, SIDE, SIDE, 3))
    assert np.abs(model.backend.to_numpy(gradient)).max() > 0


def test_a_keras_model_is_left_without_a_trace_of_the_step() -> None:
    source = keras_nets.eager()
    before = {id(part): dict(vars(part)) for part in source._flatten_layers()}
    model = load(source)
    ascent(model, LayerTarget(model.layers[0].name, 0))(images(model))
    after = {id(part): dict(vars(part)) for part in source._flatten_layers()}
    assert {key: sorted(vars_) for key, vars_ in before.items()} == {
        key: sorted(vars_) for key, vars_ in after.items()
    }
    assert isinstance(source, keras.Model) and picture().any()
