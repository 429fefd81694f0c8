"""Feature visualisation: a step beside the bare forward and backward pass; 16 channels at once.

ResNet-50 of transformers and Keras at 224 px, and the small demo network at 128 px, on PyTorch and
TensorFlow. A step is everything: the Fourier transform, colours, transforms, the model, the way
back, Adam. The pictures that a stream yields in between cost a forward pass each and are not in it;
`visualise` with its 16 of them is timed beside as many bare passes in a line of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import torch

import xai_widgets as xw
from benchmarks.paired import Line, compare, time_in_turn
from xai_widgets.features import objectives
from xai_widgets.features.ascent import Ascent, Problem
from xai_widgets.features.inputs import input_map
from xai_widgets.features.objective import OneEach
from xai_widgets.features.parameterisation import Fourier
from xai_widgets.features.transforms import transforms_of

CLASS = 1
N_CHANNELS = 16


def run(rounds: int = 9) -> list[Line]:
    """Measure everything in this file."""
    lines: list[Line] = []
    for name, model in _models().items():
        batches = (1,) if "50" in name else (1, N_CHANNELS)
        for n in batches:
            lines.append(step_beside_bare(name, model, n, rounds))
        lines.append(together_beside_one_by_one(name, model, max(2, rounds // 3)))
    small = xw.demo.model("animals", "tensorflow")
    lines.append(whole_beside_bare("demo CNN, TensorFlow", small, rounds))
    return lines


def _models() -> dict[str, xw.ExplainableModel]:
    import keras
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    resnet = ResNetForImageClassification(ResNetConfig()).eval()
    return {
        "demo CNN, PyTorch": xw.demo.model("animals", "torch"),
        "demo CNN, TensorFlow": xw.demo.model("animals", "tensorflow"),
        "ResNet-50, PyTorch": xw.load(resnet, preprocessing={"size": 224}),
        "ResNet-50, TensorFlow": xw.load(
            keras.applications.ResNet50(weights=None, classifier_activation=None)
        ),
    }


def _ascent(model: xw.ExplainableModel, n: int) -> Ascent:
    goal = OneEach((objectives.class_score(CLASS),) * n).resolved(model)
    form = Fourier(model.input_shape[:2])
    problem = Problem(model, goal, form, input_map(model), transforms_of("standard"))
    return Ascent(problem, n, 0)


def _step(model: xw.ExplainableModel, n: int) -> Callable[[], object]:
    """Return one step of an ascent of n pictures."""
    ascent, rng = _ascent(model, n), np.random.default_rng(0)
    size = ascent.problem.parameterisation.size
    state: list[Any] = [model.backend.asarray(ascent._start())]
    state += [state[0] * 0, state[0] * 0]
    rates = np.array([0.05, 1.0], np.float32)

    def step() -> object:
        matrix = ascent.problem.transforms.draw(rng, size)
        *state[:], values = ascent._step(*state, matrix, rates)
        return model.backend.to_numpy(values)

    return step


def _bare(model: xw.ExplainableModel, n: int) -> Callable[[], object]:
    """Return the forward and backward pass of n pictures, and nothing around it."""
    source = model.source
    values = np.random.default_rng(0).random((n, *model.input_shape), dtype=np.float32)
    if isinstance(source, torch.nn.Module):
        source.requires_grad_(False)
        batch = torch.from_numpy(values).permute(0, 3, 1, 2)
        batch = batch.contiguous() if n == 1 else batch

        def bare() -> object:
            leaf = batch.clone().requires_grad_(True)
            outputs = source(leaf)
            scores = getattr(outputs, "logits", outputs)[:, CLASS]
            return torch.autograd.grad(scores.sum(), leaf)[0].numpy()

        return bare

    @tf.function
    def backward(batch: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch)
            score = tf.reduce_sum(source(batch, training=False)[:, CLASS])
        return tape.gradient(score, batch)

    images = tf.constant(values)
    return lambda: backward(images).numpy()


def step_beside_bare(name: str, model: xw.ExplainableModel, n: int, rounds: int) -> Line:
    """Compare one step with one bare pass."""
    contenders = {"ours": _step(model, n), "bare": _bare(model, n)}
    seconds = time_in_turn(contenders, rounds, warm_up=2)
    what = f"Feature visualisation, a step of {n} / bare, {name}"
    return compare(what, seconds["ours"], seconds["bare"], 1.15)


def together_beside_one_by_one(name: str, model: xw.ExplainableModel, rounds: int) -> Line:
    """Compare 16 pictures in one batch with 16 steps of one picture."""
    together, alone = _step(model, N_CHANNELS), _step(model, 1)
    contenders = {"together": together, "alone": lambda: [alone() for _ in range(N_CHANNELS)]}
    seconds = time_in_turn(contenders, rounds)
    what = f"Feature visualisation, 16 at once / one by one, {name}"
    return compare(what, seconds["together"], seconds["alone"], 0.7)


def whole_beside_bare(name: str, model: xw.ExplainableModel, rounds: int) -> Line:
    """Compare 128 steps from the call to the result, first tracing included, with bare passes."""
    bare = _bare(model, N_CHANNELS)
    goals = [objectives.class_score(CLASS)] * N_CHANNELS
    contenders = {
        "ours": lambda: xw.visualise(model, goals, n_steps=128),
        "bare": lambda: [bare() for _ in range(128)],
    }
    seconds = time_in_turn(contenders, max(2, rounds // 3), warm_up=0)
    what = f"`visualise`, 128 steps of 16, whole / bare, {name}"
    return compare(what, seconds["ours"], seconds["bare"])
