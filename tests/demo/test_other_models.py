"""Facts about the demo networks beside the classifying CNNs: a transformer, a U-Net, a number."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional as F

from xai_widgets import demo
from xai_widgets.demo import networks, scores
from xai_widgets.demo.catalogue import DATA_OF, TASKS
from xai_widgets.demo.recipes import RECIPES, Recipe
from xai_widgets.demo.transformer import VisionTransformer

SEED = 4242
"""Held out: neither the training's nor the training report's seed."""
NAMES = ("animals-vit", "scenes", "lesion-area")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they give where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def animals() -> demo.Dataset:
    return demo.dataset("animals", n=200, seed=SEED)


@pytest.fixture(scope="module")
def scenes() -> demo.Dataset:
    return demo.dataset("scenes", n=60, seed=SEED)


@pytest.fixture(scope="module")
def lesions() -> demo.Dataset:
    return demo.dataset("lesions", n=160, seed=SEED)


def test_transformer_tells_animals_apart_each_class_of_them(animals: demo.Dataset) -> None:
    network, design = networks.build("animals-vit"), networks.DESIGNS["animals-vit"]
    predicted = scores.outputs(network, animals.images, design).argmax(1)
    assert (predicted == animals.labels).mean() >= 0.9
    for label, name in enumerate(animals.class_names):
        assert (predicted[animals.labels == label] == label).mean() >= 0.8, name


def test_transformer_looks_at_every_part_of_the_picture(animals: demo.Dataset) -> None:
    network = networks.build("animals-vit")
    x = networks.normalised(animals.images[:5], networks.DESIGNS["animals-vit"]).requires_grad_()
    network(x).sum().backward()
    assert x.grad is not None
    tiles = x.grad.abs().sum((0, 1)).reshape(8, 16, 8, 16).sum((1, 3))
    assert tiles.min() > 0


def test_attention_is_the_fused_operation_and_equals_the_explicit_one(
    animals: demo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, design = networks.build("animals-vit"), networks.DESIGNS["animals-vit"]
    assert isinstance(network, VisionTransformer)
    x = networks.normalised(animals.images[:4], design)
    calls: list[torch.Size] = []

    def explicit(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        calls.append(query.shape)
        scale = query.shape[-1] ** -0.5
        return (query @ key.transpose(-2, -1) * scale).softmax(-1) @ value

    with torch.no_grad():
        fused = network(x)
        monkeypatch.setattr(F, "scaled_dot_product_attention", explicit)
        torch.testing.assert_close(network(x), fused, atol=1e-4, rtol=0)
    assert calls == [torch.Size([4, 4, 65, 24])] * 4


def test_transformer_has_no_relu_and_its_patches_lie_on_a_grid() -> None:
    network = networks.build("animals-vit")
    assert not any(isinstance(m, nn.ReLU) for m in network.modules())
    gelus = [m for m in network.modules() if isinstance(m, nn.GELU)]
    assert gelus and all(m.approximate == "none" for m in gelus)
    assert network.patch_embed(torch.zeros(1, 3, 128, 128)).shape == (1, 96, 8, 8)


def test_scenes_are_segmented_each_class_of_them(scenes: demo.Dataset) -> None:
    network, design = networks.build("scenes"), networks.DESIGNS["scenes"]
    each = scores.intersection_over_union(network, scenes, design)
    assert np.mean(list(each.values())) >= 0.85, each
    assert min(each.values()) >= 0.75, each


def test_segmentation_has_the_pictures_own_resolution() -> None:
    network = networks.build("scenes")
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2, 6, 128, 128)
    relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == 11 and not any(m.inplace for m in relus)


def test_lesion_area_is_estimated_to_a_fraction_of_its_spread(lesions: demo.Dataset) -> None:
    network, design = networks.build("lesion-area"), networks.DESIGNS["lesion-area"]
    r2, error = scores.regression(network, lesions, design, "lesion")
    assert r2 >= 0.9
    assert error <= 0.01, "one percent of the picture"


def test_lesion_area_looks_at_the_lesion_and_not_at_the_ruler(lesions: demo.Dataset) -> None:
    network, design = networks.build("lesion-area"), networks.DESIGNS["lesion-area"]
    bare = demo.dataset("lesions", n=len(lesions), seed=SEED, ruler="none")
    a, b = (scores.outputs(network, data.images, design)[:, 0] for data in (lesions, bare))
    hidden = bare.masks["lesion"].mean((1, 2)) - lesions.masks["lesion"].mean((1, 2))
    assert np.abs(a - b + hidden).mean() < 0.01


def test_scores_of_a_perfect_and_of_a_useless_answer_are_one_and_zero(
    scenes: demo.Dataset, lesions: demo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = lesions.masks["lesion"].mean((1, 2))
    for answer, expected in (
        (shares, (1.0, 0.0)),
        (np.full_like(shares, shares.mean()), (0.0, None)),
    ):
        monkeypatch.setattr(scores, "outputs", lambda *_a, answer=answer, **_k: answer[:, None])
        r2, error = scores.regression(nn.Identity(), lesions, networks.DESIGNS["lesions"], "lesion")
        assert r2 == pytest.approx(expected[0], abs=1e-6)
        assert expected[1] is None or error == pytest.approx(expected[1], abs=1e-6)
    assert scenes.segmentation is not None
    perfect = np.eye(6, dtype=np.float32)[scenes.segmentation].transpose(0, 3, 1, 2)
    monkeypatch.setattr(scores, "outputs", lambda *_a, **_k: perfect)
    each = scores.intersection_over_union(nn.Identity(), scenes, networks.DESIGNS["scenes"])
    assert set(each.values()) == {1.0}
    monkeypatch.setattr(scores, "outputs", lambda *_a, **_k: np.roll(perfect, 1, axis=1))
    each = scores.intersection_over_union(nn.Identity(), scenes, networks.DESIGNS["scenes"])
    assert set(each.values()) == {0.0}


@pytest.mark.parametrize(
    ("name", "measure", "least"),
    [("animals-vit", "accuracy", 0.9), ("scenes", "mean_iou", 0.85), ("lesion-area", "r2", 0.9)],
)
def test_metadata_says_what_the_weights_are(name: str, measure: str, least: float) -> None:
    metadata = networks.metadata(name)
    assert float(metadata[measure]) >= least
    assert int(metadata[f"{measure}_n"]) >= 400
    assert len(json.loads(metadata["classes"])) == networks.DESIGNS[name].n_classes
    assert Recipe(**json.loads(metadata["recipe"])) == RECIPES[name]
    assert {"torch", "numpy", "python"} <= set(json.loads(metadata["versions"]))


@pytest.mark.parametrize("name", NAMES)
def test_building_a_network_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    network = networks.build(name)
    assert torch.equal(before, torch.get_rng_state())
    assert not network.training
    assert all(p.dtype == torch.float32 and p.requires_grad for p in network.parameters())
    first, again = (networks.fresh(networks.DESIGNS[name], seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_model_is_explainable_and_predicts_what_the_network_does(
    name: str, request: pytest.FixtureRequest
) -> None:
    public, _, architecture = name.partition("-v")
    data = request.getfixturevalue(DATA_OF[public])
    model = demo.model(public, architecture="vit" if architecture else "cnn")
    labels = ("lesion area",) if public == "lesion-area" else data.class_names
    assert tuple(model.labels) == labels
    assert model.task == TASKS.get(public, "classification")
    values = np.stack([model.prepare(image).values for image in data.images[:4]])
    expected = scores.outputs(networks.build(name), data.images[:4], networks.DESIGNS[name])
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    found = model.backend.to_numpy(model.outputs(values))
    np.testing.assert_allclose(found, expected, atol=1e-4)
