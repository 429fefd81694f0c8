"""An explanation lies on the right pixels, and can be drawn, saved and told where it is from."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from tests.explainers.helpers import METHODS, NORMALISED, quick
from tests.models.nets import SIDE, convolutional, picture
from xai_widgets.errors import XaiError
from xai_widgets.explanation import Explanation
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget

LABELS = ("zebra", "a $5 horse", "猫")


def explained(method: str = "integrated_gradients", **options: Any) -> Explanation:
    model = load(convolutional(), labels=LABELS, preprocessing=NORMALISED)
    return quick(model, method, picture(40, 60), target=1, **options)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(40, 60), (90, 50), (7, 5)])
@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
def test_the_heat_map_lies_on_the_display_grid(
    method: str, size: tuple[int, int], resize: str
) -> None:
    model = load(convolutional(), preprocessing={"size": SIDE, "resize": resize})
    result = quick(model, method, picture(*size))
    assert result.heatmap.shape == size and result.heatmap.dtype == np.float32
    assert result.map.shape == (SIDE, SIDE)
    assert np.isfinite(result.heatmap).all()


def test_pixels_that_a_crop_cuts_off_get_nothing() -> None:
    model = load(convolutional(), preprocessing={"size": SIDE, "resize": "crop"})
    heatmap = quick(model, "gradient", picture(40, 80)).heatmap
    assert np.count_nonzero(heatmap[:, :20]) == np.count_nonzero(heatmap[:, 60:]) == 0
    assert np.count_nonzero(heatmap[:, 20:60]) > 0.9 * 40 * 40


def test_the_map_is_the_attribution_summed_over_channels() -> None:
    result = explained()
    np.testing.assert_allclose(result.map, result.attribution.sum(axis=2), rtol=1e-6)
    assert explained("grad_cam").map is not None
    assert explained("grad_cam").attribution.ndim == 2


class TestProvenance:
    def test_it_names_all_that_is_needed_to_repeat_the_map(self) -> None:
        told = explained("smoothgrad", seed=7).provenance
        assert set(told["versions"]) == {"python", "xai-widgets", "numpy", "torch"}
        assert told["versions"]["torch"] == torch.__version__
        assert told["model"]["class"] == "Sequential"
        assert len(told["model"]["weight_hash"]) == 64
        assert told["model"]["preprocessing"]["std"] == [0.2, 0.25, 0.3]
        assert told["method"] == "smoothgrad"
        asked = {"n_samples": 5, "noise_level": 0.15, "seed": 7, "space": "pixels"}
        assert told["parameters"] == asked
        assert told["seed"] == 7
        assert told["target"] == {"kind": "class", "index": 1, "versus": None}
        assert told["image"]["size"] == [40, 60]
        assert told["duration_s"] > 0
        assert told["created"].endswith("+00:00")

    def test_the_weight_hash_follows_a_training_step(self) -> None:
        module = convolutional()
        model = load(module, input_size=SIDE)
        before = quick(model, "gradient").provenance["model"]["weight_hash"]
        again = quick(model, "gradient").provenance["model"]["weight_hash"]
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        module(torch.ones(1, 3, SIDE, SIDE)).sum().backward()
        optimizer.step()
        after = quick(model, "gradient")
        assert before == again != after.provenance["model"]["weight_hash"]

    def test_new_weights_give_a_new_map_of_the_same_image(self) -> None:
        model = load(convolutional(), input_size=SIDE)
        image = model.prepare(picture())
        before = quick(model, "gradient", image, target=0).attribution
        with torch.no_grad():
            model.source[6].weight.mul_(2)
        after = quick(model, "gradient", image, target=0).attribution
        np.testing.assert_allclose(after, 2 * before, rtol=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    def test_it_is_json_as_it_stands(self, method: str) -> None:
        record = json.loads(json.dumps(explained(method).to_dict(), allow_nan=False))
        assert record["method"] == method
        assert record["target"]["text"] == LABELS[1]


class TestSave:
    def test_json_holds_the_numbers_and_where_they_are_from(self, tmp_path: Path) -> None:
        result = explained()
        record = json.loads(result.save(tmp_path / "map.json").read_text())
        assert record["heatmap"]["shape"] == [40, 60]
        values = np.reshape(record["heatmap"]["values"], (40, 60))
        np.testing.assert_allclose(values, result.heatmap, rtol=1e-5)
        assert record["provenance"] == json.loads(json.dumps(dict(result.provenance)))
        assert record["diagnostics"] == dict(result.diagnostics)
        assert record["score"] == result.score

    def test_npz_holds_the_arrays_bit_for_bit(self, tmp_path: Path) -> None:
        result = explained()
        with np.load(result.save(tmp_path / "map.npz"), allow_pickle=False) as stored:
            assert np.array_equal(stored["attribution"], result.attribution)
            assert np.array_equal(stored["heatmap"], result.heatmap)
            assert np.array_equal(stored["image"], picture(40, 60))
            assert json.loads(str(stored["json"])) == json.loads(json.dumps(result.to_dict()))

    def test_png_is_a_picture_with_the_provenance_in_its_text(self, tmp_path: Path) -> None:
        result = explained()
        with Image.open(result.save(str(tmp_path / "map.PNG"))) as stored:
            assert stored.width > 600
            assert json.loads(stored.text["Description"]) == json.loads(
                json.dumps(result.to_dict())
            )

    @pytest.mark.parametrize("name", ["map.svg", "map", "map.json.gz", ".png"])
    def test_another_suffix_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(XaiError, match=r"use one of \.png, \.npz, \.json"):
            explained().save(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(XaiError, match="does not exist: create it first"):
            explained().save(tmp_path / "nowhere" / "map.png")

    def test_a_file_in_place_is_replaced_whole(self, tmp_path: Path) -> None:
        (tmp_path / "map.json").write_text("x" * 1_000_000)
        json.loads(explained().save(tmp_path / "map.json").read_text())
        assert [path.name for path in tmp_path.iterdir()] == ["map.json"]

    @pytest.mark.parametrize("suffix", [".json", ".npz", ".png"])
    def test_a_failed_write_leaves_the_file_of_before(
        self, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / f"map{suffix}"
        explained().save(path)
        before = path.read_bytes()

        def fail(self: Path, data: bytes) -> int:
            with self.open("wb") as file:
                file.write(data[: len(data) // 2])
            raise OSError("disk full")

        monkeypatch.setattr(Path, "write_bytes", fail)
        with pytest.raises(OSError, match="disk full"):
            explained().save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore:Glyph")
class TestPlot:
    def test_it_draws_picture_map_and_colour_bar_on_the_given_axes(self) -> None:
        figure = Figure()
        ax = figure.subplots()
        open_before = plt.get_fignums()
        assert explained().plot(ax) is ax
        assert plt.get_fignums() == open_before
        assert len(ax.images) == 2
        assert len(figure.axes) == 2, "the axes and the colour bar"
        low, high = ax.images[1].get_clim()
        assert low == -high < 0
        figure.savefig(io.BytesIO())

    def test_without_axes_it_opens_one_figure(self) -> None:
        before = plt.get_fignums()
        ax = explained().plot()
        opened = set(plt.get_fignums()) - set(before)
        plt.close(ax.figure)
        assert len(opened) == 1

    @pytest.mark.parametrize(("method", "signed"), [("gradient", True), ("grad_cam", False)])
    def test_the_scale_is_zero_centred_for_signed_maps_and_starts_at_zero_for_others(
        self, method: str, signed: bool
    ) -> None:
        result = explained(method)
        ax = result.plot(Figure().subplots())
        low, high = ax.images[1].get_clim()
        assert high == pytest.approx(float(np.abs(result.heatmap).max()))
        assert low == (-high if signed else 0)

    def test_opacity_follows_the_strength_of_the_attribution(self) -> None:
        result = explained()
        alpha = result.plot(Figure().subplots(), opacity=0.5).images[1].get_alpha()
        strongest = np.unravel_index(np.abs(result.heatmap).argmax(), result.heatmap.shape)
        assert alpha[strongest] == pytest.approx(0.5) == alpha.max()
        assert alpha.min() < 0.2

    @pytest.mark.parametrize("target", [*range(3), ClassTarget(1, versus=2)])
    def test_any_label_can_be_a_title(self, target: Any) -> None:
        model = load(convolutional(), labels=LABELS, input_size=SIDE)
        result = quick(model, "gradient", target=target)
        assert result.to_png().startswith(b"\x89PNG")
        assert result._repr_png_().startswith(b"\x89PNG")

    def test_saving_leaves_no_figure_open(self, tmp_path: Path) -> None:
        before = plt.get_fignums()
        explained().save(tmp_path / "map.png")
        assert plt.get_fignums() == before

    def test_a_zero_map_can_be_drawn(self) -> None:
        black = np.zeros((SIDE, SIDE, 3), np.uint8)
        result = quick(load(convolutional(), input_size=SIDE), "integrated_gradients", black)
        assert np.count_nonzero(result.heatmap) == 0
        assert result.to_png().startswith(b"\x89PNG")


def test_an_explanation_reads_well_in_a_prompt() -> None:
    text = repr(explained())
    assert "zebra" not in text and "a $5 horse" in text
    assert len(text) < 700
