"""Suggestions are the unmarked superpixels that look most like a concept to the layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

from tests.models.nets import seeded
from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.suggestions import Suggestion, suggest
from xai_widgets.errors import ConceptError, LayerError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.loading import load
from xai_widgets.regions import region_mask
from xai_widgets.superpixels import segment

SIDE = 64
RED, GREEN = np.array([1.0, -0.5, -0.5]), np.array([-0.5, 1.0, -0.5])


def coloured(red: tuple[int, int] | None, green: tuple[int, int] | None = (40, 4)) -> Any:
    """Return a grey picture with squares of 16 pixels at (row, column)."""
    pixels = np.random.default_rng(0).integers(118, 138, (SIDE, SIDE, 3)).astype(np.uint8)
    for place, colour in ((red, (220, 20, 20)), (green, (20, 220, 20))):
        if place is not None:
            row, column = place
            pixels[row : row + 16, column : column + 16] = colour
    return pixels


def mean_colours(framework: str) -> tuple[ExplainableModel, str]:
    """Return a model whose first layer is the mean colour of each 4 x 4 pixels."""
    if framework == "tensorflow":
        image = keras.Input((SIDE, SIDE, 3))
        x = keras.layers.AveragePooling2D(4, name="colours")(image)
        x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
        return load(keras.Model(image, x)), "colours"
    module = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    return load(module, input_size=SIDE), "0"


PICTURES = {"a": coloured((8, 8)), "b": coloured((32, 44)), "c": coloured(None)}
PLACES = {"a": (8, 8), "b": (32, 44)}


def share_inside(suggestion: Suggestion, place: tuple[int, int]) -> float:
    """Return which share of a suggestion lies in a square."""
    picture = DisplayImage(PICTURES[suggestion.key], suggestion.key)
    mask = region_mask(suggestion.region, picture, lambda: segment(picture))
    row, column = place
    return float(mask[row : row + 16, column : column + 16].sum() / mask.sum())


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def colours(request: pytest.FixtureRequest) -> tuple[Evidence, str]:
    model, layer = mean_colours(request.param)
    return Evidence(model, [layer]), layer


def test_the_most_similar_superpixels_come_first(colours: tuple[Evidence, str]) -> None:
    evidence, layer = colours
    found = result_of(suggest(evidence, PICTURES, layer, RED, per_picture=4))
    assert [entry.similarity for entry in found] == sorted(
        (entry.similarity for entry in found), reverse=True
    )
    best = [entry for entry in found if entry.similarity > 0.9]
    assert {entry.key for entry in best} == {"a", "b"}
    for entry in found:
        share = share_inside(entry, PLACES[entry.key]) if entry.key in PLACES else 0.0
        assert entry.similarity > 0.9 or share < 0.5
        assert entry.similarity < 0.3 or share > 0.05  # the rim has some of the colour as well
    assert all(-1 <= entry.similarity <= 1 for entry in found)
    others = result_of(suggest(evidence, PICTURES, layer, GREEN, per_picture=1, n=3))
    assert {entry.key for entry in others} == {"a", "b", "c"}
    assert all(share_inside(entry, (40, 4)) > 0.1 for entry in others)


def test_marked_regions_are_not_suggested_again(colours: tuple[Evidence, str]) -> None:
    evidence, layer = colours
    marked = np.zeros((SIDE, SIDE), bool)
    marked[6:26, 6:26] = True
    found = result_of(suggest(evidence, PICTURES, layer, RED, {"a": [marked]}, per_picture=9))
    best = [entry for entry in found if entry.similarity > 0.9]
    assert {entry.key for entry in best} == {"b"}
    everything = {key: [np.ones((SIDE, SIDE), bool)] for key in PICTURES}
    assert result_of(suggest(evidence, PICTURES, layer, RED, everything)) == []


def test_there_are_no_more_than_asked_for(colours: tuple[Evidence, str]) -> None:
    evidence, layer = colours
    found = result_of(suggest(evidence, PICTURES, layer, RED, n=5, per_picture=2))
    assert len(found) == 5
    assert max(sum(entry.key == key for entry in found) for key in PICTURES) == 2
    assert len({(entry.key, entry.superpixel) for entry in found}) == 5


def test_a_pooled_vector_and_one_of_the_whole_layer_agree(colours: tuple[Evidence, str]) -> None:
    evidence, layer = colours
    shape = evidence.model.layer(layer).shape
    whole = np.broadcast_to(RED, shape).ravel()
    found = result_of(suggest(evidence, PICTURES, layer, whole))
    expected = result_of(suggest(evidence, PICTURES, layer, RED))
    assert [(entry.key, entry.superpixel) for entry in found] == [
        (entry.key, entry.superpixel) for entry in expected
    ]


def test_another_vector_is_ranked_without_a_forward_pass_or_a_new_segmentation() -> None:
    module = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    evidence = Evidence(load(module, input_size=SIDE))
    seen: list[int] = []
    module[0].register_forward_hook(lambda _m, x, _y: seen.append(len(x[0])))
    cut: list[str] = []

    def segments(image: DisplayImage) -> Any:
        cut.append(image.key)
        return segment(image)

    steps = list(suggest(evidence, PICTURES, "0", RED, segments=segments))
    assert [(step.done, step.total) for step in steps] == [(3, 3)]
    assert sum(seen) == 3 and len(cut) == 3
    assert list(suggest(evidence, PICTURES, "0", GREEN, segments=segments)) == []
    assert sum(seen) == 3 and len(cut) == 3


def test_what_preprocessing_cut_off_is_not_suggested() -> None:
    module = seeded(lambda: nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(768, 3)))
    model = load(module, input_size=SIDE)
    wide = np.concatenate([coloured((8, 8), None), coloured(None, None)], axis=1)
    wide[20:36, 110:126] = (220, 20, 20)
    prepared = model.prepare(wide)
    right = prepared.placement.x + prepared.placement.width
    found = result_of(suggest(Evidence(model, ["0"]), {"w": wide}, "0", RED, per_picture=80))
    for entry in found:
        mask = region_mask(entry.region, prepared.display, lambda: segment(prepared.display))
        columns = np.flatnonzero(mask.any(axis=0)) + 0.5
        assert columns.min() < right


def test_tokens_have_superpixels_too() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(4)
            self.tokens = nn.Identity()
            self.head = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.pool(x).flatten(2).transpose(1, 2)
            return self.head(self.tokens(torch.cat([x[:, :1] * 0, x], dim=1)).mean(1))

    model = load(seeded(Tokens), input_size=SIDE)
    assert model.layer("tokens").grid is not None and model.layer("tokens").grid.prefix == 1
    found = result_of(suggest(Evidence(model, ["tokens"]), PICTURES, "tokens", RED, per_picture=1))
    assert {entry.key for entry in found[:2]} == {"a", "b"}
    assert all(share_inside(entry, PLACES[entry.key]) > 0.1 for entry in found[:2])


def test_what_does_not_fit_is_a_sentence(colours: tuple[Evidence, str]) -> None:
    evidence, layer = colours
    with pytest.raises(ConceptError, match="does not fit layer"):
        result_of(suggest(evidence, PICTURES, layer, np.ones(7)))
    head = evidence.model.vector_layers[-1].name
    with pytest.raises(LayerError, match="no feature map"):
        result_of(suggest(evidence, PICTURES, head, np.ones(3)))
    assert result_of(suggest(evidence, {}, layer, RED)) == []
