"""Dense outputs, regression, and several outputs of a PyTorch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.nets import SIDE, Wrapped, convolutional, picture, seeded
from xai_widgets.errors import ModelError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, RegionTarget


class Segmenter(nn.Module):
    """Scores for every cell of a grid a quarter as fine as the picture."""

    def __init__(self, n_classes: int = 3, softmax: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Softplus(), nn.Conv2d(6, 6, 3, 2, 1))
        self.head = nn.Conv2d(6, n_classes, 1)
        self.softmax = softmax

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.head(self.body(x))
        return {"out": scores.softmax(1) if self.softmax else scores}


def batch(n: int) -> Any:
    return np.random.default_rng(0).random((n, SIDE, SIDE, 3), dtype=np.float32)


def by_hand(module: nn.Module, images: Any) -> torch.Tensor:
    with torch.no_grad():
        output = module(torch.from_numpy(images).permute(0, 3, 1, 2))["out"]
    return output.permute(0, 2, 3, 1)


def test_dense_outputs_keep_their_grid_with_the_classes_last() -> None:
    module = seeded(Segmenter)
    model = load(module, input_size=SIDE)
    images = batch(70)  # more than a chunk
    outputs = model.outputs(images)
    assert outputs.shape == (70, 8, 8, 3)
    np.testing.assert_allclose(outputs, by_hand(module, images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.scores(images), outputs.mean(dim=(1, 2)), atol=1e-6)
    assert (model.task, len(model.labels)) == ("segmentation", 3)


def test_the_retained_pass_has_dense_outputs_and_their_means() -> None:
    module = seeded(Segmenter)
    model = load(module, input_size=SIDE)
    image = model.prepare(picture())
    forward = model.forward_pass(image)
    np.testing.assert_allclose(
        forward.outputs, by_hand(module, image.values[None])[0], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(forward.scores, forward.outputs.mean(axis=(0, 1)), rtol=1e-6)


def test_a_region_is_differentiated_as_by_hand() -> None:
    module = seeded(Segmenter)
    model = load(module, input_size=SIDE)
    mask = np.zeros((SIDE, SIDE))
    mask[8:16, 4:20] = 1
    image = model.prepare(picture())
    forward = model.forward_pass(image)
    target = model.resolve_target(RegionTarget(1, mask, versus=2), forward.outputs, image)
    x = torch.from_numpy(image.values[None].copy()).permute(0, 3, 1, 2).requires_grad_()
    cells = module(x)["out"]
    (cells[0, 1, 2:4, 1:5].mean() - cells[0, 2, 2:4, 1:5].mean()).backward()
    assert x.grad is not None
    expected = x.grad.permute(0, 2, 3, 1)
    np.testing.assert_allclose(forward.gradient(target), expected, rtol=1e-3, atol=1e-7)
    found = model.gradients(image.values[None], target)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-7)
    assert float(found.scores[0]) == pytest.approx(model.target_score(forward, target), rel=1e-4)


def test_probabilities_per_pixel_are_recognised() -> None:
    model = load(seeded(Segmenter, softmax=True), input_size=SIDE)
    assert model.outputs_probabilities
    assert not load(seeded(Segmenter), input_size=SIDE).outputs_probabilities


def test_a_prediction_of_a_segmentation_is_the_class_with_most_pixels() -> None:
    model = load(seeded(Segmenter), labels=["a", "b", "c"], input_size=SIDE)
    record = model.predict(picture())[0]
    winners = model.outputs(model.prepare(picture()).values[None])[0].argmax(-1)
    counts = np.bincount(winners.ravel(), minlength=3)
    assert record["label"] == "abc"[int(counts.argmax())]
    assert record["probability"] == pytest.approx(counts.max() / 64)


def test_one_output_is_a_regression_and_several_are_one_if_the_user_says_so() -> None:
    assert load(convolutional(n_classes=1), input_size=SIDE).task == "regression"
    said = load(convolutional(n_classes=2), input_size=SIDE, task="regression")
    assert (said.task, said.is_classifier) == ("regression", False)
    assert said.predict(picture())[0]["probability"] is None
    assert load(convolutional(), input_size=SIDE).task == "classification"


@pytest.mark.parametrize(
    ("make", "task", "told"),
    [
        (convolutional, "detection", "There is no task 'detection'"),
        (convolutional, "segmentation", "one score per picture"),
        (lambda: seeded(Segmenter), "classification", "scores per pixel"),
    ],
)
def test_a_task_that_the_output_does_not_fit_is_refused(make: Any, task: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load(make(), input_size=SIDE, task=task)


TWO = {
    "dict": (lambda s: {"kind": s, "size": s[:, :1] * 2}, "size"),
    "tuple": (lambda s: (s, s[:, :1] * 2), "output 1"),
}


@pytest.mark.parametrize("kind", TWO)
def test_one_of_several_outputs_is_chosen_by_name_or_position(kind: str) -> None:
    after, name = TWO[kind]
    module = Wrapped(after=after)
    first = load(module, input_size=SIDE)
    assert any("2 outputs" in note and "output=" in note for note in first.findings)
    for wanted in (name, 1):
        chosen = load(module, input_size=SIDE, output=wanted)
        assert (chosen.task, len(chosen.labels)) == ("regression", 1)
        assert not any("2 outputs" in note for note in chosen.findings)
        np.testing.assert_allclose(
            chosen.scores(batch(2)), first.scores(batch(2))[:, :1] * 2, rtol=1e-5
        )
        found = chosen.gradients(batch(2), ClassTarget(0)).values
        other = first.gradients(batch(2), ClassTarget(0)).values
        np.testing.assert_allclose(found, 2 * other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("after", "output", "told"),
    [
        (TWO["dict"][0], "sise", "Did you mean 'size'"),
        (TWO["dict"][0], 2, "no output 2: Wrapped returns 2 tensors"),
        (None, "size", "one output: leave output= away"),
        (None, "logits", "before its softmax is not known"),
    ],
)
def test_an_output_that_does_not_exist_is_a_sentence(after: Any, output: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load(Wrapped(after=after), input_size=SIDE, output=output)
