"""Score-CAM equals its formula, whatever the chunks, and works without gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.explainers.helpers import chunked, quick, relative
from tests.explainers.twins import FRAMEWORKS, activation_and_gradient, net, scores, twin
from tests.models.nets import SIDE, picture
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.registry import find
from xai_widgets.explainers.score_cam import channel_masks
from xai_widgets.maps import upsample
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.numpy_backend import NumpyBackend

TARGET = 1


def by_hand(values: Any, layer: str, base: Any, channels: Any = None) -> Any:
    """Return relu(sum of softmax_k(score(b + M_k (x - b)) - score(b)) A_k) on the input grid."""
    a, _ = activation_and_gradient(net(), values, layer, TARGET)
    a = a.astype(np.float32)[:, :, slice(None) if channels is None else channels]
    gains = []
    for k in range(a.shape[2]):
        mask = torch.nn.functional.interpolate(
            torch.from_numpy(a[None, None, :, :, k]), (SIDE, SIDE), mode="bilinear"
        )[0, 0].numpy()
        spread = mask.max() - mask.min()
        mask = (mask - mask.min()) / spread if spread else np.zeros_like(mask)
        seen = base + mask[:, :, None] * (values - base)
        gains.append(float(scores(net(), seen, TARGET)[0] - scores(net(), base, TARGET)[0]))
    weights = np.exp(np.array(gains) - max(gains))
    weights /= weights.sum()
    return upsample(np.maximum((a * weights).sum(axis=2), 0).astype(np.float32), (SIDE, SIDE))


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("baseline", ["zeros", "blur"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_equals_the_formula(framework: str, baseline: str, layer: str) -> None:
    model = twin(framework)
    image = model.prepare(picture())
    result = quick(model, "score_cam", image, target=TARGET, layer=layer, baseline=baseline)
    expected = by_hand(image.values, layer, baseline_values(model, image, baseline))
    assert relative(result.attribution, expected) < 1e-4
    assert result.attribution.min() >= 0 and not result.signed
    assert result.score == pytest.approx(scores(net(), image.values, TARGET)[0], abs=1e-5)


def test_fewer_channels_are_those_that_vary_most() -> None:
    model = twin("torch")
    image = model.prepare(picture())
    a, _ = activation_and_gradient(net(), image.values, "second", TARGET)
    chosen = np.sort(np.argsort(-a.reshape(-1, a.shape[2]).var(axis=0))[:3])
    result = quick(model, "score_cam", image, target=TARGET, layer="second", n_channels=3)
    expected = by_hand(image.values, "second", np.zeros_like(image.values), chosen)
    assert relative(result.attribution, expected) < 1e-4
    assert result.diagnostics["channels"] == 3
    assert str(find("score_cam")(n_channels=3).cost) == "4 forwards"
    assert str(find("score_cam")().cost) == "1 forward per channel of the layer"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_does_not_depend_on_the_chunks(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = twin(framework)
    whole = quick(model, "score_cam", layer="second", target=0).attribution
    chunked(model, 3, monkeypatch)
    parts = quick(model, "score_cam", layer="second", target=0).attribution
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-7)


def test_no_batch_is_larger_than_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin("torch")
    chunked(model, 3, monkeypatch)
    seen: list[int] = []
    plain = ExplainableModel.target_scores

    def spy(self: Any, images: Any, target: Any) -> Any:
        seen.append(len(images))
        return plain(self, images, target)

    monkeypatch.setattr(ExplainableModel, "target_scores", spy)
    quick(model, "score_cam", layer="second", target=0)
    assert seen == [3, 3, 2]


def test_a_constant_channel_masks_everything() -> None:
    maps = np.stack([np.full((2, 2, 1), 5.0), np.arange(4.0).reshape(2, 2, 1)])
    masks = channel_masks(maps, (4, 4), NumpyBackend())
    np.testing.assert_array_equal(masks[0], 0)
    assert masks[1].min() == 0 and masks[1].max() == 1


def test_the_entropy_of_the_weights_tells_one_channel_from_all() -> None:
    flat = quick(twin("torch"), "score_cam", layer="second", target=0)
    assert 0 < flat.diagnostics["weight_entropy"] <= 1
    module = net()
    with torch.no_grad():
        module.head.weight.mul_(1e5)
    from xai_widgets.models.loading import load

    sharp = quick(load(module, input_size=SIDE), "score_cam", layer="second", target=0)
    assert sharp.diagnostics["weight_entropy"] < 0.1
