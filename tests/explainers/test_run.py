"""`explain` and its stream: progress, cancelling, edge cases, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import METHODS, QUICK, chunked, linear_model, quick, smooth_model
from tests.models.nets import SIDE, Linear, NoGrad, Wrapped, convolutional, picture, seeded
from xai_widgets.errors import (
    ImageError,
    LayerError,
    MethodError,
    ModelError,
    TargetError,
    XaiError,
)
from xai_widgets.explainers.base import Progress
from xai_widgets.explainers.run import explain, explain_stream
from xai_widgets.explanation import Explanation
from xai_widgets.models.loading import load


def steps(
    model: Any, method: str, partials: bool = True, **parameters: Any
) -> tuple[list[Any], Explanation]:
    """Run a stream to its end; return what it yielded and what it returned."""
    given = {**QUICK.get(method, {}), **parameters}
    stream = explain_stream(model, model.prepare(picture()), method, 0, None, given, partials)
    seen = []
    while True:
        try:
            seen.append(next(stream))
        except StopIteration as stop:
            return seen, stop.value


@pytest.mark.parametrize("method", METHODS)
def test_progress_rises_and_stays_below_the_end(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smooth_model()
    chunked(model, 1, monkeypatch)
    seen, result = steps(model, method)
    progress = [item for item in seen if isinstance(item, Progress)]
    assert progress, "a stream yields before it ends, so that it can be cancelled"
    done = [item.done for item in progress]
    assert done == sorted(set(done))
    assert all(0 <= item.done < item.total for item in progress)
    assert len({item.total for item in progress}) == 1
    assert isinstance(result, Explanation)


@pytest.mark.parametrize(
    ("method", "n", "parameters"),
    [("integrated_gradients", 3, {"n_steps": 8}), ("smoothgrad", 4, {"n_samples": 5})],
)
def test_partial_explanations_come_nearer_to_the_last(
    method: str, n: int, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smooth_model()
    chunked(model, 1, monkeypatch)
    seen, result = steps(model, method, **parameters)
    partials = [item for item in seen if isinstance(item, Explanation)]
    assert len(partials) == n
    errors = [np.abs(partial.map - result.map).sum() for partial in partials]
    assert errors[-1] < errors[0]
    for partial in partials:
        assert partial.target == result.target
        assert partial.heatmap.shape == result.heatmap.shape
        assert partial.score == pytest.approx(result.score, abs=1e-5)
    seen, alone = steps(model, method, partials=False, **parameters)
    assert not [item for item in seen if isinstance(item, Explanation)]
    np.testing.assert_array_equal(alone.attribution, result.attribution)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_what_was_explained_before(method: str) -> None:
    model = smooth_model()
    alone = quick(smooth_model(), method).attribution
    for other in METHODS:
        quick(model, other, picture(40, 50, seed=5))
    np.testing.assert_array_equal(quick(model, method).attribution, alone)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.full((SIDE, SIDE, 3), 255, np.uint8),
        np.full((1, 1, 3), 90, np.uint8),
        np.full((1, 700, 3), 90, np.uint8),
        picture()[:, :, 0],
    ],
    ids=["black", "white", "1 x 1", "1 x 700", "grey"],
)
def test_every_picture_gives_a_finite_map_on_its_own_grid(method: str, image: Any) -> None:
    result = quick(smooth_model(), method, image)
    assert np.isfinite(result.attribution).all()
    assert result.heatmap.shape == image.shape[:2]
    assert np.isfinite(result.heatmap).all()


def test_a_large_picture_gives_a_map_on_its_own_grid() -> None:
    pixels = np.repeat((np.arange(3000) % 251).astype(np.uint8)[None, :, None], 2000, axis=0)
    result = quick(smooth_model(), "gradient", np.repeat(pixels, 3, axis=2))
    assert result.heatmap.shape == (2000, 3000)
    assert np.isfinite(result.heatmap).all() and np.abs(result.heatmap).max() > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_reacts_to_no_picture_is_refused_not_drawn(method: str) -> None:
    module = convolutional()
    with torch.no_grad():
        module[2].weight.zero_()
        module[2].bias.fill_(-1)
    model = load(module, input_size=SIDE)
    with pytest.raises(
        MethodError, match=r"The gradient at .* is (zero everywhere|next to nothing)"
    ):
        quick(model, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_gives_nan_is_a_sentence(method: str) -> None:
    model = load(Wrapped(after=lambda s: s * float("nan")), input_size=SIDE)
    with pytest.raises(XaiError, match="NaN or infinite"):
        quick(model, method)


@pytest.mark.parametrize("method", METHODS)
def test_preprocessing_that_gives_nan_is_a_sentence(method: str) -> None:
    def dark_is_nan(image: Any) -> Any:
        values = np.asarray(image.resize((SIDE, SIDE)), np.float32)
        return np.where(values < 40, np.nan, values / 255)

    model = load(convolutional(), preprocessing=dark_is_nan)
    with pytest.raises(XaiError, match="NaN or infinite"):
        quick(model, method, picture() // 8)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "grad_cam"])
def test_a_gradient_that_overflows_on_one_image_is_a_sentence(method: str) -> None:
    model = load(Wrapped(before=lambda x: x + x.mean().sqrt()), input_size=SIDE)
    assert np.isfinite(quick(model, method).attribution).all()
    with pytest.raises(ModelError, match="the gradient of this model overflows on this image"):
        quick(model, method, np.zeros((SIDE, SIDE, 3), np.uint8))


def test_a_raw_model_and_a_path_are_enough(tmp_path: Any) -> None:
    from PIL import Image

    Image.fromarray(picture(40, 50)).save(tmp_path / "cat.png")
    result = explain(convolutional(), tmp_path / "cat.png", n_steps=2)
    assert result.method == "integrated_gradients"
    assert result.heatmap.shape == (40, 50)
    assert result.provenance["image"]["name"] == "cat.png"


def test_the_predicted_class_is_the_target_unless_told_otherwise() -> None:
    model = smooth_model()
    best = int(np.argmax(model.predict(picture())[0]["scores"]))
    result = quick(model, "gradient")
    assert result.target.index == best
    assert result.target_text == model.labels[best]
    assert result.score == pytest.approx(float(model.predict(picture())[0]["scores"][best]))


@pytest.mark.parametrize(
    ("error", "options", "told"),
    [
        (MethodError, {"method": "grad-cam"}, "no method 'grad-cam'. Did you mean 'grad_cam'"),
        (MethodError, {"method": None}, "no method None"),
        (TargetError, {"target": "class 7"}, "Did you mean 'class"),
        (TargetError, {"target": 3}, "There is no class 3"),
        (LayerError, {"method": "grad_cam", "layer": "5555"}, "There is no layer '5555'"),
        (ImageError, {"image": "nowhere.png"}, "no image file"),
        (ImageError, {"image": np.full((4, 4), np.nan)}, "NaN"),
        (MethodError, {"method": "smoothgrad", "seed": -1}, "from 0 to"),
        (MethodError, {"method": "smoothgrad", "noise_level": "loud"}, "give a number"),
        (MethodError, {"method": "gradient", "n_steps": 3}, "Gradient has no parameter 'n_steps'"),
    ],
)
def test_bad_input_is_one_sentence(error: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(error, match=told) as raised:
        explain(smooth_model(), **{"image": picture(), **options})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "grad_cam"])
def test_a_model_without_a_gradient_path_is_refused_with_its_reason(method: str) -> None:
    with pytest.raises(MethodError, match=r"cannot explain this model.*no_grad"):
        quick(load(NoGrad(), input_size=SIDE), method)


def test_one_output_is_explained_as_it_is() -> None:
    result = quick(load(convolutional(n_classes=1), input_size=SIDE), "gradient")
    assert result.target.index == 0


def test_non_square_inputs_are_explained() -> None:
    model = load(convolutional(), input_size=(24, 40))
    for method in METHODS:
        assert quick(model, method, picture(30, 30)).map.shape == (24, 40)


def test_the_score_and_the_sum_of_a_linear_model_agree() -> None:
    model = linear_model()
    result = quick(model, "input_x_gradient", target=1)
    bias = float(model.source.head.bias[1].detach())
    assert result.attribution.sum() + bias == pytest.approx(result.score, abs=1e-4)


def test_a_grey_model_explains_a_colour_picture() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 15 * 15, 2)
    )
    model = load(seeded(lambda: module), input_size=SIDE)
    for method in METHODS:
        result = quick(model, method, picture(50, 60))
        assert result.heatmap.shape == (50, 60)
    assert result.map.shape == (SIDE, SIDE)


def test_a_linear_model_of_another_size_still_reads_large_pictures() -> None:
    result = quick(load(seeded(Linear, 8), input_size=8), "gradient", picture(300, 200))
    assert result.map.shape == (8, 8) and result.heatmap.shape == (300, 200)
