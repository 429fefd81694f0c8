"""The Explorer's kernel side: traits in, messages out, whatever the order of events."""

from __future__ import annotations

import base64
import gc
import io
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

import xai_widgets as xw
from xai_widgets.errors import ImageError, XaiError
from xai_widgets.widgets.explorer.explorer import Explorer
from xai_widgets.widgets.protocol import FINAL_KINDS

Make = Callable[..., Explorer]


def browser(explorer: Explorer, kind: str, payload: dict[str, Any] | None = None) -> None:
    """Send a message as the browser would."""
    content = {"v": 1, "id": "b1", "kind": kind, "revision": explorer._revision}
    explorer._receive(explorer, {**content, "payload": payload or {}}, [])


def test_the_first_job_tells_picture_prediction_map_and_result(make: Make, recorded) -> None:
    explorer = make()
    recorded.final(1)
    kinds = [message["kind"] for message in recorded.of(*recorded_kinds(), revision=1)]
    assert kinds == ["accepted", "picture", "prediction", "map", "result"]
    picture, prediction, shown = (
        recorded.of(kind)[0]["payload"] for kind in ("picture", "prediction", "map")
    )
    assert picture["array"].shape == (40, 48, 3)
    assert picture["placement"] == {"x": 0, "y": 0, "width": 48, "height": 40}
    assert prediction["probabilities"].sum() == pytest.approx(1, abs=1e-6)
    assert shown["array"].shape == (32, 32)
    assert shown["target"]["index"] == prediction["predicted"]
    np.testing.assert_array_equal(shown["array"], explorer.explanation.map)


def recorded_kinds() -> tuple[str, ...]:
    return ("accepted", "picture", "prediction", "map", "ablation", "result", "error", "cancelled")


@pytest.mark.parametrize(
    ("trait", "value", "arrives"),
    [
        ("image_index", 3, {"picture", "prediction", "map"}),
        ("target", 2, {"map"}),
        ("layer", "stem", {"map"}),
        ("method", "gradient", {"map"}),
        ("parameters", {"grad_cam": {}}, set()),
        ("region", {"type": "rect", "x": 0, "y": 0, "width": 9, "height": 9}, set()),
    ],
)
def test_a_changed_trait_sends_only_what_changed(
    make: Make, recorded, trait: str, value: Any, arrives: set[str]
) -> None:
    explorer = make(target=0)
    recorded.final(1)
    setattr(explorer, trait, value)
    recorded.final(2)
    sent = {message["kind"] for message in recorded.of(*recorded_kinds(), revision=2)}
    assert sent == {"accepted", "result"} | arrives


@pytest.mark.parametrize(
    "method", ["grad_cam", "integrated_gradients", "smoothgrad", "gradient", "input_x_gradient"]
)
def test_the_explanation_equals_explain(make: Make, model, pictures, method: str) -> None:
    explorer = make(method=method, target="cow", image_index=2)
    alone = xw.explain(model, pictures[2], method, "cow")
    np.testing.assert_allclose(explorer.explanation.map, alone.map, rtol=1e-4, atol=1e-7)


def test_parameters_reach_the_method(make: Make) -> None:
    explorer = make(method="smoothgrad", parameters={"smoothgrad": {"n_samples": 3}})
    assert explorer.explanation.provenance["parameters"]["n_samples"] == 3


def test_a_region_and_a_fill_give_new_probabilities(make: Make, recorded, model, pictures) -> None:
    region = {"type": "rect", "x": 0, "y": 0, "width": 48, "height": 40}
    make(region=region, ablation="black")
    recorded.final(1)
    payload = recorded.of("ablation")[-1]["payload"]
    black = model.prepare(np.zeros_like(pictures[0])).values[None]
    expected = model.probabilities(model.scores(black))
    np.testing.assert_allclose(payload["probabilities"], expected[0], atol=1e-6)
    assert payload["area"] == 1.0


def test_a_second_visit_is_answered_from_the_cache(make: Make, recorded, net) -> None:
    explorer = make(method="integrated_gradients", target=0)
    recorded.final(1)
    explorer.target = 1
    recorded.final(2)
    explorer.target = 0
    assert recorded.final(3)["payload"]["cached"] is True
    assert not recorded.of("progress", revision=3)


def test_changed_weights_are_explained_anew(make: Make, recorded, net) -> None:
    explorer = make(method="gradient", target=0)
    before = explorer.explanation.map
    with torch.no_grad():
        net.head.weight.mul_(2)
    browser(explorer, "retry")
    assert recorded.final(2)["payload"]["cached"] is False
    np.testing.assert_allclose(explorer.explanation.map, 2 * before, rtol=1e-5)


def test_ten_fast_changes_end_in_the_last_one(make: Make, recorded, net) -> None:
    explorer = make(method="integrated_gradients", target=0)
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    explorer.target = 1
    assert net.entered.wait(30)
    for i in range(10):
        explorer.target = i % 4
    net.gate.set()
    last = explorer._revision
    assert recorded.final(last)["kind"] == "result"
    assert recorded.of("map")[-1]["payload"]["target"]["index"] == 1
    assert explorer.explanation.target.index == 1
    for revision in range(1, last + 1):
        assert len(recorded.of(*FINAL_KINDS, revision=revision)) == 1


def test_cancel_works_while_the_model_computes(make: Make, recorded, net) -> None:
    long_path = {"integrated_gradients": {"n_steps": 512}}
    explorer = make(method="gradient", parameters=long_path)
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    explorer.method = "integrated_gradients"
    assert net.entered.wait(30)
    browser(explorer, "cancel")
    assert recorded.wait("ack")["payload"] == {"id": "b1"}
    net.gate.set()
    assert recorded.final(2)["kind"] == "cancelled"
    assert recorded.of("map")[-1]["payload"]["method"] == "gradient"
    browser(explorer, "retry")
    assert recorded.final(3)["kind"] == "result"
    assert recorded.of("map")[-1]["payload"]["method"] == "integrated_gradients"


def test_the_explanation_waits_for_the_running_job(make: Make, recorded, net) -> None:
    import threading

    net.gate.clear()
    explorer = make(method="gradient")
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(explorer.explanation))
    reader.start()
    assert net.entered.wait(30)
    assert not found
    net.gate.set()
    reader.join(30)
    assert found[0].method == "gradient"


def test_progress_rises_and_partial_maps_come_first(make: Make, recorded) -> None:
    make(method="integrated_gradients", parameters={"integrated_gradients": {"n_steps": 512}})
    recorded.final(1)
    done = [message["payload"]["done"] for message in recorded.of("progress")]
    assert done == sorted(done)
    assert len(done) > 2
    partial = [message["payload"]["partial"] for message in recorded.of("map")]
    assert len(partial) > 1
    assert partial == [True] * (len(partial) - 1) + [False]


def test_a_new_view_is_filled_without_computing(make: Make, recorded, net) -> None:
    explorer = make()
    recorded.final(1)
    before = len(recorded.messages)
    net.entered.clear()
    browser(explorer, "hello")
    kinds = [message["kind"] for message in recorded.messages[before:]]
    assert kinds == [
        "ack", "setup", "accepted", "picture", "prediction", "map", "result",
    ]  # fmt: skip
    assert not net.entered.is_set()


def test_the_setup_describes_model_layers_and_methods(make: Make, recorded) -> None:
    explorer = make()
    browser(explorer, "hello")
    payload = recorded.wait("setup")["payload"]
    assert payload["labels"] == ["zebra", "leopard", "cow", "horse"]
    assert [layer["name"] for layer in payload["layers"] if layer["recommended"]] == ["body"]
    forms = {method["name"]: method["parameters"] for method in payload["methods"]}
    fields = {field["name"]: field for field in forms["integrated_gradients"]}
    assert {"baseline", "n_steps"} <= set(fields)
    assert fields["baseline"]["kind"] == "choice"
    assert "space" not in fields, "a network without patches leaves no choice"


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("image_index", 6, "There is no image 6"),
        ("image_index", -1, "There is no image -1"),
        ("target", "zebr", "Did you mean 'zebra'"),
        ("target", 4, "There is no class 4"),
        ("target", {"kind": "class", "index": 1, "versus": 1}, "contrasted with itself"),
        ("layer", "bod", "Did you mean 'body'"),
        ("method", "gradcam", "Did you mean 'grad_cam'"),
        ("parameters", {"smoothgrad": {"samples": 3}}, "no parameter 'samples'"),
        ("parameters", {"smoothgrad": {"n_samples": 0}}, "from 1 to 500"),
        ("region", {"type": "circle"}, "'rect', 'polygon'"),
        ("ablation", "pink", "cannot be filled"),
    ],
)
def test_a_wrong_value_gets_a_sentence_and_the_state_stays(
    make: Make, recorded, trait: str, value: Any, sentence: str
) -> None:
    explorer = make()
    recorded.final(1)
    before = getattr(explorer, trait)
    with pytest.raises(XaiError, match=sentence) as caught:
        setattr(explorer, trait, value)
    assert isinstance(caught.value, TraitError)
    assert getattr(explorer, trait) == before
    assert explorer._revision == 1


@pytest.mark.parametrize("value", [1, "leopard", xw.ClassTarget("leopard"), {"index": 1}])
def test_a_target_may_be_given_in_any_form(make: Make, value: Any) -> None:
    assert make(target=value).target == {"kind": "class", "index": 1, "versus": None}


BY_PERTURBING = {"occlusion", "rise", "shapley_sampling"}


def test_a_region_goes_away_with_its_picture(make: Make, recorded) -> None:
    explorer = make(region={"type": "rect", "x": 0, "y": 0, "width": 9, "height": 9})
    explorer.image_index = 1
    assert explorer.region is None
    assert recorded.final(explorer._revision)["kind"] == "result"
    assert recorded.of("picture")[-1]["payload"]["index"] == 1


def test_a_corrupt_image_hurts_only_itself(make: Make, recorded, pictures, tmp_path: Path) -> None:
    for i in (0, 2):
        Image.fromarray(pictures[i]).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    explorer = make(images=tmp_path, image_index=1)
    failed = recorded.final(1)
    assert failed["kind"] == "error"
    assert "'1.png' cannot be read as an image" in failed["payload"]["message"]
    assert "Traceback" in failed["payload"]["traceback"]
    with pytest.raises(XaiError, match=r"1\.png"):
        _ = explorer.explanation
    explorer.image_index = 2
    assert recorded.final(2)["kind"] == "result"
    browser(explorer, "thumbnails", {"start": 0, "stop": 3})
    items = recorded.wait("thumbnails")["payload"]["items"]
    assert [item["error"] is None for item in items] == [True, False, True]
    assert items[1]["array"] is None


def test_an_error_takes_back_what_is_no_longer_true(make: Make, recorded, net) -> None:
    explorer = make(method="gradient", target=0)
    recorded.final(1)
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    browser(explorer, "retry")
    failed = recorded.final(2)["payload"]
    assert failed["withdrawn"] == ["prediction", "map", "ablation"]
    assert "NaN" in failed["message"]
    before = len(recorded.messages)
    browser(explorer, "hello")
    assert "map" not in [message["kind"] for message in recorded.messages[before:]]


def test_the_state_at_the_start_is_documented(make: Make) -> None:
    explorer = make()
    state = {name: getattr(explorer, name) for name in ("image_index", "target", "layer", "region")}
    assert state == {"image_index": 0, "target": None, "layer": None, "region": None}
    assert (explorer.method, explorer.parameters, explorer.ablation) == ("grad_cam", {}, None)


def test_no_images_get_a_sentence(model) -> None:
    with pytest.raises(ImageError, match="empty"):
        Explorer(model, [])


def test_thumbnails_come_at_most_forty_at_a_time(make: Make, recorded) -> None:
    explorer = make(images=np.zeros((100, 200, 100, 3), np.uint8))
    browser(explorer, "thumbnails", {"start": 10, "stop": 90})
    payload = recorded.wait("thumbnails")["payload"]
    assert [item["index"] for item in payload["items"]] == list(range(10, 50))
    assert payload["items"][0]["array"].shape == (96, 48, 3)


def test_superpixels_and_crops_are_answered(make: Make, recorded, pictures) -> None:
    explorer = make()
    browser(explorer, "superpixels")
    payload = recorded.wait("superpixels")["payload"]
    assert payload["array"].dtype == np.uint16
    assert payload["n"] == payload["array"].max() + 1
    box = {"index": 0, "x": 5, "y": 6, "width": 7, "height": 8, "max_px": 512}
    browser(explorer, "crop", box)
    np.testing.assert_array_equal(
        recorded.wait("crop")["payload"]["array"], pictures[0][6:14, 5:12]
    )
    browser(explorer, "crop", {**box, "x": "left"})
    assert (
        recorded.wait("crop", after=len(recorded.messages) - 1)["payload"]["array"] is None
        or (recorded.wait("crop")["payload"]["error"])
    )


def test_large_pictures_travel_as_previews(make: Make, recorded) -> None:
    make(images=np.zeros((1, 600, 3000, 3), np.uint8))
    recorded.final(1)
    payload = recorded.of("picture")[0]["payload"]
    assert payload["array"].shape[1] == 1024
    assert (payload["width"], payload["height"]) == (3000, 600)


def test_traits_link_to_other_widgets(make: Make, recorded) -> None:
    explorer = make()
    slider = ipywidgets.IntSlider(max=5)
    ipywidgets.link((explorer, "image_index"), (slider, "value"))
    slider.value = 4
    recorded.final(explorer._revision)
    assert recorded.of("picture")[-1]["payload"]["index"] == 4


def test_the_mimebundle_holds_a_picture_beside_the_live_view(make: Make) -> None:
    data, _ = make()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 500


def test_a_snapshot_shows_a_picture_and_then_the_browsers_own(
    make: Make, recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []

    class Handle:
        def update(self, data: Any, raw: bool) -> None:
            shown.append(data)

    def display(data: Any, **_options: Any) -> Handle:
        shown.append(data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    explorer = make()
    explorer.snapshot()
    assert base64.b64decode(shown[0]["image/png"]).startswith(b"\x89PNG")
    token = recorded.wait("snapshot")["payload"]["token"]
    content = {
        "v": 1,
        "id": "b2",
        "kind": "snapshot",
        "revision": 1,
        "payload": {"token": token, "png": {"dtype": "uint8", "shape": [3], "buffer": 0}},
    }
    explorer._receive(explorer, content, [memoryview(b"PNG")])
    explorer._receive(explorer, content, [memoryview(b"PNG")])
    assert shown[1:] == [{"image/png": base64.b64encode(b"PNG").decode()}]


def test_a_model_without_gradients_is_explained_by_perturbing(recorded, pictures) -> None:
    class Frozen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.head(x.mean((2, 3)))

    explorer = Explorer(Frozen(), pictures)
    assert explorer.method == "occlusion", "the cheapest of those that need no gradient"
    assert recorded.final(1)["kind"] == "result"
    assert recorded.of("prediction")
    assert recorded.of("map")
    browser(explorer, "hello")
    setup = recorded.wait("setup")["payload"]
    assert setup["verdict"]["verdict"] == "inference-only"
    for method in setup["methods"]:
        assert method["applicable"] == (method["name"] in BY_PERTURBING)
        assert bool(method["reason"]) != method["applicable"]
    explorer.method = ""
    with pytest.raises(XaiError, match="only predicts"):
        _ = explorer.explanation
    explorer.close()


def test_a_model_whose_stem_cuts_gradients_is_explained_by_its_layers(recorded, pictures) -> None:
    class Stemmed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 4, 3)
            self.body = torch.nn.Conv2d(4, 4, 3)
            self.head = torch.nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                x = self.stem(x)
            return self.head(self.body(x).mean((2, 3)))

    explorer = Explorer(xw.load(Stemmed(), input_size=32), pictures)
    assert explorer.method == "grad_cam"
    assert recorded.final(1)["kind"] == "result"
    browser(explorer, "hello")
    setup = recorded.wait("setup")["payload"]
    assert setup["verdict"]["verdict"] == "layer-gradients-only"
    applicable = {m["name"] for m in setup["methods"] if m["applicable"]}
    assert "grad_cam" in applicable
    assert not applicable & {"gradient", "integrated_gradients", "smoothgrad"}
    explorer.close()


def test_two_explorers_of_one_model_share_the_cache(make: Make, recorded) -> None:
    first = make(method="integrated_gradients", target=1)
    explanation = first.explanation
    assert make(method="integrated_gradients", target=1).explanation is explanation


def test_a_closed_explorer_is_released(model, pictures) -> None:
    explorer = Explorer(model, pictures)
    _ = explorer.explanation
    reference = weakref.ref(explorer)
    explorer.close()
    del explorer
    gc.collect()
    assert reference() is None
