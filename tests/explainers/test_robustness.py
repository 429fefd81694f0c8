"""Odd pictures and odd models: every method gives a finite map, or one sentence."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.quickly import CONVOLUTIONAL, QUICK
from tests.models.nets import SIDE, Residual, convolutional, picture, seeded
from xai_widgets.errors import ModelError, XaiError
from xai_widgets.explainers.run import explain
from xai_widgets.models.images import open_image
from xai_widgets.models.loading import load

OPTIONS = {"size": SIDE, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}
PICTURES: dict[str, Any] = {
    "one pixel": lambda: picture(1, 1),
    "a row": lambda: picture(1, 40),
    "2000 x 3000": lambda: picture(2000, 3000),
    "grey": lambda: picture(40, 30)[:, :, 0],
    "with alpha": lambda: np.dstack([picture(40, 30), np.full((40, 30), 128, np.uint8)]),
    "black": lambda: np.zeros((40, 30, 3), np.uint8),
    "white": lambda: np.full((40, 30, 3), 255, np.uint8),
    "one colour": lambda: np.full((40, 30, 3), (200, 30, 60), np.uint8),
}


@cache
def odd_picture(kind: str) -> Any:
    """Open it once: the large one takes longer to open than to explain."""
    return open_image(PICTURES[kind]())


def explained(model: Any, image: Any, method: str) -> Any:
    return explain(model, image, method, target=1, **QUICK.get(method, {}))


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_odd_pictures_get_a_finite_map_of_their_size(method: str, kind: str) -> None:
    image = odd_picture(kind)
    result = explained(load(convolutional(), preprocessing=OPTIONS), image, method)
    assert np.isfinite(result.attribution).all()
    assert result.heatmap.shape == image.pixels.shape[:2]


@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_nan_in_the_model_input_gets_a_sentence(method: str) -> None:
    model = load(convolutional(), preprocessing={**OPTIONS, "std": (1.0, 1.0, 1.0)})
    image = model.prepare(picture())
    image.values[3, 3] = np.nan
    with pytest.raises(ModelError, match="NaN or infinite"):
        explained(model, image, method)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_models_of_half_precision_are_explained(method: str, dtype: torch.dtype) -> None:
    full = explained(load(convolutional(), preprocessing=OPTIONS), picture(), method)
    half = explained(load(convolutional().to(dtype), preprocessing=OPTIONS), picture(), method)
    assert np.isfinite(half.attribution).all()
    assert half.attribution.dtype == np.float32
    assert np.corrcoef(half.map.ravel(), full.map.ravel())[0, 1] > 0.6


@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_a_model_in_train_mode_is_explained_as_in_eval_mode(method: str) -> None:
    evaluated = explained(load(seeded(Residual), preprocessing=OPTIONS), picture(), method)
    training = explained(load(seeded(Residual).train(), preprocessing=OPTIONS), picture(), method)
    np.testing.assert_allclose(training.attribution, evaluated.attribution, rtol=1e-4, atol=1e-7)


class Silent(nn.Module):
    """ReLUs that nothing passes: the score does not depend on the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.net = convolutional()
        with torch.no_grad():
            self.net[2].bias.fill_(-1e4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(x)
        return out


@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_where_nothing_reaches_the_score_there_is_a_zero_map_or_a_sentence(method: str) -> None:
    model = load(seeded(Silent), preprocessing=OPTIONS)
    values, message = np.zeros(1), "."
    try:
        values = explained(model, picture(), method).attribution
    except XaiError as error:
        message = str(error)
    assert np.isfinite(values).all()
    assert message.endswith(".") and "\n" not in message
