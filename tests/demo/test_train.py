"""Facts about the training script: it learns, it is seeded, and it writes what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from safetensors.numpy import load_file

from xai_widgets import demo
from xai_widgets.demo import networks, train
from xai_widgets.demo.augmentation import moved
from xai_widgets.demo.designs import UNetDesign

TINY = train.Recipe("digits", n=200, epochs=8, batch=20, rate=2e-2, mirrors=False, shift_px=1)
SMALL = networks.Design(n_classes=10, size=32, widths=(8, 12, 16))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more by sharing work than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures() -> demo.Dataset:
    return demo.dataset("digits", n=200, split="train")


def weights(trained: train.Trained) -> list[np.ndarray]:
    return [value.numpy() for value in trained.network.state_dict().values()]


def test_loss_falls(pictures: demo.Dataset) -> None:
    trained = train.fit(pictures, SMALL, TINY)
    assert len(trained.losses) == 80
    assert np.mean(trained.losses[-10:]) < 0.75 * np.mean(trained.losses[:10])
    assert not trained.network.training


def test_same_seed_gives_the_same_weights_and_another_gives_others(pictures: demo.Dataset) -> None:
    short = replace(TINY, epochs=1)
    first, again = (weights(train.fit(pictures, SMALL, short)) for _ in range(2))
    other = weights(train.fit(pictures, SMALL, replace(short, seed=2)))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_training_leaves_the_global_generator_alone(pictures: demo.Dataset) -> None:
    before = torch.get_rng_state()
    train.fit(pictures, SMALL, replace(TINY, epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_honest_and_shortcut_training_differ_in_the_ruler_alone() -> None:
    honest, shortcut = train.RECIPES["lesions"], train.RECIPES["lesions-shortcut"]
    assert honest == replace(shortcut, options={"ruler": "random"})
    assert shortcut.options == {"ruler": "malignant"}
    assert networks.DESIGNS["lesions"] == networks.DESIGNS["lesions-shortcut"]


def test_augmentation_keeps_the_scale_and_varies_the_picture() -> None:
    lesions = torch.from_numpy(demo.dataset("lesions", n=8).images)
    recipe = train.RECIPES["lesions"]
    a, b = (
        train.augmented(lesions, recipe, torch.Generator().manual_seed(seed)) for seed in (0, 1)
    )
    assert a.shape == lesions.shape and a.dtype == torch.float32
    assert a.min() >= 0 and a.max() <= 255
    assert not torch.equal(a, b)


def test_masks_ride_along_with_the_pictures() -> None:
    masks = torch.from_numpy(demo.dataset("lesions", n=6).masks["lesion"]).float()
    stacked = torch.stack([masks * 255, masks], -1)
    recipe = train.RECIPES["lesion-area"]
    a, b = (moved(stacked, recipe, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert torch.equal(a[..., 0], a[..., 1] * 255)
    assert set(a[..., 1].unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(a, b)


@pytest.mark.parametrize(
    ("design", "recipe"),
    [
        (UNetDesign(6, widths=(4, 8, 8, 8)), train.Recipe("scenes", task="segmentation")),
        (
            networks.Design(1),
            train.Recipe("lesions", task="regression", mask="lesion", longest_step=1.0),
        ),
    ],
    ids=["pixels", "numbers"],
)
def test_loss_falls_for_pixels_and_numbers(design: object, recipe: train.Recipe) -> None:
    pictures = demo.dataset(recipe.data, n=8, split="train")
    recipe = replace(recipe, epochs=10, batch=4, rate=1e-2, shift_px=1)
    trained = train.fit(pictures, design, recipe)  # type: ignore[arg-type]
    assert np.mean(trained.losses[-4:]) < 0.8 * np.mean(trained.losses[:4])


def test_training_may_start_from_another_network_but_for_its_head() -> None:
    recipe = replace(train.RECIPES["lesion-area"], epochs=0)
    trained = train.fit(demo.dataset("lesions", n=1), networks.DESIGNS["lesion-area"], recipe)
    found, trunk = trained.network.state_dict(), networks.build("lesions").state_dict()
    for key, value in trunk.items():
        if not key.startswith("head."):
            assert torch.equal(found[key], value), key
    assert found["head.weight"].shape == (1, 64)


def test_command_line_writes_weights_to_the_folder_and_says_how_good_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "RECIPES", {"digits": replace(TINY, epochs=1)})
    monkeypatch.setattr(train, "DESIGNS", {"digits": SMALL})
    threads = torch.get_num_threads()
    try:
        train.main(["digits", "--output", str(tmp_path), "--threads", "2"])
    finally:
        torch.set_num_threads(threads)
    state = load_file(tmp_path / "digits.safetensors")
    assert state["head.weight"].shape == (10, 16)
    assert state["head.weight"].dtype == np.float16
    assert "held-out" in capsys.readouterr().err


def test_command_line_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["lesion"])
    assert "no demo network 'lesion'" in capsys.readouterr().err
