"""The path scrubber's kernel side: what is sent, what is equal to explain, what is kept."""

from __future__ import annotations

import base64
import gc
import io
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

import xai_widgets as xw
from tests.widgets.conftest import Recorded, SmallNet
from xai_widgets.errors import ImageError, XaiError
from xai_widgets.explainers.path_stack import Nodes, PathStack
from xai_widgets.widgets.scrubber.job import CHUNK_BYTES, stack_payloads
from xai_widgets.widgets.scrubber.scrubber import PathScrubber

Make = Callable[..., PathScrubber]


@pytest.fixture
def make(model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded) -> Iterator[Make]:
    made: list[PathScrubber] = []

    def build(image: Any = None, **traits: Any) -> PathScrubber:
        scrubber = PathScrubber(model, pictures[0] if image is None else image, **traits)
        made.append(scrubber)
        return scrubber

    yield build
    for scrubber in made:
        scrubber.close()


def browser(scrubber: PathScrubber, kind: str, payload: dict[str, Any] | None = None) -> None:
    content = {"v": 1, "id": "b1", "kind": kind, "revision": 1, "payload": payload or {}}
    scrubber._receive(scrubber, content, [])


def numbers(array: np.ndarray) -> np.ndarray:
    """Return maps as sent: half precision comes as its bits."""
    return (array.view(np.float16) if array.dtype == np.uint16 else array).astype(np.float32)


def put_together(recorded: Recorded, revision: int) -> tuple[np.ndarray, np.ndarray]:
    """Return maps and scores by position, as a browser would have them."""
    parts = [message["payload"] for message in recorded.of("stack", revision=revision)]
    positions = np.concatenate([part["positions"] for part in parts])
    maps = [numbers(part["array"]) * part["scales"][:, None, None] for part in parts]
    order = np.argsort(positions)
    assert positions[order].tolist() == list(range(len(positions)))
    return np.concatenate(maps)[order], np.concatenate([p["scores"] for p in parts])[order]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"baseline": "blur 0.05", "n_steps": 24},
        {"target": "cow", "baseline": "#ff8000", "n_steps": 8},
        {"baseline": "noise 0.1", "precision": "float32"},
    ],
)
def test_the_explanation_is_what_explain_gives(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray, asked: dict[str, Any]
) -> None:
    scrubber = make(**asked)
    parameters = {k: v for k, v in asked.items() if k not in ("target", "precision")}
    expected = xw.explain(model, pictures[0], target=asked.get("target"), **parameters)
    found = scrubber.explanation
    size = np.abs(expected.attribution).max()
    np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-5 * size)
    assert found.target == expected.target and found.method == expected.method
    assert found.diagnostics.keys() == expected.diagnostics.keys()
    for key in ("method", "parameters", "target", "model", "image"):
        assert found.provenance[key] == expected.provenance[key]


def test_the_blur_path_is_what_blur_ig_gives(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> None:
    scrubber = make(path="blur", n_steps=16)
    expected = xw.explain(model, pictures[0], "blur_ig", n_steps=16)
    found = scrubber.explanation
    assert found.method == "blur_ig"
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-3, atol=1e-6)
    for message in recorded.of("stack"):
        assert message["payload"]["pictures"].dtype == np.uint8
    levels = recorded.final(1)["payload"]["convergence"]["levels"]
    assert [evaluations for evaluations, _gap in levels] == [3, 5, 9, 17]
    delta = expected.diagnostics["convergence_delta"]
    assert levels[-1][1] == pytest.approx(delta, rel=1e-2, abs=1e-5)


def test_the_guided_path_is_what_guided_ig_gives_and_comes_in_order(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> None:
    scrubber = make(path="guided", n_steps=16, baseline="white")
    found = scrubber.explanation
    expected = xw.explain(model, pictures[0], "guided_ig", n_steps=16, baseline="white")
    assert found.method == "guided_ig"
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-3, atol=1e-6)
    delta = expected.diagnostics["convergence_delta"]
    assert found.diagnostics["convergence_delta"] == pytest.approx(delta, rel=1e-2, abs=1e-5)
    sent = [message["payload"] for message in recorded.of("stack", revision=1)]
    assert np.concatenate([part["positions"] for part in sent]).tolist() == list(range(17))
    assert all(part["pictures"].dtype == np.uint8 for part in sent)
    maps, scores = put_together(recorded, 1)
    assert recorded.of("path")[-1]["payload"]["rule"] == "backward"
    limit = 0.01 * np.abs(expected.map).max()
    assert np.abs(maps[1:].mean(0) - expected.map).max() < limit
    gap = maps[1:].mean(0).sum() - (scores[-1, 0] - scores[0, 0])
    assert gap == pytest.approx(delta, abs=1e-2 * abs(delta) + 1e-4)


@pytest.mark.parametrize("baseline", ["noise 0.1", "images", "own"])
def test_several_draws_are_what_expected_gradients_gives(
    make: Make,
    model: xw.ExplainableModel,
    pictures: np.ndarray,
    recorded: Recorded,
    baseline: str,
) -> None:
    others = pictures[1:]
    given = others if baseline == "own" else baseline
    scrubber = make(baseline=given, draws=3, n_steps=8, others=others)
    asked = others if baseline in ("own", "images") else baseline
    expected = xw.explain(
        model,
        pictures[0],
        "expected_gradients",
        background=asked,
        n_samples=8,
        quadrature="trapezoid",
        n_baselines=3,
    )
    found = scrubber.explanation
    assert found.method == "expected_gradients" and found.diagnostics["n_background"] == 3
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-3, atol=1e-6)
    told = recorded.of("path")[-1]["payload"]
    assert told["draws"] == 3 and told["ends"].shape[0] == 2
    scrubber.draws = 1  # one path, from one draw or from the mean
    single = scrubber.explanation
    assert single.method == "integrated_gradients"
    assert recorded.of("path")[-1]["payload"]["draws"] == 1


def test_adaptive_steps_are_what_explain_gives(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> None:
    asked = {"baseline": "white", "n_steps": 40, "tolerance": 0.001}
    scrubber = make(**asked)
    found = scrubber.explanation
    expected = xw.explain(model, pictures[0], quadrature="adaptive", **asked)
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-3, atol=1e-6)
    assert found.diagnostics["evaluations"] == expected.diagnostics["evaluations"]
    assert recorded.of("path")[-1]["payload"]["tolerance"] == 0.001
    sent = [message["payload"] for message in recorded.of("stack", revision=1)]
    positions = np.concatenate([part["positions"] for part in sent])
    assert len(positions) == found.diagnostics["evaluations"] == len(scrubber.stack.alphas)
    order = np.argsort(positions)
    maps = np.concatenate([numbers(p["array"]) * p["scales"][:, None, None] for p in sent])[order]
    total = np.trapezoid(maps, positions[order] / 40, axis=0)
    assert np.abs(total - expected.map).max() < 0.01 * np.abs(expected.map).max()
    scrubber.tolerance = None
    assert "evaluations" not in scrubber.explanation.diagnostics


@pytest.mark.parametrize(
    ("asked", "method", "parameters"),
    [
        ({"path": "guided"}, "guided_ig", {}),
        (
            {"baseline": "noise 0.1", "draws": 2},
            "expected_gradients",
            {"background": "noise 0.1", "n_baselines": 2, "quadrature": "trapezoid"},
        ),
        ({"tolerance": 0.1}, "integrated_gradients", {"quadrature": "adaptive", "tolerance": 0.1}),
        ({"path": "blur"}, "blur_ig", {}),
    ],
)
def test_a_keras_model_is_scrubbed_the_same(
    recorded: Recorded, asked: dict[str, Any], method: str, parameters: dict[str, Any]
) -> None:
    pytest.importorskip("tensorflow")
    model = xw.demo.model("lesions", framework="tensorflow")
    picture = xw.demo.dataset("lesions", n=2, seed=1).images[0]
    scrubber = PathScrubber(model, picture, target="malignant", n_steps=16, **asked)
    found = scrubber.explanation
    steps = "n_samples" if method == "expected_gradients" else "n_steps"
    expected = xw.explain(model, picture, method, target="malignant", **{steps: 16}, **parameters)
    assert found.method == method
    size = np.abs(expected.attribution).max()
    np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-4 * size)
    recorded.final(1)
    sent = [message["payload"] for message in recorded.of("stack", revision=1)]
    assert sum(len(part["positions"]) for part in sent) == len(scrubber.stack.alphas)
    scrubber.close()


def test_what_is_sent_sums_to_the_explanation(make: Make, recorded: Recorded) -> None:
    scrubber = make(n_steps=32)
    explanation = scrubber.explanation
    recorded.final(1)
    maps, scores = put_together(recorded, 1)
    weights = np.full(33, 1 / 32)
    weights[[0, -1]] /= 2
    sent = np.tensordot(weights, maps, 1)
    assert np.abs(sent - explanation.map).max() < 0.01 * np.abs(explanation.map).max()
    assert scores[-1, 0] == pytest.approx(explanation.score, rel=1e-4)
    gap = sent.sum() - (scores[-1, 0] - scores[0, 0])
    delta = explanation.diagnostics["convergence_delta"]
    assert gap == pytest.approx(delta, abs=1e-3 * float(abs(scores[-1, 0] - scores[0, 0])))
    roles = [line["role"] for line in recorded.of("path")[-1]["payload"]["series"]]
    assert roles == ["target", "runner-up"] and scores.shape == (33, 2)


def test_a_contrast_draws_its_own_class_the_other_and_the_best_of_the_rest(
    make: Make, recorded: Recorded
) -> None:
    scrubber = make(target=xw.ClassTarget("zebra", "horse"), n_steps=8)
    assert scrubber.explanation.target_text == "zebra versus horse"
    roles = [line["role"] for line in recorded.of("path")[-1]["payload"]["series"]]
    assert roles[:3] == ["target", "class", "contrast"]
    _, scores = put_together(recorded, 1)
    np.testing.assert_allclose(scores[:, 0], scores[:, 1] - scores[:, 2], atol=1e-5)


def test_a_message_is_at_most_four_mebibytes_and_64_steps_of_224_at_most_seven() -> None:
    shape = (513, 224, 224)
    maps = np.zeros(shape, np.float16)
    nodes = Nodes(tuple(range(513)), maps, np.ones(513, np.float32), np.zeros((513, 3), np.float32))
    parts = list(stack_payloads(nodes))
    assert max(part["array"].nbytes for part in parts) <= CHUNK_BYTES
    assert sum(len(part["positions"]) for part in parts) == 513
    pictures = np.zeros((65, 224, 224, 3), np.uint8)
    with_pictures = Nodes(
        tuple(range(65)), maps[:65], nodes.scales[:65], nodes.scores[:65], pictures
    )
    for part in stack_payloads(with_pictures):
        assert part["array"].nbytes + part["pictures"].nbytes <= CHUNK_BYTES


def test_at_224_pixels_the_wire_carries_7_megabytes_and_the_page_less_than_10(
    net: SmallNet, recorded: Recorded, tmp_path: Path
) -> None:
    model = xw.load(net, labels=["zebra", "leopard", "cow", "horse"], input_size=(224, 224))
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    scrubber = PathScrubber(model, noise)
    assert scrubber.save(tmp_path / "path.html").stat().st_size < 10e6
    parts = [message["payload"] for message in recorded.of("stack")]
    assert sum(part["array"].nbytes + part["scores"].nbytes for part in parts) <= 7e6
    scrubber.n_steps = 512
    assert scrubber.stack.nbytes < 60e6
    scrubber.close()


def test_the_first_message_is_a_coarse_path_with_both_ends(make: Make, recorded: Recorded) -> None:
    make(n_steps=512).explanation
    first = recorded.of("stack")[0]["payload"]["positions"]
    assert {0, 512} <= set(first.tolist())
    assert len(set(np.diff(np.sort(first)).tolist())) == 1


def test_cancelling_keeps_what_there_is_and_asking_starts_again(
    make: Make, net: SmallNet, recorded: Recorded
) -> None:
    scrubber = make(n_steps=8)
    scrubber.explanation
    after = len(recorded.messages)
    entered = threading.Event()
    steps = 0
    original = net.forward

    def counted(x: Any) -> Any:
        nonlocal steps
        if len(x) > 1:
            steps += 1
            if steps > 2:
                entered.set()
                net.gate.clear()
        return original(x)

    net.forward = counted  # type: ignore[method-assign]
    scrubber.n_steps = 512
    assert entered.wait(60)
    browser(scrubber, "cancel")
    net.forward = original  # type: ignore[method-assign]
    net.gate.set()
    assert recorded.wait("cancelled", after=after)["revision"] == 2
    kinds = [kind for kind, _ in scrubber.messages()]
    assert kinds.count("stack") >= 2 and kinds[-1] == "cancelled"
    assert scrubber.explanation.provenance["parameters"]["n_steps"] == 512


def test_a_new_view_and_a_known_question_are_answered_without_the_model(
    make: Make, net: SmallNet, recorded: Recorded
) -> None:
    scrubber = make(n_steps=16)
    scrubber.explanation
    recorded.final(1)
    browser(scrubber, "hello")  # the first time, the setup looks at the model's operations
    net.entered.clear()
    after = len(recorded.messages)
    browser(scrubber, "hello")
    kinds = [message["kind"] for message in recorded.messages[after:]]
    assert kinds[:6] == ["ack", "setup", "accepted", "picture", "prediction", "path"]
    assert kinds[-1] == "result" and "stack" in kinds
    assert not net.entered.is_set()
    again = make(n_steps=16)
    assert again.explanation is scrubber.explanation
    assert recorded.final(1)["payload"]["cached"]


@pytest.mark.parametrize("name", ["image", "baseline"])
def test_none_is_refused_and_what_was_there_stays(make: Make, name: str) -> None:
    scrubber = make()
    before = getattr(scrubber, name)
    with pytest.raises(XaiError, match=r"not an image|The baseline"):
        setattr(scrubber, name, None)
    assert getattr(scrubber, name) is before


def test_a_misspelled_trait_is_a_sentence(make: Make) -> None:
    with pytest.raises(XaiError, match=r"no trait 'tolerence'.*'tolerance'"):
        make(tolerence=0.02)


def test_a_function_that_fails_is_a_sentence(make: Make) -> None:
    def broken(outputs: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(XaiError, match="target function 'broken' failed: division by zero"):
        make(target=broken).explanation


def test_the_newest_state_wins_and_every_job_ends_once(make: Make, recorded: Recorded) -> None:
    scrubber = make(n_steps=256)
    for baseline in ("white", "grey", "blur"):
        scrubber.baseline = baseline
    assert scrubber.explanation.provenance["parameters"]["baseline"] == "blur"
    for revision in (1, 2, 3, 4):
        recorded.final(revision)
        assert len(recorded.of("result", "error", "cancelled", revision=revision)) == 1


def test_pictures_and_arrays_can_be_baselines(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    scrubber = make(n_steps=8, baseline=pictures[1])
    assert scrubber.baseline == {"kind": "own", "name": "own 1", "several": False}
    expected = xw.explain(model, pictures[0], n_steps=8, baseline=pictures[1])
    np.testing.assert_allclose(
        scrubber.explanation.attribution, expected.attribution, rtol=1e-3, atol=1e-6
    )
    scrubber.baseline = pictures  # the mean of the data set
    assert scrubber.baseline["several"]
    expected = xw.explain(model, pictures[0], n_steps=8, baseline=pictures)
    np.testing.assert_allclose(
        scrubber.explanation.attribution, expected.attribution, rtol=1e-3, atol=1e-6
    )
    scrubber.baseline = {"kind": "own", "name": "own 1"}
    assert scrubber.baseline["name"] == "own 1"


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("baseline", "blakc", "There is no baseline 'blakc'"),
        ("baseline", np.zeros((2, 2, 3)), "has shape"),
        ("n_steps", 4, "from 8 to 512"),
        ("n_steps", 513, "from 8 to 512"),
        ("path", "curved", "cannot be 'curved'"),
        ("draws", 0, "from 1 to 64"),
        ("draws", 65, "from 1 to 64"),
        ("tolerance", -0.1, "from 0 to 1"),
        ("tolerance", 2.0, "from 0 to 1"),
        ("baseline", "images", "give them to the PathScrubber as `others`"),
        ("precision", "int8", "cannot be 'int8'"),
        ("target", "zebbra", "zebra"),
        ("region", {"type": "circle"}, "'type'"),
    ],
)
def test_wrong_state_is_refused_with_a_sentence_and_the_old_one_stays(
    make: Make, trait: str, value: Any, sentence: str
) -> None:
    scrubber = make(n_steps=8)
    before = getattr(scrubber, trait)
    with pytest.raises(traitlets.TraitError, match=sentence):
        setattr(scrubber, trait, value)
    assert getattr(scrubber, trait) == before
    assert scrubber.explanation.score


def test_another_picture_is_opened_and_a_broken_one_is_not(
    make: Make, pictures: np.ndarray
) -> None:
    scrubber = make(n_steps=8)
    first = scrubber.explanation
    scrubber.image = pictures[1]
    assert scrubber.explanation.image.key != first.image.key
    with pytest.raises(ImageError):
        scrubber.image = Path("missing.png")


def test_the_hint_names_the_baseline_that_hides_least(
    make: Make, pictures: np.ndarray, recorded: Recorded
) -> None:
    picture = pictures[0].copy()
    picture[:20] = 0
    make(picture, n_steps=8).explanation
    hint = recorded.final(1)["payload"]["hint"]
    assert hint["share"] > 0.4 and hint["best"] != "black"
    assert hint["best_share"] < 0.1
    make(n_steps=8).explanation
    assert recorded.of("result")[-1]["payload"]["hint"] is None


def test_a_model_without_gradients_is_told_in_a_sentence(
    pictures: np.ndarray, recorded: Recorded
) -> None:
    class Detached(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().mean((2, 3))

    model = xw.load(Detached().eval(), input_size=(32, 32), labels=["r", "g", "b"])
    scrubber = PathScrubber(model, pictures[0])
    with pytest.raises(XaiError, match="no gradients to scrub through"):
        scrubber.explanation
    assert recorded.final(1)["kind"] == "error"
    scrubber.close()


def test_closing_frees_the_stack(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> None:
    scrubber = PathScrubber(model, pictures[0], n_steps=8)
    scrubber.explanation
    recorded.final(1)
    seen = weakref.ref(scrubber)
    scrubber.close()
    del scrubber
    recorded.messages.clear()
    for _ in range(50):
        gc.collect()
        if seen() is None:
            break
        threading.Event().wait(0.1)
    assert seen() is None


def test_it_is_saved_as_frame_film_stack_and_page(make: Make, tmp_path: Path) -> None:
    scrubber = make(n_steps=8)
    frame = Image.open(scrubber.save(tmp_path / "frame.png", alpha=0.5))
    assert frame.width > 800 and frame.width % 2 == 0 and frame.height % 2 == 0
    film = Image.open(scrubber.save(tmp_path / "sweep.gif"))
    assert getattr(film, "n_frames", 1) == 9
    with np.load(scrubber.save(tmp_path / "stack.npz")) as stack:
        np.testing.assert_allclose(
            np.tensordot(stack["weights"], stack["maps"], 1),
            scrubber.explanation.map,
            atol=0.01 * np.abs(scrubber.explanation.map).max(),
        )
        assert stack["series"].shape == (stack["scores"].shape[1],)
    page = scrubber.save(tmp_path / "page.html").read_text()
    assert "http://" not in page.split("<script")[0] and "DecompressionStream" in page
    with pytest.raises(XaiError, match=r"\.html, \.npz, \.png, \.gif, \.mp4"):
        scrubber.save(tmp_path / "path.bmp")
    with pytest.raises(XaiError, match="does not exist"):
        scrubber.save(tmp_path / "missing" / "path.npz")


@pytest.mark.parametrize(
    "asked",
    [{"path": "guided"}, {"path": "blur"}, {"baseline": "noise", "draws": 2}, {"tolerance": 0.05}],
)
def test_every_kind_of_path_is_saved_and_pictured(
    make: Make, tmp_path: Path, asked: dict[str, Any]
) -> None:
    scrubber = make(n_steps=8, **asked)
    with np.load(scrubber.save(tmp_path / "stack.npz")) as stack:
        map_ = scrubber.explanation.map
        found = np.tensordot(stack["weights"], stack["maps"], 1)
        np.testing.assert_allclose(found, map_, atol=0.01 * np.abs(map_).max())
    film = Image.open(scrubber.save(tmp_path / "sweep.gif"))
    assert getattr(film, "n_frames", 1) == len(scrubber.stack.alphas)
    assert (tmp_path / "sweep.gif").stat().st_size > 2000
    assert scrubber.save(tmp_path / "page.html").stat().st_size > 50_000
    assert Image.open(io.BytesIO(scrubber.to_png())).width > 800


def test_a_film_has_a_frame_for_every_step(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("av")
    film = make(n_steps=8).save(tmp_path / "sweep.mp4").read_bytes()
    assert b"ftyp" in film[:32] and len(film) > 2000


def test_without_the_encoder_a_sentence_says_what_to_install(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(XaiError, match=r"pip install 'xai-widgets\[video\]'"):
        make(n_steps=8).save(tmp_path / "sweep.mp4")
    assert not (tmp_path / "sweep.mp4").exists()


def test_it_shows_itself_as_a_picture(make: Make) -> None:
    data, _ = make(n_steps=8)._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 800
    assert isinstance(make(n_steps=8).stack, PathStack)


def test_opened_from_an_explorer_it_shares_what_is_asked_until_it_is_closed(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> None:
    asked = {"integrated_gradients": {"baseline": "white", "n_steps": 16}}
    explorer = xw.Explorer(model, pictures, image_index=2, target="cow", parameters=asked)
    scrubber = PathScrubber.of(explorer)
    assert (scrubber.baseline, scrubber.n_steps) == ("white", 16)
    assert scrubber.image.key == model.prepare(pictures[2]).key
    explorer.target = "zebra"
    assert scrubber.explanation.target_text == "zebra"
    scrubber.target = 3
    assert explorer.target["index"] == 3
    explorer.image_index = 4
    assert scrubber.image.key == model.prepare(pictures[4]).key
    scrubber.baseline = "blur 0.05"
    scrubber.n_steps = 64
    # only what differs from the defaults is written
    assert explorer.parameters == {"integrated_gradients": {"baseline": "blur 0.05"}}
    explorer.parameters = {"integrated_gradients": {"n_steps": 2000}}
    assert (scrubber.baseline, scrubber.n_steps) == ("black", 512)
    scrubber.baseline = "images"
    scrubber.n_steps = 8
    assert explorer.parameters == {"integrated_gradients": {"n_steps": 8}}
    explorer.parameters = {"integrated_gradients": {"n_steps": 16}, "gradient": {}}
    assert (scrubber.baseline, scrubber.n_steps) == ("images", 16)
    expected = xw.explain(
        model, pictures[4], target=3, n_steps=16, baseline=np.delete(pictures, 4, axis=0)
    )
    size = np.abs(expected.attribution).max()
    np.testing.assert_allclose(
        scrubber.explanation.attribution, expected.attribution, atol=1e-4 * size
    )
    scrubber.close()
    explorer.image_index = 0
    explorer.target = 1
    explorer.parameters = {}
    assert scrubber.image.key == model.prepare(pictures[4]).key
    assert scrubber.target["index"] == 3 and scrubber.n_steps == 16
    explorer.close()


def test_two_scrubbers_do_not_mix_up_their_own_baselines(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    first, second = (make(n_steps=8, baseline=pictures[i]) for i in (1, 2))
    assert first.baseline == second.baseline
    for scrubber, i in ((first, 1), (second, 2)):
        expected = xw.explain(model, pictures[0], n_steps=8, baseline=pictures[i])
        np.testing.assert_allclose(
            scrubber.explanation.attribution, expected.attribution, rtol=1e-3, atol=1e-6
        )
