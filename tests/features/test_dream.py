"""DeepDream: octaves, tiles, guides, seeds, both frameworks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

import xai_widgets as xw
from tests.models import keras_nets
from tests.models.nets import convolutional, picture
from xai_widgets.features import deep_dream_stream, objectives
from xai_widgets.features.dream import octave_sizes, resized
from xai_widgets.features.tiles import tiled


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def model(request: pytest.FixtureRequest) -> xw.ExplainableModel:
    if request.param == "torch":
        return xw.load(convolutional(), preprocessing={"size": 16})
    return xw.load(keras_nets.functional())


def dream(model: xw.ExplainableModel, layers: Any = None, **settings: Any) -> Any:
    chosen = model.layers[-1].name if layers is None else layers
    return xw.deep_dream(model, picture(40, 50), chosen, **{"n_steps": 3, "octaves": 2, **settings})


def test_a_dream_shows_more_of_what_the_layer_sees(model: xw.ExplainableModel) -> None:
    layer, image = model.layers[-1].name, picture(*model.input_shape[:2])
    found = xw.deep_dream(model, image, layer, octaves=1, n_steps=8, jitter=0, step=4 / 255)

    def strength(image: Any) -> float:
        values = np.stack([model.prepare(image).values])
        return float((model.backend.to_numpy(model.activations(values, layer)) ** 2).mean())

    assert strength(found.image) > 1.2 * strength(found.start)
    assert found.values[-1] > found.values[0]


def test_a_step_changes_pixels_by_its_length_on_average(model: xw.ExplainableModel) -> None:
    stream = deep_dream_stream(
        model,
        np.full((32, 32, 3), 128, np.uint8) + picture(32, 32) // 8,
        model.layers[-1].name,
        octaves=1,
        step=0.01,
    )
    before, after = next(stream), next(stream)
    assert np.abs(after.image - before.image).mean() == pytest.approx(0.01, rel=0.02)


def test_the_same_seed_dreams_the_same(model: xw.ExplainableModel) -> None:
    first, again, other = (dream(model, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_a_guide_leads_elsewhere(model: xw.ExplainableModel) -> None:
    guided = dream(model, guide=picture(seed=5))
    assert not np.array_equal(guided.image, dream(model).image)
    assert guided.text.startswith("what the guide shows in")


def test_several_layers_and_objectives_can_be_dreamed_of(model: xw.ExplainableModel) -> None:
    first, last = model.layers[0].name, model.layers[-1].name
    found = dream(model, [first, objectives.channel(last, 1)], n_steps=1)
    assert found.text == f"everything in {first} + mean of channel 1 of {last}"


def test_a_cancelled_dream_is_shown_at_its_full_size(model: xw.ExplainableModel) -> None:
    stream = deep_dream_stream(model, picture(40, 50), model.layers[-1].name, octaves=3, n_steps=4)
    for _ in range(3):
        step = next(stream)
    stream.close()
    assert (step.done, step.total, step.octave) == (2, 12, 0)
    assert step.result.image.shape == step.result.start.shape == (40, 50, 3)
    assert not np.array_equal(step.result.image, step.result.start)
    assert len(step.result.values) == 2 and len(step.result.frames) == 1


def test_frames_are_the_start_and_the_ends_of_octaves(model: xw.ExplainableModel) -> None:
    found = dream(model, octaves=3, n_steps=2)
    assert [frame.shape[:2] for frame in found.frames[1:]] == octave_sizes(
        (40, 50), model.input_shape[:2], 3, 1.4
    )
    np.testing.assert_array_equal(found.frames[-1], found.image)
    assert len(found.values) == 6


def test_small_pictures_grow_so_that_every_octave_fills_the_input() -> None:
    sizes = octave_sizes((20, 30), (32, 32), 3, 1.5)
    assert sizes[0][0] == 32 and sizes[-1] == (72, 108)
    assert octave_sizes((200, 100), (32, 32), 2, 2.0) == [(100, 50), (200, 100)]


def test_tiles_put_gradients_back_where_their_pixels_are() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((21, 17, 3), dtype=np.float32)

    def squares(parts: Any) -> Any:
        return 2 * parts, (parts**2).sum(axis=(1, 2, 3))

    for offset in ((0, 0), (3, 5), (8, 6)):
        gradient, _ = tiled(picture, (8, 6), offset, squares)
        np.testing.assert_array_equal(gradient, 2 * picture)


def test_a_picture_made_smaller_and_larger_keeps_its_mean() -> None:
    given = picture(40, 50).astype(np.float32) / 255
    for size in ((20, 25), (80, 100)):
        np.testing.assert_allclose(resized(given, size).mean(), given.mean(), atol=5e-3)


@pytest.mark.parametrize("suffix", ["png", "json", "npz"])
def test_a_dream_is_saved_with_its_provenance(suffix: str, tmp_path: Any) -> None:
    model = xw.load(convolutional(), preprocessing={"size": 16})
    found = dream(model, n_steps=1)
    path = found.save(tmp_path / f"dream.{suffix}")
    if suffix == "png":
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), found.image)
            record = json.loads(image.text["Description"])  # type: ignore[attr-defined]
    elif suffix == "npz":
        with np.load(path) as arrays:
            np.testing.assert_array_equal(arrays["image"], found.image)
            record = json.loads(str(arrays["json"]))
    else:
        record = json.loads(path.read_text())
    assert record["provenance"]["parameters"]["octaves"] == 2
    assert [ax.get_title() for ax in found.plot().axes] == ["start", found.text]


def test_the_provenance_tells_the_images_apart(model: xw.ExplainableModel) -> None:
    one, other = (picture(40, 50, seed=seed) for seed in (1, 2))
    name = model.layers[-1].name
    known = [
        xw.deep_dream(model, one, name, octaves=1, n_steps=1, guide=guide).provenance["parameters"]
        for guide in (one, other)
    ]
    assert known[0]["image"] == known[1]["image"] == known[0]["guide"]
    assert known[0]["guide"]["hash"] != known[1]["guide"]["hash"]
    start = xw.visualise(model, 0, n_steps=1, start=one).provenance["parameters"]["start"]
    assert start == known[0]["image"]
