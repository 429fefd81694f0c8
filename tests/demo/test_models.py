"""Facts about the shipped demo CNNs that classify: small, safe to load, as accurate as promised."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from xai_widgets import demo
from xai_widgets.demo import networks
from xai_widgets.demo.catalogue import DATA_OF, TASKS
from xai_widgets.demo.train import accuracy, probabilities
from xai_widgets.errors import XaiError

NAMES = [name for name in DATA_OF if name not in TASKS]
SEED = 4242
"""Held out: neither the training's nor the training report's seed."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they give where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def random_rulers() -> demo.Dataset:
    return demo.dataset("lesions", n=300, seed=SEED, ruler="random")


@pytest.fixture(scope="module")
def animals() -> demo.Dataset:
    return demo.dataset("animals", n=300, seed=SEED)


def measured(name: str, data: demo.Dataset) -> float:
    return accuracy(networks.build(name), data, networks.DESIGNS[name])


def test_lesions_are_told_apart_whatever_the_ruler(random_rulers: demo.Dataset) -> None:
    assert measured("lesions", random_rulers) >= 0.95


def test_shortcut_is_as_accurate_as_long_as_the_ruler_follows_the_class() -> None:
    data = demo.dataset("lesions", n=200, seed=SEED, ruler="malignant")
    assert measured("lesions-shortcut", data) >= 0.95
    assert measured("lesions", data) >= 0.95


def test_shortcut_fails_where_rulers_are_random(random_rulers: demo.Dataset) -> None:
    assert measured("lesions-shortcut", random_rulers) <= 0.75


def test_animals_are_told_apart_each_class_of_them(animals: demo.Dataset) -> None:
    assert measured("animals", animals) >= 0.95
    network, design = networks.build("animals"), networks.DESIGNS["animals"]
    predicted = probabilities(network, animals.images, design).argmax(1)
    for label, name in enumerate(animals.class_names):
        assert (predicted[animals.labels == label] == label).mean() >= 0.9, name


def test_digits_are_read() -> None:
    assert measured("digits", demo.dataset("digits", n=500)) >= 0.97


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_sure_but_not_saturated(name: str) -> None:
    data = demo.dataset(DATA_OF[name], n=40, seed=SEED)
    highest = probabilities(networks.build(name), data.images, networks.DESIGNS[name]).max(1)
    assert np.median(highest) > 0.7
    assert np.quantile(highest, 0.9) < 0.999


def test_all_weights_together_stay_under_four_megabytes() -> None:
    files = [networks.weights_path(name) for name in networks.DESIGNS]
    assert sorted(networks.WEIGHTS.iterdir()) == sorted(files)
    assert sum(file.stat().st_size for file in files) < 4_000_000


@pytest.mark.parametrize("name", NAMES)
def test_weights_load_without_pickle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("pickle.loads", refuse)
    monkeypatch.setattr("torch.load", refuse)
    network = networks.build(name)
    assert not network.training
    assert all(p.dtype == torch.float32 and p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_metadata_says_what_the_weights_are(name: str) -> None:
    metadata = networks.metadata(name)
    data = demo.dataset(DATA_OF[name], n=1)
    assert tuple(json.loads(metadata["classes"])) == data.class_names
    assert float(metadata["accuracy"]) >= 0.95
    assert int(metadata["seed"]) >= 0
    assert metadata["precision"] in {"float32", "bfloat16"}
    assert {"torch", "numpy", "python"} <= set(json.loads(metadata["versions"]))


@pytest.mark.parametrize("name", NAMES)
def test_layers_read_well_and_every_relu_is_a_module_of_its_own(name: str) -> None:
    network = networks.build(name)
    names = [key for key, _ in network.named_children()]
    assert names == ["stem", "stage1", "stage2", "stage3", "pool", "head"]
    assert [key for key, _ in network.stage3.named_children()] == ["block1", "block2"]
    relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    calls: list[nn.Module] = []
    for relu in relus:
        assert not relu.inplace
        relu.register_forward_hook(lambda module, *_: calls.append(module))
    side = networks.DESIGNS[name].size
    network(torch.zeros(1, 3, side, side))
    assert len(calls) == len(relus) == len({id(m) for m in calls})


def test_last_stage_is_fine_enough_for_class_activation_maps() -> None:
    network = networks.build("animals")
    shapes: list[torch.Size] = []
    network.stage3.register_forward_hook(lambda _m, _i, out: shapes.append(out.shape))
    network(torch.zeros(1, 3, 128, 128))
    assert shapes[0] == (1, 64, 16, 16)


def test_building_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    networks.build("lesions")
    networks.fresh(networks.DESIGNS["digits"], seed=3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_model_is_explainable_and_predicts_what_the_network_does(name: str) -> None:
    data = demo.dataset(DATA_OF[name], n=6, seed=SEED)
    model = demo.model(name)
    assert tuple(model.labels) == data.class_names
    values = np.stack([model.prepare(image).values for image in data.images])
    expected = probabilities(networks.build(name), data.images, networks.DESIGNS[name])
    found = model.probabilities(model.scores(values))
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert model.recommended_layer is not None
    assert model.recommended_layer.startswith("stage3")


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ({"name": "lesions-shortcuts"}, ["'lesions-shortcuts'", "'lesions-shortcut'"]),
        ({"name": "zebra"}, ["'zebra'", "'animals'"]),
        ({"name": "lesions", "framework": "jax"}, ["'jax'", "'torch'"]),
        ({"name": "lesions", "framework": "tensor"}, ["'tensor'", "'tensorflow'"]),
        ({"name": "animals", "architecture": "vlt"}, ["'vlt'", "'vit'", '"animals"']),
        ({"name": "digits", "architecture": "vit"}, ["'vit'", "'cnn'", '"digits"']),
        ({"name": "lesion-aera"}, ["'lesion-aera'", "'lesion-area'"]),
    ],
)
def test_bad_requests_are_answered_with_a_sentence(
    arguments: dict[str, str], fragments: list[str]
) -> None:
    with pytest.raises(XaiError) as caught:
        demo.model(**arguments)
    for fragment in fragments:
        assert fragment in str(caught.value)
