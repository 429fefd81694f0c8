"""What the Explorer explains: layers, functions, regions of a segmentation; other pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import traitlets

import xai_widgets as xw
from xai_widgets.widgets.explorer.explorer import Explorer

Make = Callable[..., Explorer]


def browser(explorer: Explorer, kind: str) -> None:
    content = {"v": 1, "id": "b1", "kind": kind, "revision": 1, "payload": {}}
    explorer._receive(explorer, content, [])


def layer_mean(outputs: Any) -> Any:
    return outputs[:, 0] * 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (xw.LayerTarget("body", 3, None, "max"), "maximum of channel 3 of body"),
        ({"kind": "layer", "layer": "body", "channel": None}, "mean of all channels of body"),
        (layer_mean, "layer_mean"),
        (xw.FunctionTarget(layer_mean, "twice the zebra"), "twice the zebra"),
    ],
)
def test_a_layer_or_a_function_is_explained_and_named(
    make: Make, recorded, model, pictures, value: Any, text: str
) -> None:
    explorer = make(method="gradient")
    recorded.final(1)
    explorer.target = value
    assert recorded.final(2)["kind"] == "result"
    shown = recorded.of("map", revision=2)[-1]["payload"]
    assert shown["target_text"] == text
    if not isinstance(value, dict):
        expected = xw.explain(model, pictures[0], "gradient", value)
        np.testing.assert_allclose(shown["array"], expected.map, rtol=1e-5, atol=1e-7)
    explorer.target = dict(explorer.target)
    assert explorer.target["kind"] in ("layer", "function")


def test_images_stand_for_the_other_pictures(make: Make, recorded, model, pictures) -> None:
    name = "expected_gradients"
    explorer = make(method=name, parameters={name: {"background": "images", "n_samples": 10}})
    assert recorded.final(1)["kind"] == "result"
    expected = xw.explain(model, pictures[0], name, background=list(pictures[1:]), n_samples=10)
    np.testing.assert_allclose(explorer.explanation.map, expected.map, rtol=1e-4, atol=1e-6)


def test_images_without_other_pictures_get_a_sentence(make: Make, recorded, pictures) -> None:
    parameters = {"gradient_shap": {"background": "images"}}
    make(images=pictures[:1], method="gradient_shap", parameters=parameters)
    final = recorded.final(1)
    assert final["kind"] == "error"
    assert "needs other pictures" in final["payload"]["message"]


def test_the_background_is_at_most_sixteen_pictures_from_all_over(make: Make) -> None:
    explorer = make(images=np.zeros((100, 8, 8, 3), dtype=np.uint8))
    names = [picture.name for picture in explorer.background(3)]
    assert len(names) == 15
    assert explorer.images.name(3) not in names
    assert explorer.images.name(99) in names or explorer.images.name(98) in names


class Dense(torch.nn.Module):
    """A score per class and position."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, 2, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@pytest.fixture
def dense() -> Any:
    torch.manual_seed(0)
    return xw.load(Dense().eval(), labels=["sky", "tree", "house"], input_size=(32, 32))


def test_a_segmentation_shows_the_share_of_each_class(dense, pictures, recorded) -> None:
    explorer = Explorer(dense, pictures)
    recorded.final(1)
    shares = recorded.of("prediction")[0]["payload"]["probabilities"]
    assert shares.sum() == pytest.approx(1)
    browser(explorer, "hello")
    assert recorded.wait("setup")["payload"]["task"] == "segmentation"
    explorer.close()


def test_a_region_of_a_segmentation_is_what_is_explained(dense, pictures, recorded) -> None:
    explorer = Explorer(dense, pictures, method="gradient", target="tree")
    recorded.final(1)
    before = recorded.of("map")[-1]["payload"]
    explorer.region = {"type": "rect", "x": 0, "y": 0, "width": 16, "height": 40}
    recorded.final(2)
    shown = recorded.of("map", revision=2)[-1]["payload"]
    assert shown["target_text"] == "tree in the region"
    assert shown["key"] != before["key"]
    mask = np.zeros(pictures.shape[1:3], dtype=bool)
    mask[:, :16] = True
    expected = xw.explain(dense, pictures[0], "gradient", xw.RegionTarget("tree", mask))
    np.testing.assert_allclose(shown["array"], expected.map, rtol=1e-5, atol=1e-8)
    explorer.region = None
    recorded.final(3)
    explorer.region = {"type": "rect", "x": 0, "y": 0, "width": 16, "height": 40}
    assert recorded.final(4)["payload"]["cached"], "the same region is not explained twice"
    explorer.close()


def test_a_region_as_target_is_asked_for_by_its_own_trait(make: Make) -> None:
    explorer = make()
    with pytest.raises(traitlets.TraitError, match="trait `region`"):
        explorer.target = xw.RegionTarget(1, np.ones((4, 4)))
