"""DeepSHAP averages DeepLIFT over its background, completes, and says where it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.helpers import chunked, linear_model, quick, relative
from tests.explainers.twins import FRAMEWORKS, net, scores, twin
from tests.models.nets import SIDE, picture
from xai_widgets.explainers.registry import methods
from xai_widgets.explainers.run import explain_stream
from xai_widgets.explanation import Explanation
from xai_widgets.models.primitives import Gradients

TARGET = 1


def backgrounds(n: int = 5, side: int = SIDE) -> Any:
    return np.stack([picture(side, side, seed=10 + k) for k in range(n)])


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_completes_over_a_background(framework: str, smooth: bool) -> None:
    model = twin(framework, smooth=smooth)
    background = backgrounds()
    result = quick(model, "deep_shap", target=TARGET, background=background)
    values = np.stack([model.prepare(one).values for one in background])
    mean = float(scores(net(smooth), values, TARGET).mean())
    found = result.diagnostics
    assert found["score_baseline"] == pytest.approx(mean, abs=1e-5)
    assert result.score == pytest.approx(scores(net(smooth), result.image.values, TARGET)[0])
    assert abs(found["convergence_delta_relative"]) < 0.01
    total = result.attribution.sum(dtype=np.float64)
    assert total == pytest.approx(result.score - mean, abs=0.01 * abs(result.score - mean))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_background_is_the_mean_of_its_pictures(framework: str) -> None:
    model = twin(framework)
    background = backgrounds()
    alone = [
        quick(model, "deep_shap", target=TARGET, background=one).attribution for one in background
    ]
    together = quick(model, "deep_shap", target=TARGET, background=background).attribution
    assert relative(together, np.mean(alone, axis=0)) < 1e-4


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_does_not_depend_on_the_chunks(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = twin(framework)
    options = {"target": TARGET, "background": backgrounds()}
    whole = quick(model, "deep_shap", **options)
    for size in (1, 5):
        chunked(model, size, monkeypatch)
        parts = quick(model, "deep_shap", **options)
        assert relative(parts.attribution, whole.attribution) < 1e-4
        assert parts.diagnostics["score_baseline"] == pytest.approx(
            whole.diagnostics["score_baseline"], abs=1e-6
        )


def test_both_frameworks_give_the_same_map() -> None:
    maps = [
        quick(twin(name), "deep_shap", target=TARGET, background=backgrounds()).attribution
        for name in FRAMEWORKS
    ]
    assert relative(*maps) < 1e-3


def test_partial_maps_are_those_of_the_pictures_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin("torch")
    chunked(model, 4, monkeypatch)
    background = backgrounds()
    parameters = {"background": background}
    image = model.prepare(picture())
    seen = list(explain_stream(model, image, "deep_shap", TARGET, None, parameters))
    partials = [item for item in seen if isinstance(item, Explanation)]
    assert len(partials) == 2
    first = quick(model, "deep_shap", target=TARGET, background=background[:2])
    assert relative(partials[0].attribution, first.attribution) < 1e-5


def test_a_linear_model_is_exact() -> None:
    model = linear_model()
    result = quick(model, "deep_shap", picture(8, 8), target=2, background="grey")
    grey = model.prepare(np.full((8, 8, 3), 128, np.uint8)).values
    expected = (result.image.values - grey) * model.source.weight(2)
    np.testing.assert_allclose(result.attribution, expected, atol=1e-5)


def test_the_image_equal_to_its_background_gets_nothing() -> None:
    result = quick(twin("torch"), "deep_shap", picture(), target=0, background=picture())
    assert np.abs(result.attribution).max() == 0
    assert result.diagnostics["convergence_delta_relative"] is None


def test_image_and_references_go_through_the_model_in_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = twin("torch")
    chunked(model, 6, monkeypatch)
    seen: list[Any] = []
    plain = type(model).gradients

    def spy(self: Any, images: Any, target: Any, **options: Any) -> Gradients:
        seen.append((len(images), options.get("rule")))
        half = len(images) // 2
        assert (self.backend.to_numpy(images[:half]) == image.values).all()
        return plain(self, images, target, **options)

    image = model.prepare(picture())
    monkeypatch.setattr(type(model), "gradients", spy)
    quick(model, "deep_shap", image, target=0, background=backgrounds())
    assert seen == [(6, "rescale"), (4, "rescale")]


def test_what_the_rule_cannot_do_exactly_is_named_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = twin("torch")
    notes = {record["method"]: record["note"] for record in methods(model)}
    assert notes["deep_shap"] is None
    monkeypatch.setattr(type(model), "incomplete", ("cumprod", "softmax"))
    notes = {record["method"]: record["note"] for record in methods(model)}
    assert notes["deep_shap"].startswith("Not complete: cumprod, softmax.")
