"""Streams, seeds, starts, batches, and what is kept: small networks, both frameworks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.models import keras_nets
from tests.models.nets import convolutional, picture
from xai_widgets.features import Transforms, objectives, visualise_stream

SIDE = 24


def small(framework: str) -> xw.ExplainableModel:
    source: Any = convolutional() if framework == "torch" else keras_nets.sequential()
    return xw.load(source, preprocessing={"size": SIDE} if framework == "torch" else None)


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def model(request: pytest.FixtureRequest) -> xw.ExplainableModel:
    return small(request.param)


def run(model: xw.ExplainableModel, objective: Any = 0, **settings: Any) -> Any:
    return xw.visualise(model, objective, **{"n_steps": 12, **settings})


def test_the_same_seed_gives_the_same_picture_bit_by_bit(model: xw.ExplainableModel) -> None:
    first, again, other = (run(model, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.history.values, again.history.values)
    assert not np.array_equal(first.images, other.images)


def test_a_picture_does_not_depend_on_the_others_of_its_batch(model: xw.ExplainableModel) -> None:
    batch, alone = run(model, [0, 1, 2]), run(model, 0)
    np.testing.assert_allclose(batch.values[0], alone.values[0], rtol=1e-3, atol=1e-4)
    assert np.abs(batch.images[0].astype(int) - alone.images[0]).max() <= 2


def test_a_stream_yields_the_start_every_so_many_steps_and_the_end(
    model: xw.ExplainableModel,
) -> None:
    stream = visualise_stream(model, [0, 1], n_steps=10, every=4)
    steps = []
    while True:
        try:
            steps.append(next(stream))
        except StopIteration as stop:
            result = stop.value
            break
    assert [(step.done, step.total) for step in steps] == [(0, 10), (4, 10), (8, 10), (10, 10)]
    height, width = model.input_shape[:2]
    for step in steps:
        assert step.images.dtype == np.float32 and step.images.shape == (2, height, width, 3)
        assert step.images.min() >= 0 and step.images.max() <= 1
        assert step.values.dtype == np.float32 and step.values.shape == (2,)
    np.testing.assert_array_equal(result.history.steps, [0, 4, 8, 10])
    np.testing.assert_array_equal(result.values, steps[-1].values)
    np.testing.assert_array_equal(result.start_values, steps[0].values)
    np.testing.assert_array_equal(result.images, np.rint(steps[-1].images * 255))
    assert result.frames.shape == (4, 2, height, width, 3)


def test_closing_a_stream_keeps_the_best_so_far(model: xw.ExplainableModel) -> None:
    stream = visualise_stream(model, [0, 1], n_steps=30, every=2, learning_rate=0.3)
    steps = [next(stream) for _ in range(9)]
    stream.close()
    early = steps[2].result  # an early step stays what it was
    np.testing.assert_array_equal(early.history.steps, [0, 2, 4])
    np.testing.assert_array_equal(early.values, steps[2].values)
    np.testing.assert_array_equal(early.images, np.rint(steps[2].images * 255))
    kept = steps[-1].result
    every = np.stack([step.values for step in steps])
    np.testing.assert_array_equal(kept.best.values, every.max(axis=0))
    np.testing.assert_array_equal(kept.best.steps, 2 * every.argmax(axis=0))
    for i in range(2):
        best = steps[int(every[:, i].argmax())]
        np.testing.assert_array_equal(kept.best.images[i], np.rint(best.images[i] * 255))
    np.testing.assert_array_equal(kept.images, np.rint(steps[-1].images * 255))
    assert kept.provenance["parameters"]["n_steps"] == 30


def test_it_starts_from_an_image(model: xw.ExplainableModel) -> None:
    image = picture(*model.input_shape[:2])
    step = next(visualise_stream(model, 0, start=image))
    difference = np.abs(step.images[0] - image / 255)
    inside = (image > 8) & (image < 247)  # where a sigmoid is not flat
    assert difference[inside].max() < 0.01


def test_a_picture_of_pixels_rises_too(model: xw.ExplainableModel) -> None:
    found = run(model, parameterisation="pixels", transforms="none", n_steps=20)
    assert (found.values > found.start_values).all()


def test_penalties_hold_pictures_back(model: xw.ExplainableModel) -> None:
    def roughness(result: Any) -> float:
        return float(np.abs(np.diff(result.images.astype(float), axis=1)).mean())

    free, smooth = run(model, n_steps=24), run(model, n_steps=24, total_variation=300.0)
    assert roughness(smooth) < 0.7 * roughness(free)
    grey = run(model, n_steps=24, l2=300.0)
    assert np.abs(grey.images - 127.5).mean() < 0.7 * np.abs(free.images - 127.5).mean()


def test_transforms_make_another_picture(model: xw.ExplainableModel) -> None:
    still, moved = (run(model, transforms=t) for t in ("none", Transforms(0.1, 0.1, 0.2, 20)))
    assert still.values[0] != moved.values[0]


def shown_at(model: xw.ExplainableModel, layer: str, result: Any) -> Any:
    """Return a layer's activations [N, positions, C] for the pictures of a result."""
    values = np.stack([model.prepare(image).values for image in result.images])
    found = model.backend.to_numpy(model.activations(values, layer))
    return found.reshape(len(found), -1, found.shape[-1])


@pytest.fixture(scope="module")
def free(model: xw.ExplainableModel) -> Any:
    """Return three pictures of one channel that know nothing of each other."""
    goal = objectives.channel(model.layers[0].name, 1)
    return run(model, goal, n=3, n_steps=30, transforms="none")


def test_diversity_keeps_pictures_of_one_objective_apart(
    model: xw.ExplainableModel, free: Any
) -> None:
    layer = model.layers[0].name
    goal, apart = objectives.channel(layer, 1), objectives.diversity(layer)

    def likeness(result: Any) -> float:
        flat = shown_at(model, layer, result)
        grams = np.einsum("npc,npd->ncd", flat, flat).reshape(len(flat), -1)
        grams /= np.linalg.norm(grams, axis=1, keepdims=True)
        return float((grams @ grams.T)[np.triu_indices(len(grams), 1)].mean())

    diverse = run(model, goal + 5 * apart, n=3, n_steps=30, transforms="none")
    assert 1 - likeness(diverse) > 2 * (1 - likeness(free))


def test_alignment_keeps_neighbours_close(model: xw.ExplainableModel, free: Any) -> None:
    layer = model.layers[0].name
    goal = objectives.channel(layer, 1)

    def distance(result: Any) -> float:
        return float((np.diff(shown_at(model, layer, result), axis=0) ** 2).mean())

    near = goal + 50 * objectives.alignment(layer)
    aligned = run(model, near, n=3, n_steps=30, transforms="none")
    assert distance(aligned) < 0.5 * distance(free)


def test_a_difference_is_that_of_its_terms(model: xw.ExplainableModel) -> None:
    first, second = objectives.class_score(0), objectives.class_score(1)
    both = run(model, [first, second, first - 2 * second, -first], n_steps=1, same_start=True)
    a, b, c, d = both.start_values
    assert c == pytest.approx(a - 2 * b, abs=1e-5) and d == pytest.approx(-a, abs=1e-6)
    assert both.texts[2] == f"{model.labels[0]} - 2 x {model.labels[1]}"


def test_mixtures_lie_between_their_ends(model: xw.ExplainableModel) -> None:
    from xai_widgets.features import mixtures

    last = None
    for step in mixtures(model, 0, 1, n=3, n_steps=24):
        last = step
    assert last is not None
    scores = np.stack([r["scores"] for r in model.predict(list(last.result.images))])
    assert scores[0, 0] > scores[2, 0] and scores[2, 1] > scores[0, 1]
    assert last.result.texts[0].endswith(model.labels[0])


def test_other_sizes_work_where_the_model_takes_them() -> None:
    found = run(small("torch"), size=(32, 40), n_steps=2)
    assert found.images.shape == (1, 32, 40, 3)


@pytest.mark.parametrize("suffix", ["png", "json", "npz"])
def test_a_visualisation_is_saved_with_its_provenance(suffix: str, tmp_path: Any) -> None:
    model = small("torch")
    found = run(model, [0, 1], n_steps=2)
    path = found.save(tmp_path / f"x.{suffix}")
    if suffix == "npz":
        with np.load(path) as arrays:
            np.testing.assert_array_equal(arrays["images"], found.images)
            record = json.loads(str(arrays["json"]))
    elif suffix == "json":
        record = json.loads(path.read_text())
    else:
        from PIL import Image

        record = json.loads(Image.open(path).text["Description"])  # type: ignore[attr-defined]
    assert record["provenance"]["model"]["weight_hash"] == model.weight_hash
    assert record["objective"]["parts"][0] == {"kind": "class", "index": 0, "versus": None}
    assert record["texts"] == list(found.texts)


def test_it_is_drawn(model: xw.ExplainableModel) -> None:
    figure = run(model, [0, 1, 2], n_steps=1).plot(columns=2)
    titles = [ax.get_title() for ax in figure.axes]
    assert [title.split("\n")[0] for title in titles[:3]] == list(model.labels[:3])
