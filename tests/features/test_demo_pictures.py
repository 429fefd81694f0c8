"""What the demo networks' pictures must show: known answers, on both frameworks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from xai_widgets.features import Visualisation, objectives

N_STEPS = 104


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def animals(request: pytest.FixtureRequest) -> tuple[xw.ExplainableModel, Visualisation]:
    """Return a model of animals, and its pictures for the striped and the plain one."""
    model = xw.demo.model("animals", request.param)
    return model, xw.visualise(model, ["zebra", "horse"], n_steps=N_STEPS)


def spectrum(pixels: Any) -> Any:
    """Return the share of a picture's power at each frequency, in steps of 1/64 cycles a pixel."""
    side = len(pixels)
    window = np.outer(np.hanning(side), np.hanning(side))
    grey = pixels.astype(float).mean(axis=2)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    found = np.bincount(np.rint(frequency * 64).astype(int).ravel(), power.ravel())
    return found / found.sum()


def test_the_top_class_of_a_picture_is_the_class_that_it_was_made_for(animals: Any) -> None:
    model, pictures = animals
    assert [p["label"] for p in model.predict(list(pictures.images))] == ["zebra", "horse"]


def test_the_objective_rises_at_least_five_times_over_the_start(animals: Any) -> None:
    _, pictures = animals
    assert (pictures.values >= 5 * np.abs(pictures.start_values)).all()


def test_values_are_the_scores_of_the_pictures_that_one_gets(animals: Any) -> None:
    model, pictures = animals
    records = model.predict(list(pictures.images))
    scores = [records[i]["scores"][model.labels.index(pictures.texts[i])] for i in (0, 1)]
    np.testing.assert_allclose(pictures.values, scores, rtol=0.03)  # levels are rounded to 1/255


def test_the_picture_of_the_zebra_has_the_spectrum_of_stripes_and_the_plain_one_has_not(
    animals: Any,
) -> None:
    _, pictures = animals
    stripes = np.mean([spectrum(image) for image in xw.demo.concept("stripes", n=20)], axis=0)
    band = stripes > stripes.max() / 2
    zebra, horse = map(spectrum, pictures.images)
    assert zebra[band].sum() > 0.2 > 0.1 > horse[band].sum()
    first, last = np.flatnonzero(band)[[0, -1]]
    middle = zebra[band].mean()
    assert middle > 1.5 * zebra[last + 3 : last + 8].mean()  # a peak, and no mere slope
    assert middle > zebra[first - 2] and horse[band].mean() < horse[first - 2]


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_digits_are_recognised_in_their_pictures(framework: str) -> None:
    model = xw.demo.model("digits", framework)
    pictures = xw.visualise(model, list(range(10)), n_steps=56)
    found = [record["label"] for record in model.predict(list(pictures.images))]
    assert found == list(model.labels)


def test_both_frameworks_start_from_the_same_picture_with_the_same_values(animals: Any) -> None:
    _, pictures = animals
    other = xw.visualise(xw.demo.model("animals", "torch"), ["zebra", "horse"], n_steps=1)
    np.testing.assert_allclose(pictures.start_values, other.start_values, rtol=1e-4)
    np.testing.assert_array_equal(pictures.frames[0], other.frames[0])


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_channels_and_directions_rise_at_least_five_times(framework: str) -> None:
    model = xw.demo.model("animals", framework)
    layer = [entry.name for entry in model.layers if entry.main][1]
    width = model.layer(layer).shape[-1]
    goals = [
        objectives.channel(layer, 0),
        objectives.neuron(layer, 3),
        objectives.direction(layer, np.eye(width)[7], cosine=1.0),
        objectives.layer(layer),
    ]
    found = xw.visualise(model, goals, n_steps=48)
    assert (found.values >= 5 * np.abs(found.start_values)).all()
    assert found.notes == ()
