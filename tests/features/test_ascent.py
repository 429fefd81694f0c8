"""A step of the ascent is that of Adam, and hands pictures over as models run fastest on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import xai_widgets as xw
from tests.models import keras_nets
from tests.models.nets import SIDE, convolutional
from xai_widgets.features import Transforms, objectives
from xai_widgets.features.ascent import Problem, adam_rates
from xai_widgets.features.inputs import input_map
from xai_widgets.features.parameterisation import Pixels


def loaded(framework: str) -> xw.ExplainableModel:
    if framework == "torch":
        return xw.load(convolutional(), input_size=(SIDE, SIDE))
    return xw.load(keras_nets.sequential())


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_steps_are_those_of_adam_as_its_paper_has_it(framework: str) -> None:
    model = loaded(framework)
    backend, rate = model.backend, 0.05
    goal = objectives.class_score(1).resolved(model)
    form = Pixels(model.input_shape[:2])
    problem = Problem(model, goal, form, input_map(model), Transforms(0, 0, 0, 0))
    step = model.compiled(problem.step, goal.layers)

    def gradient(look: Any, parameters: Any) -> Any:
        def value(given: Any) -> Any:
            return problem.value(look, form.pictures(given, backend))

        return backend.gradients(value, (parameters,))[1]

    slope = model.compiled(gradient, goal.layers)
    start = np.stack([form.noise(np.random.default_rng(i), 0.3) for i in range(2)])
    still = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    parameters = backend.asarray(start)
    mean = square = parameters * 0
    expected, m, s = start.astype(np.float64), np.zeros(start.shape), np.zeros(start.shape)
    for t in range(1, 5):
        g = backend.to_numpy(slope(parameters)[0]).astype(np.float64)
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        expected += rate * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
        parameters, mean, square, _ = step(parameters, mean, square, still, adam_rates(rate, t))
        np.testing.assert_allclose(backend.to_numpy(parameters), expected, atol=2e-5)
    assert np.abs(expected - start).max() > 0.1


@pytest.mark.parametrize(("n", "layout"), [(1, torch.contiguous_format), (3, torch.channels_last)])
def test_pictures_reach_a_torch_module_in_the_order_of_memory_that_it_runs_fastest_on(
    n: int, layout: torch.memory_format
) -> None:
    source = convolutional()
    model = xw.load(source, input_size=(SIDE, SIDE))
    seen: list[bool] = []

    def keep(_module: Any, given: Any) -> None:
        seen.append(given[0].is_contiguous(memory_format=layout))

    with source.register_forward_pre_hook(keep):
        xw.visualise(model, [0] * n, n_steps=2)
    assert seen and all(seen)
