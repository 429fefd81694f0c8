"""The feature gallery's kernel side: batches, cache, cancel, images, mixtures, sentences."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from torch import nn

import xai_widgets as xw
from tests.widgets.conftest import Recorded
from tests.widgets.workbench import browser as press
from xai_widgets.errors import ConceptError, MethodError, XaiError
from xai_widgets.features import objectives
from xai_widgets.widgets.gallery.gallery import FeatureGallery
from xai_widgets.widgets.gallery.pace import Pace

N_STEPS = 8
LABELS = ["zebra", "leopard", "cow", "horse"]
BOX = {"type": "rect", "x": 4.0, "y": 4.0, "width": 20.0, "height": 16.0}

Make = Callable[..., FeatureGallery]


class WideNet(nn.Module):
    """Forty channels, two pages of them, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.Tanh())
        self.wide = nn.Sequential(nn.Conv2d(12, 40, 3, 2, 1), nn.Tanh())
        self.head = nn.Linear(40, 4)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.head(self.wide(self.stem(x)).mean((2, 3)))


@pytest.fixture
def wide() -> WideNet:
    torch.manual_seed(0)
    return WideNet().eval()


@pytest.fixture
def model(wide: WideNet) -> xw.ExplainableModel:
    return xw.load(wide, labels=LABELS, input_size=(24, 24))


@pytest.fixture
def make(model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded) -> Iterator[Make]:
    made: list[FeatureGallery] = []

    def build(source: Any = None, images: Any = pictures, **traits: Any) -> FeatureGallery:
        traits.setdefault("parameters", {"n_steps": N_STEPS})
        made.append(FeatureGallery(source or model, images, **traits))
        return made[-1]

    yield build
    for gallery in made:
        gallery.close()


def browser(gallery: FeatureGallery, kind: str, payload: dict[str, Any] | None = None) -> None:
    content = {"v": 1, "id": "b1", "kind": kind, "revision": gallery._revision}
    gallery._receive(gallery, {**content, "payload": payload or {}}, [])


def done(recorded: Recorded, revision: int) -> list[int]:
    """Return the positions whose pictures were told to be done, in order."""
    told = recorded.of("features", revision=revision)
    return [
        i for message in told if message["payload"]["done"] for i in message["payload"]["indices"]
    ]


def film(recorded: Recorded, after: int = 0, role: str = "steps") -> dict[str, Any]:
    while True:
        found = recorded.wait("film", after=after)["payload"]
        if found["role"] == role:
            return dict(found)
        after = len(recorded.messages)


def test_slow_models_are_asked_for_less_at_once() -> None:
    fast, slow, very_slow = Pace(0.001), Pace(0.1), Pace(10.0)
    assert [pace.batch for pace in (fast, slow, very_slow)] == [8, 3, 1]
    assert [pace.every(2048) for pace in (fast, slow, very_slow)] == [8, 2, 2]
    assert [pace.every(32) for pace in (fast, slow, very_slow)] == [1, 1, 1]


def test_a_page_is_optimised_in_batches_and_told_as_it_converges(
    make: Make, recorded: Recorded
) -> None:
    make()
    assert recorded.final(1)["kind"] == "result"
    page = recorded.of("gallery")[0]["payload"]
    assert (page["kind"], page["layer"], page["total"]) == ("channels", "wide", 40)
    assert [item["index"] for item in page["items"]] == list(range(24))
    assert done(recorded, 1) == list(range(24))
    first = [m["payload"] for m in recorded.of("features") if 0 in m["payload"]["indices"]]
    assert first[0]["indices"] == list(range(8))
    assert [message["step"] for message in first] == sorted(m["step"] for m in first)
    assert first[0]["array"].shape == (8, 24, 24, 3)
    assert (first[-1]["values"] > first[-1]["starts"]).all()
    progress = [m["payload"]["done"] for m in recorded.of("progress")]
    assert progress == sorted(progress) and progress[-1] == 24
    about = recorded.of("setup")
    assert about == []  # nobody said hello


def test_the_picture_is_that_of_visualise_whatever_the_batch(
    make: Make, recorded: Recorded, model: xw.ExplainableModel
) -> None:
    gallery = make(selected=5)
    found = gallery.visualisation
    alone = xw.visualise(model, objectives.channel("wide", 5), n_steps=N_STEPS, same_start=True)
    assert found.images.shape == (1, 24, 24, 3)
    np.testing.assert_allclose(found.values, alone.values, rtol=1e-4, atol=1e-6)
    assert np.abs(found.images.astype(int) - alone.images.astype(int)).max() <= 1
    assert found.texts == alone.texts
    assert found.values[0] > found.start_values[0]


def test_the_film_holds_the_way_from_start_to_end_and_comes_once(
    make: Make, recorded: Recorded
) -> None:
    gallery = make(parameters={"n_steps": 64})
    recorded.final(1)
    found = film(recorded)
    assert found["positions"][0] == 0 and found["positions"][-1] == 64
    assert (np.diff(found["positions"]) > 0).all() and len(found["positions"]) <= 25
    assert found["frames"].shape == (len(found["positions"]), 24, 24, 3)
    assert found["curves"].shape == (1, len(found["at"]))
    np.testing.assert_array_equal(found["frames"][-1], gallery.visualisation.images[0])
    assert json.loads(found["provenance"])["parameters"]["n_steps"] == 64
    assert not found["partial"]
    assert len({m["payload"]["frames"].tobytes() for m in recorded.of("film")}) == 1


def test_going_back_costs_no_pass_and_a_second_gallery_shares_what_is_known(
    make: Make, recorded: Recorded, wide: WideNet
) -> None:
    gallery = make(images=None)
    recorded.final(1)
    gallery.kind = "classes"
    recorded.final(gallery._revision)
    before = wide.calls
    gallery.kind = "channels"
    assert recorded.final(gallery._revision)["payload"]["cached"]
    after = len(recorded.messages)
    make(images=None)
    assert recorded.wait("result", after=after)["payload"]["cached"]
    assert wide.calls == before


def test_what_is_selected_is_computed_first_then_what_is_in_sight(
    make: Make, recorded: Recorded
) -> None:
    gallery = make(images=None, selected=20)
    recorded.wait("features")
    browser(gallery, "visible", {"items": [10, 11]})
    recorded.final(1)
    order = done(recorded, 1)
    assert order[:3] == [20, 0, 1]
    assert sorted(order) == list(range(24))
    assert {10, 11} & set(order[8:16])


def test_selecting_another_starts_nothing_anew_and_brings_its_film(
    make: Make, recorded: Recorded
) -> None:
    gallery = make()
    recorded.final(1)
    after = len(recorded.messages)
    gallery.selected = 7
    assert film(recorded, after)["index"] == 7
    assert gallery._revision == 1
    assert gallery.visualisation.texts == ("mean of channel 7 of wide",)
    gallery.selected = 30  # on the next page
    assert gallery.page == 1
    assert gallery.visualisation.texts == ("mean of channel 30 of wide",)


def test_another_layer_begins_anew_unless_something_is_selected_with_it(make: Make) -> None:
    gallery = make(images=None, selected=30, page=1)
    gallery.layer = "stem"
    assert (gallery.page, gallery.selected, gallery.mix_with) == (0, None, None)
    with gallery.hold_trait_notifications():
        gallery.selected = 9
        gallery.layer = "wide"
    assert gallery.selected == 9
    with gallery.hold_trait_notifications():
        gallery.layer, gallery.selected = "stem", 3
    assert gallery.selected == 3
    gallery.mix_with = 5
    gallery.kind = "classes"
    assert (gallery.selected, gallery.mix_with) == (None, None)


def test_cancel_keeps_the_pictures_that_there_are(
    make: Make, recorded: Recorded, wide: WideNet
) -> None:
    weights = {name: value.clone() for name, value in wide.state_dict().items()}
    gallery = make(images=None, parameters={"n_steps": 2048})
    recorded.wait("features")
    browser(gallery, "cancel")
    final = recorded.final(1)
    assert final["kind"] == "cancelled"
    found = film(recorded)
    assert found["partial"] and len(found["frames"]) >= 1
    after = len(recorded.messages)
    browser(gallery, "hello")  # a reload shows what there was
    again = [m["payload"] for m in recorded.messages[after:] if m["kind"] == "features"]
    assert [i for message in again for i in message["indices"]] == list(range(8))
    assert all(torch.equal(value, weights[name]) for name, value in wide.state_dict().items())
    assert wide.stem[0].weight.grad is None
    browser(gallery, "retry")
    assert gallery._revision == 2


def test_a_reload_is_filled_from_memory_in_order(make: Make, recorded: Recorded) -> None:
    gallery = make(mix_with=3)
    film(recorded, role="mixture")
    recorded.final(1)
    found = recorded.wait("exciting")
    while found["payload"]["items"] is None:
        found = recorded.wait("exciting", after=len(recorded.messages))
    after = len(recorded.messages)
    browser(gallery, "hello")
    kinds = [message["kind"] for message in recorded.messages[after:]]
    assert kinds[:4] == ["ack", "setup", "accepted", "gallery"]
    assert kinds[4:] == ["features", "film", "film", "exciting", "result"] or sorted(kinds[4:]) == [
        "exciting", "features", "film", "film", "result"
    ]  # fmt: skip
    setup = recorded.of("setup")[-1]["payload"]
    assert [record["name"] for record in setup["parameters"]][:2] == ["n_steps", "seed"]
    assert "head" in [layer["name"] for layer in setup["layers"]]


def exciting(recorded: Recorded, after: int = 0) -> dict[str, Any]:
    """Return the newest answer about images, once it is whole."""
    while True:
        found = recorded.wait("exciting", after=after)["payload"]
        if found["items"] is not None or found["error"] is not None:
            return dict(found)
        after = len(recorded.messages)


def test_the_images_that_excite_a_channel_most_are_those_of_the_library(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    from xai_widgets.features import top_images

    make(selected=4)
    found = exciting(recorded)
    (wanted,) = top_images(model, "wide", pictures, channels=[4])
    assert [item["image"] for item in found["items"]] == wanted.indices.tolist()
    np.testing.assert_allclose([item["value"] for item in found["items"]], wanted.values)
    item, crop = found["items"][0], wanted.crops[0]
    box = {name: item["box"][name] * side for name, side in zip("xy", (48, 40), strict=True)}
    assert box == {"x": pytest.approx(int(crop["x"])), "y": pytest.approx(int(crop["y"]))}
    x, y = int(box["x"] + 0.5), int(box["y"] + 0.5)
    height, width = item["crop"].shape[:2]
    np.testing.assert_array_equal(
        item["crop"], pictures[item["image"]][y : y + height, x : x + width]
    )


def test_images_are_passed_once_for_all_channels_of_a_layer(
    make: Make, recorded: Recorded, wide: WideNet
) -> None:
    gallery = make()
    recorded.final(1)
    exciting(recorded)
    before, after = wide.calls, len(recorded.messages)
    gallery.selected = 11
    assert exciting(recorded, after)["index"] == 11
    assert wide.calls == before


def test_classes_are_ranked_by_their_scores(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    gallery = make(objective="cow")
    assert (gallery.kind, gallery.selected) == ("classes", 2)
    found = exciting(recorded)
    inputs = np.stack([model.prepare(picture).values for picture in pictures])
    scores = model.backend.to_numpy(model.scores(inputs))[:, 2]
    assert [item["image"] for item in found["items"]] == np.argsort(-scores).tolist()
    np.testing.assert_allclose(
        [item["value"] for item in found["items"]], np.sort(scores)[::-1], rtol=1e-5
    )
    assert found["items"][0]["box"] == {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}
    assert gallery.visualisation.texts == ("cow",)


def test_directions_and_sums_are_given_by_name(
    make: Make, recorded: Recorded, model: xw.ExplainableModel
) -> None:
    vector = np.zeros(40, np.float32)
    vector[6] = 2
    gallery = make(objective={"stripes": objectives.direction("wide", vector)})
    assert gallery.kind == "own" and list(gallery.own) == ["stripes"]
    assert exciting(recorded)["items"][0]["box"]["width"] < 1
    assert gallery.visualisation.values[0] > gallery.visualisation.start_values[0]
    gallery.add(objectives.class_score("cow") - objectives.class_score("horse"))
    assert gallery.selected == 1
    assert gallery.visualisation.texts == ("cow - horse",)
    page = recorded.of("gallery")[-1]["payload"]
    assert page["own"] == ["stripes", "cow - horse"]
    gallery.add(objectives.channel("wide", 3), "stripes")  # another one by that name
    assert gallery.selected == 0 and len(gallery.own) == 2
    assert gallery.visualisation.texts == ("mean of channel 3 of wide",)
    with pytest.raises(XaiError, match="needs a name"):
        gallery.add("cow", "  ")


def test_a_layer_target_opens_its_layer_and_channel(make: Make) -> None:
    gallery = make(objective=xw.LayerTarget("wide", 30), images=None)
    assert (gallery.kind, gallery.layer, gallery.selected, gallery.page) == (
        "channels", "wide", 30, 1
    )  # fmt: skip


def test_two_are_mixed_in_a_grid_from_one_to_the_other(
    make: Make, recorded: Recorded, wide: WideNet
) -> None:
    gallery = make(images=None)
    recorded.final(1)
    gallery.mix_with = 3
    found = film(recorded, role="mixture")
    assert (found["index"], found["other"]) == (0, 3)
    assert found["frames"].shape == (9, 24, 24, 3)
    assert found["positions"].tolist() == pytest.approx(np.linspace(0, 1, 9).tolist())
    assert found["names"] == ["channel 0 of wide", "channel 3 of wide"]
    first, second = found["curves"]
    assert first[0] > first[-1] and second[-1] > second[0]
    before, after = wide.calls, len(recorded.messages)
    gallery.mix_with = None
    gallery.mix_with = 3
    assert film(recorded, after, "mixture")["other"] == 3
    assert wide.calls == before


def test_an_optimisation_starts_from_an_image_and_pictures_of_other_starts_are_kept_apart(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    gallery = make()
    noise = gallery.visualisation
    gallery.start = 2
    found = gallery.visualisation
    first = found.frames[0, 0].astype(int)
    wanted = np.asarray(Image.fromarray(pictures[2]).resize((24, 24)), dtype=int)
    assert np.corrcoef(first.ravel(), wanted.ravel())[0, 1] > 0.7
    assert found.provenance["parameters"]["start"]["name"] == "image 2"
    gallery.start = None
    np.testing.assert_array_equal(gallery.visualisation.images, noise.images)
    gallery.parameters = {"n_steps": N_STEPS, "seed": 1}
    assert not np.array_equal(gallery.visualisation.images, noise.images)


def test_channels_of_a_region_come_by_how_much_they_fire_there(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    from xai_widgets.features import firing_channels

    gallery = make(image_index=1, region=BOX)
    recorded.final(1)
    page = recorded.of("gallery")[0]["payload"]
    wanted = firing_channels(model, pictures[1], "wide", BOX, n=24)
    assert [item["index"] for item in page["items"]] == [each.channel for each in wanted]
    assert [item["value"] for item in page["items"]] == [each.contrast for each in wanted]
    assert page["where"]["name"] == "image 1" and page["where"]["region"] == BOX
    assert gallery.visualisation.texts == (f"mean of channel {wanted[0].channel} of wide",)
    gallery.region = {"type": "superpixels", "ids": [0]}
    recorded.final(gallery._revision)
    assert recorded.of("gallery")[-1]["payload"]["where"]["region"]["type"] == "mask"
    gallery.region = None
    assert recorded.final(gallery._revision)["kind"] == "result"
    assert recorded.of("gallery")[-1]["payload"]["total"] == 40


def test_the_explorer_opens_a_gallery_that_follows_layer_and_region(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> None:
    explorer = xw.Explorer(model, pictures, image_index=1)
    content = {"v": 1, "id": "b1", "kind": "open", "revision": 1, "payload": {"tool": "features"}}
    explorer._receive(explorer, content, [])
    gallery = explorer.look_closer("features")
    assert isinstance(gallery, FeatureGallery)
    told = recorded.of("opened")[-1]["payload"]["tools"]
    assert told == {"features": {"model": gallery.model_id, "error": None}}
    assert (gallery.kind, gallery.layer, gallery.region) == ("channels", explorer.layer, None)
    explorer.region = BOX
    assert (gallery.image_index, gallery.region) == (1, BOX)
    explorer.image_index = 2  # the region goes with its picture
    assert gallery.region is None
    explorer.layer = "stem"
    assert gallery.layer == "stem"
    explorer.close()
    assert gallery.comm is None


def test_the_workbench_sends_a_concept_vector(
    make_workbench: Callable[..., xw.ConceptWorkbench], recorded: Recorded, filled: Any
) -> None:
    workbench = make_workbench(layer="wide")
    with pytest.raises(ConceptError, match="has no vector yet: press Test"):
        workbench.look_closer("red")
    press(workbench, "open", {"tool": "features"})
    told = recorded.wait("opened")["payload"]["tools"]["features"]
    assert told["model"] is None and "press Test" in told["error"]
    workbench.test()
    gallery = workbench.look_closer("red")
    assert list(gallery.own) == ["red in wide"]
    (objective,) = gallery.own.values()
    vector = workbench.vectors["red", "wide"]
    np.testing.assert_allclose(objective.vector, vector / np.linalg.norm(vector), rtol=1e-5)
    workbench.concept = "blue"
    press(workbench, "open", {"tool": "features"})
    assert list(gallery.own) == ["red in wide", "blue in wide"] and gallery.selected == 1
    with pytest.raises(ConceptError, match=r"There is no concept 'bleu'\. Did you mean"):
        workbench.look_closer("bleu")
    press(workbench, "open", {"tool": "features", "open": False})
    assert gallery.comm is None
    assert recorded.of("opened")[-1]["payload"] == {"tools": {}}


def test_what_cannot_be_is_refused_with_a_sentence_and_the_state_stays(make: Make) -> None:
    gallery = make()
    bad: list[tuple[str, Any, str]] = [
        ("kind", "neurons", "use one of"),
        ("kind", "own", "No objectives of your own were given"),
        ("layer", "wode", "Did you mean 'wide'"),
        ("page", -1, "count from 0"),
        ("start", 17, "has no image 17: it has 6"),
        ("parameters", {"n_step": 3}, "There is no parameter 'n_step'. Did you mean 'n_steps'"),
        ("parameters", {3: 3}, "There is no parameter 3"),
        ("parameters", {"n_steps": 0}, "from 8 to 2048"),
        ("parameters", {"n_steps": 12.5}, "whole number"),
        ("parameters", {"transforms": "wild"}, "use one of"),
        ("region", {"type": "star"}, "A region must be"),
    ]
    for name, value, sentence in bad:
        before = getattr(gallery, name)
        with pytest.raises(traitlets.TraitError, match=sentence):
            setattr(gallery, name, value)
        assert getattr(gallery, name) == before
    gallery.parameters = {"n_steps": np.int64(9)}
    assert gallery.parameters == {"n_steps": 9}
    with pytest.raises(XaiError, match="has no trait 'colour'"):
        make(colour="red")
    with pytest.raises(XaiError, match="given none"):
        make(images=None, start=0)
    with pytest.raises(XaiError, match="lies on one of the images"):
        make(images=None, region=BOX)
    with pytest.raises(XaiError, match="zebrra"):
        make(objective="zebrra")


def test_functions_of_one_name_have_pictures_of_their_own(
    make: Make, model: xw.ExplainableModel
) -> None:
    gallery = make(images=None, objective={"a": lambda y: y[:, 0], "b": lambda y: y[:, 1]})
    first = gallery.visualisation
    gallery.selected = 1
    second = gallery.visualisation
    assert not np.array_equal(first.images, second.images)
    alone = xw.visualise(model, lambda y: y[:, 1], n_steps=N_STEPS, same_start=True)
    np.testing.assert_allclose(second.values, alone.values, rtol=1e-4, atol=1e-6)
    assert second.provenance["parameters"] == {**alone.provenance["parameters"], "every": 1}


def test_a_list_of_objectives_is_shown_and_those_of_several_pictures_are_refused(
    make: Make,
) -> None:
    gallery = make(images=None, objective=["cow", objectives.channel("wide", 2)])
    assert list(gallery.own) == ["cow", "mean of channel 2 of wide"]
    assert gallery.visualisation.texts == ("cow",)
    with pytest.raises(XaiError, match="a gallery makes one of each"):
        gallery.add(objectives.diversity("wide"))
    assert gallery.visualisation.texts == ("cow",)


def test_an_objective_that_takes_a_name_over_takes_no_picture_with_it(
    make: Make, recorded: Recorded
) -> None:
    gallery = make(images=None, objective={"mine": "cow"})
    recorded.final(1)
    before = len(recorded.messages)
    gallery.add("horse", "mine")
    recorded.final(gallery._revision)
    keys = [m["payload"]["key"] for m in recorded.of("gallery")]
    assert keys[0] != keys[-1]  # the browser lets go of what it has
    films = [m["payload"] for m in recorded.messages[before:] if m["kind"] == "film"]
    assert films and all(each["key"] == keys[-1] for each in films)


def test_other_weights_mean_other_pictures_and_another_look_at_the_images(
    make: Make, recorded: Recorded, wide: WideNet
) -> None:
    gallery = make(kind="classes")
    before = gallery.visualisation
    exciting(recorded)
    with torch.no_grad():
        wide.head.weight.mul_(-1)
    after = len(recorded.messages)
    browser(gallery, "retry")
    assert not np.array_equal(gallery.visualisation.images, before.images)
    assert exciting(recorded, after)["items"]
    page, *_, last = recorded.of("gallery")
    assert page["payload"]["key"] != last["payload"]["key"]


def test_pictures_of_other_pages_are_kept_by_the_model_alone(
    make: Make, recorded: Recorded
) -> None:
    gallery = make(images=None)
    recorded.final(1)
    gallery.selected = 3
    gallery.page = 1
    recorded.final(gallery._revision)
    assert sorted(gallery._records) == [3, *range(24, 40)]
    gallery.page = 0
    assert recorded.final(gallery._revision)["payload"]["cached"]


def test_cancel_stops_the_look_through_the_images(make: Make, recorded: Recorded) -> None:
    images = np.zeros((500, 24, 24, 3), np.uint8)
    gallery = make(images=images, parameters={"n_steps": 2048})
    recorded.wait("exciting")
    browser(gallery, "cancel")
    assert gallery._task is not None and gallery._task.wait(60)
    assert recorded.final(1)["kind"] == "cancelled"
    assert "Cancelled" in exciting(recorded)["error"]
    assert gallery._look._sought is None


def test_a_mixture_that_is_no_longer_wanted_keeps_nothing_waiting(
    make: Make, recorded: Recorded
) -> None:
    gallery = make(images=None, kind="classes", parameters={"n_steps": 128})
    recorded.final(1)
    gallery.mix_with = 1
    assert gallery._look._mixing is not None
    gallery.mix_with = None
    assert gallery._look._mixing is None
    gallery.mix_with = 1  # the same again, while the first one may still run
    found = film(recorded, role="mixture")
    assert found["error"] is None and len(found["frames"]) == 9


def test_a_region_where_nothing_fires_is_a_sentence_and_not_a_wait(
    recorded: Recorded,
) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.stem(x).mean((2, 3)))

    model = xw.load(Flat().eval(), labels=LABELS, input_size=(24, 24))
    gallery = FeatureGallery(model, np.zeros((1, 24, 24, 3), np.uint8), layer="stem", region=BOX)
    assert recorded.final(1)["kind"] == "result"
    assert recorded.of("gallery")[0]["payload"]["items"] == []
    with pytest.raises(XaiError, match="No channel of this layer fires more"):
        gallery.visualisation
    gallery.close()


def test_what_is_not_there_is_told_in_the_gallery(make: Make, recorded: Recorded) -> None:
    gallery = make(selected=40, page=1)
    assert recorded.final(1)["payload"]["message"] == (
        "There is no channel of wide 40: there are 40, counted from 0."
    )
    with pytest.raises(XaiError, match="counted from 0"):
        gallery.visualisation
    with pytest.raises(XaiError, match="counted from 0"):
        gallery.to_png()
    gallery.selected = 0
    assert gallery.visualisation.values.shape == (1,)


def test_a_model_without_gradients_gets_a_sentence(make: Make, recorded: Recorded) -> None:
    class Cut(WideNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).detach()

    model = xw.load(Cut().eval(), labels=LABELS, input_size=(24, 24))
    gallery = make(model)
    final = recorded.final(1)
    assert final["kind"] == "error" and final["payload"]["stage"] == "load"
    assert "Pictures are made by following gradients" in final["payload"]["message"]
    assert recorded.of("gallery") == []
    with pytest.raises(XaiError, match="following gradients"):
        gallery.visualisation
    explorer = xw.Explorer(model, np.zeros((1, 24, 24, 3), np.uint8))
    with pytest.raises(MethodError, match="The feature gallery cannot be opened"):
        explorer.look_closer("features")
    explorer.close()


def test_channels_that_answer_to_nothing_stop_no_others(make: Make, recorded: Recorded) -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.relu = nn.Conv2d(3, 20, 3, 2, 1), nn.ReLU()
            self.head = nn.Linear(20, 4)
            with torch.no_grad():
                self.stem.bias[8:16] = -100.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.relu(self.stem(x)).mean((2, 3)))

    torch.manual_seed(0)
    model = xw.load(Dead().eval(), labels=LABELS, input_size=(24, 24))
    gallery = make(model, images=None, layer="relu")
    assert recorded.final(1)["kind"] == "result"
    assert done(recorded, 1) == list(range(20))
    after = len(recorded.messages)
    gallery.selected = 9
    assert "no gradient comes back" in film(recorded, after)["note"]
    with pytest.raises(XaiError, match="no gradient comes back"):
        gallery.visualisation
    gallery.layer = "head"  # a layer that returns a vector
    assert gallery.visualisation.texts == ("channel 0 in head",)


def test_an_objective_that_is_not_a_number_is_told(make: Make, recorded: Recorded) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, 2, 1)
            self.head = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            features = self.stem(x)
            return self.head(features.mean((2, 3))) + torch.log(features.mean() * 0 - 1)

    model = xw.load(Broken().eval(), labels=LABELS, input_size=(24, 24))
    make(model, images=None, kind="classes")
    assert "NaN" in recorded.final(1)["payload"]["message"]


def test_a_picture_that_cannot_be_opened_is_told_beside_the_others(
    make: Make, recorded: Recorded, tmp_path: Path
) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    make(images=[str(path)])
    assert "broken.png" in exciting(recorded)["error"]
    assert recorded.final(1)["kind"] == "result"


def test_the_mimebundle_carries_a_png_and_save_writes_the_picture(
    make: Make, recorded: Recorded, tmp_path: Path
) -> None:
    gallery = make()
    recorded.final(1)
    data, _ = gallery._repr_mimebundle_()
    with Image.open(io.BytesIO(gallery.to_png())) as picture:
        assert picture.format == "PNG"
    assert "image/png" in data
    path = gallery.save(tmp_path / "channel.png")
    with Image.open(path) as picture:
        assert json.loads(picture.info["Description"])["texts"] == ["mean of channel 0 of wide"]


def test_closing_lets_go_of_everything(make: Make, recorded: Recorded) -> None:
    gallery = make(parameters={"n_steps": 2048})
    recorded.wait("features")
    gallery.close()
    assert gallery._task is not None and gallery._task.wait(60)
    assert gallery._records == {}


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_both_frameworks_show_their_classes(
    framework: str, recorded: Recorded, pictures: np.ndarray
) -> None:
    model = xw.demo.model("digits", framework=framework)
    digits = xw.demo.dataset("digits", n=6, seed=1)
    gallery = FeatureGallery(
        model, digits.images, objective=3, parameters={"n_steps": 16, "transforms": "none"}
    )
    found = gallery.visualisation
    assert found.values[0] > found.start_values[0] + 1
    assert found.images.shape[3] == 3
    assert exciting(recorded)["items"]
    gallery.close()
