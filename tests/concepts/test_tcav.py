"""TCAV end to end: closed forms, known answers on the demo models, order, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from tests.models.nets import seeded
from xai_widgets.concepts.evidence import Evidence
from xai_widgets.concepts.fits import Fits
from xai_widgets.concepts.options import Options
from xai_widgets.concepts.pictures import opened
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.concepts.tcav import TcavRequest, layers_of, tcav, tcav_steps
from xai_widgets.errors import ConceptError, LayerError, TargetError, XaiError

KEYS = {
    "concept", "layer", "class", "score", "magnitude", "low", "high", "p", "p_adjusted",
    "significant", "accuracy", "accuracy_low", "accuracy_high", "testable", "note", "n_examples",
    "n_images",
}  # fmt: skip


class Colours(nn.Module):
    """The mean colour, and a linear head on it: the gradient is the head's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        self.head = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3)[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


def coloured(n: int, seed: int, shift: tuple[int, int, int] = (0, 0, 0)) -> Any:
    """Return plain pictures of random colours, uint8 [n, 8, 8, 3]."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(60, 120, (n, 1, 1, 3)) + np.array(shift)
    return np.broadcast_to(colours, (n, 8, 8, 3)).astype(np.uint8)


@pytest.fixture
def colours() -> Any:
    return xw.load(seeded(Colours), input_size=8)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_linear_head_gives_the_closed_form(colours: Any, pooled: bool) -> None:
    """v is the difference of mean colours, w the head's weights: magnitude = w . v / |w| |v|."""
    concept, pool = coloured(12, 0, (80, 20, 0)), coloured(10, 1)
    records = tcav(
        colours,
        coloured(7, 2),
        1,
        {"red": concept},
        layers="features",
        random=pool,
        classifier="mean_difference",
        pooled=pooled,
        n_null=19,
    )
    # So small a pool is one set, and the CAV is known.
    v = (concept.mean((0, 1, 2)) - pool.mean((0, 1, 2))) / 255
    w = colours.source.head.weight[1].detach().numpy()
    expected = float(w @ v / np.linalg.norm(w) / np.linalg.norm(v))
    (record,) = records
    assert record["magnitude"] == pytest.approx(expected, abs=1e-5)
    assert record["score"] == float(expected > 0)
    assert record["low"] == pytest.approx(expected, abs=1e-5)
    assert "the same for every image" in record["note"]
    assert "one set, of all of them" in record["note"]
    assert (record["n_examples"], record["n_images"]) == (12, 7)


@pytest.mark.parametrize("weights", [(0.3, 1.0, -0.4), (0.1, -1.0, 0.5), (1.0, 1.0, 0.2)])
def test_p_is_that_of_plain_differences_of_means_in_random_order(
    colours: Any, weights: tuple[float, float, float]
) -> None:
    with torch.no_grad():
        colours.source.head.weight[1] = torch.tensor(weights)
    concept, pool = coloured(12, 0, (50, 0, 0)), coloured(10, 1)
    w, rows = np.array(weights), np.concatenate([concept, pool])[:, 0, 0] / 255.0

    def statistic(order: Any) -> float:
        v = rows[order[:12]].mean(0) - rows[order[12:]].mean(0)
        return abs(float(w @ v / np.linalg.norm(w) / np.linalg.norm(v)))

    rng = np.random.default_rng(5)
    null = [statistic(rng.permutation(22)) for _ in range(4000)]
    expected = float(np.mean([value >= statistic(np.arange(22)) for value in null]))
    options = Options(classifier="mean_difference", n_null=1999)
    (found,) = finished(steps_of(colours, concept, pool, options, "features")).records
    assert abs(found["magnitude"]) == pytest.approx(statistic(np.arange(22)), abs=1e-5)
    assert found["p"] == pytest.approx(expected, abs=0.04)
    assert 0.02 < expected < 0.98


def steps_of(
    model: Any, concept: Any, pool: Any, options: Options, layer: str, images: Any = None
) -> Any:
    request = TcavRequest(
        opened(coloured(7, 2) if images is None else images, "images"),
        1,
        {"concept": opened(concept, "concept")},
        opened(pool, "pool"),
        options,
    )
    return tcav_steps(Evidence(model, [layer]), request)


def finished(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


# Known answers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def animals() -> Any:
    data = xw.demo.dataset("animals", n=60)
    return {name: data.images[data.labels == i] for i, name in enumerate(data.class_names)}


@pytest.fixture(scope="module")
def textures() -> Any:
    pool = xw.demo.concept("random", exclude="stripes", n=200, seed=1)
    return {"stripes": xw.demo.concept("stripes")}, pool


def late(model: Any) -> str:
    return str(model.resolve_layer(None))


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_stripes_make_a_zebra_and_no_other_animal(
    framework: str, animals: Any, textures: Any
) -> None:
    model = xw.demo.model("animals", framework=framework)
    concepts, pool = textures
    for animal, images in animals.items():
        (record,) = tcav(model, images, animal, concepts, late(model), pool)
        assert set(record) == KEYS
        assert record["testable"], record["note"]
        positive = record["significant"] and record["magnitude"] > 0
        assert positive is (animal == "zebra"), record
        if animal == "zebra":
            assert record["score"] == 1.0
            assert record["p_adjusted"] <= 0.05
            assert 0 < record["low"] <= record["magnitude"] <= record["high"] <= 1


@pytest.mark.parametrize("pooled", [True, False])
def test_stripes_make_a_zebra_in_a_vision_transformer_too(
    pooled: bool, animals: Any, textures: Any
) -> None:
    model = xw.demo.model("animals", architecture="vit")
    concepts, pool = textures
    layer = "blocks.0"  # tokens, class token included
    (record,) = tcav(model, animals["zebra"], "zebra", concepts, layer, pool, pooled=pooled)
    assert record["significant"] and record["magnitude"] > 0, record
    (record,) = tcav(model, animals["cow"], "cow", concepts, layer, pool, pooled=pooled)
    assert not (record["significant"] and record["magnitude"] > 0), record


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_the_ruler_matters_to_the_network_that_learned_it_alone(framework: str) -> None:
    pool = xw.demo.concept("random", exclude="ruler", n=200, seed=1)
    concepts = {"ruler": xw.demo.concept("ruler")}
    data = xw.demo.dataset("lesions", n=40)
    malignant = data.images[data.labels == 1]
    found = {}
    for name in ("lesions-shortcut", "lesions"):
        model = xw.demo.model(name, framework=framework)
        (found[name],) = tcav(model, malignant, "malignant", concepts, late(model), pool)
    assert found["lesions-shortcut"]["significant"]
    assert found["lesions-shortcut"]["magnitude"] > 0
    assert not found["lesions"]["significant"]


@pytest.mark.parametrize("classifier", ["mean_difference", "logistic", "svm"])
def test_every_classifier_finds_the_stripes(classifier: str, animals: Any, textures: Any) -> None:
    model = xw.demo.model("animals")
    concepts, pool = textures
    (record,) = tcav(
        model, animals["zebra"], "zebra", concepts, late(model), pool, classifier=classifier,
        n_random_sets=3,
    )  # fmt: skip
    assert record["significant"] and record["magnitude"] > 0, record


def test_random_pictures_are_no_concept(animals: Any, textures: Any) -> None:
    _, pool = textures
    concepts = {"nothing": xw.demo.concept("random", exclude="stripes", n=40, seed=9)}
    (record,) = tcav(xw.demo.model("animals"), animals["zebra"], "zebra", concepts, "stage3", pool)
    assert record["testable"] is False
    assert "not above chance" in record["note"]
    assert record["accuracy_low"] < 0.5
    assert [record[key] for key in ("score", "magnitude", "low", "high", "p", "p_adjusted")] == [
        None
    ] * 6
    assert record["significant"] is False


def test_a_relative_vector_turns_round_with_its_sides(animals: Any) -> None:
    concepts = {name: xw.demo.concept(name) for name in ("stripes", "spots")}
    stripes, spots = tcav(
        xw.demo.model("animals"), animals["zebra"], "zebra", concepts, "stage3", against="others"
    )
    assert stripes["significant"] and stripes["magnitude"] > 0
    assert stripes["magnitude"] == pytest.approx(-spots["magnitude"], abs=1e-4)


def test_holm_counts_concepts_times_layers_and_draws_enough_pseudo_concepts(
    animals: Any, textures: Any
) -> None:
    model = xw.demo.model("animals")
    concepts, pool = textures
    several = {**concepts, "spots": xw.demo.concept("spots"), "grass": xw.demo.concept("grass")}
    records = tcav(model, animals["zebra"], "zebra", several, ["stage2", "stage3"], pool, n_null=19)
    assert [(r["concept"], r["layer"]) for r in records] == [
        (name, layer) for name in several for layer in ("stage2", "stage3")
    ]
    smallest = min(r["p"] for r in records)
    assert smallest == pytest.approx(1 / 121)
    assert min(r["p_adjusted"] for r in records) == pytest.approx(6 / 121)


# Stability ------------------------------------------------------------------------------------


def small(seed: int = 0) -> tuple[Any, Any, Any]:
    """Return images, three concepts and a pool of few pictures."""
    pool = xw.demo.concept("random", exclude=("stripes", "spots", "grass"), n=45, seed=2 + seed)
    concepts = {name: xw.demo.concept(name, n=9) for name in ("stripes", "spots", "grass")}
    data = xw.demo.dataset("animals", n=20, seed=3)
    return data.images[data.labels == 4], concepts, pool


OPTIONS: dict[str, Any] = {"layers": ["stage2", "stage3"], "n_null": 19, "n_random_sets": 4}


def fresh() -> Any:
    """Return the demo network with nothing kept of earlier tests."""
    return xw.demo.model("animals")


def sorted_records(records: Any) -> Any:
    return sorted(records, key=lambda r: (r["concept"], r["layer"]))


def test_neither_the_order_of_concepts_nor_of_pictures_changes_anything() -> None:
    images, concepts, pool = small()
    first = tcav(fresh(), images, "zebra", concepts, random=pool, **OPTIONS)
    turned = {name: concepts[name][::-1] for name in reversed(concepts)}
    second = tcav(fresh(), images, "zebra", turned, random=pool[::-1], **OPTIONS)
    for one, other in zip(sorted_records(first), sorted_records(second), strict=True):
        for key, value in one.items():
            close = pytest.approx(value, rel=1e-4) if isinstance(value, float) else value
            assert other[key] == close, key
    assert [r["concept"] for r in second[::2]] == ["grass", "spots", "stripes"]


def test_the_same_seed_gives_the_same_records_and_another_seed_others() -> None:
    images, concepts, pool = small()
    runs = [
        tcav(fresh(), images, "zebra", concepts, random=pool, seed=seed, **OPTIONS)
        for seed in (0, 0, 1)
    ]
    assert json.dumps(runs[0]) == json.dumps(runs[1])
    assert runs[0] != runs[2]


def test_one_picture_at_a_time_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images, concepts, pool = small()
    first = tcav(fresh(), images, "zebra", concepts, random=pool, **OPTIONS)
    model = fresh()
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 3))
    second = tcav(model, images, "zebra", concepts, random=pool, **OPTIONS)
    for one, other in zip(first, second, strict=True):
        assert other["magnitude"] == pytest.approx(one["magnitude"], abs=1e-4)
        assert other["p"] == pytest.approx(one["p"], abs=0.051)


def request(concepts: Any = None, target: Any = "zebra", **options: Any) -> TcavRequest:
    images, known, pool = small()
    return TcavRequest(
        opened(images, "images"),
        target,
        {name: opened(found, name) for name, found in (concepts or known).items()},
        opened(pool, "pool"),
        Options(n_null=19, n_random_sets=4, **options),
    )


class Counted:
    """Counts the pictures that pass through a model forwards."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forwards = 0
        recorded = model.recorded

        def counting(images: Any, *rest: Any, **named: Any) -> Any:
            self.forwards += len(images)
            return recorded(images, *rest, **named)

        monkeypatch.setattr(model, "recorded", counting)


def test_another_class_and_one_example_less_need_no_forward_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fresh()
    counted = Counted(model, monkeypatch)
    evidence, fits = Evidence(model, ["stage2", "stage3"]), Fits()
    first = finished(tcav_steps(evidence, request(), fits))
    assert counted.forwards > 0
    counted.forwards = 0
    _, concepts, _ = small()
    fewer = {**concepts, "spots": concepts["spots"][1:]}
    second = finished(tcav_steps(evidence, request(fewer), fits))
    other = finished(tcav_steps(evidence, request(target="horse"), fits))
    assert counted.forwards == 0
    by_name = {r["concept"]: r for r in second.records}
    assert by_name["spots"]["n_examples"] == 8
    assert by_name["stripes"]["magnitude"] == pytest.approx(first.records[0]["magnitude"], abs=1)
    assert other.records[0]["class"] == "horse"
    assert other.records[0]["magnitude"] != first.records[0]["magnitude"]


def test_tcav_keeps_what_another_class_needs_with_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fresh()
    counted = Counted(model, monkeypatch)
    images, concepts, pool = small()
    tcav(model, images, "zebra", concepts, random=pool, **OPTIONS)
    assert counted.forwards > 0
    counted.forwards = 0
    tcav(model, images, "horse", concepts, random=pool, **OPTIONS)
    assert counted.forwards == 0


def test_what_was_fitted_once_gives_what_it_gives_anew() -> None:
    evidence, fits = Evidence(fresh(), ["stage3"]), Fits()
    finished(tcav_steps(evidence, request(target="horse"), fits))
    kept = finished(tcav_steps(evidence, request(), fits))
    anew = finished(tcav_steps(Evidence(fresh(), ["stage3"]), request()))
    assert json.dumps(kept.records) == json.dumps(anew.records)


def test_kept_fits_stay_within_their_bytes() -> None:
    evidence, fits = Evidence(fresh(), ["stage2", "stage3"]), Fits(limit_bytes=100_000)
    bounded = finished(tcav_steps(evidence, request(), fits))
    assert 0 < fits.nbytes <= 100_000
    free = finished(tcav_steps(evidence, request(), Fits()))
    assert json.dumps(bounded.records) == json.dumps(free.records)


def test_scores_come_before_the_null_and_can_stand_alone() -> None:
    evidence = Evidence(fresh(), ["stage3"])
    steps = tcav_steps(evidence, request())
    partial = next(step.partial for step in steps if step.partial is not None)
    whole = finished(steps)
    assert any(record["testable"] for record in whole.records)
    quick = finished(tcav_steps(evidence, request(quick=True)))
    for early, late, alone in zip(partial.records, whole.records, quick.records, strict=True):
        assert early == alone
        assert early["p"] is None and early["significant"] is False
        assert (late["p"] is not None) is late["testable"]
        assert late["magnitude"] == early["magnitude"]
    assert {key: v.shape for key, v in whole.vectors.items()} == {
        (name, "stage3"): (64,) for name in ("stripes", "spots", "grass")
    }
    assert all(np.linalg.norm(v) == pytest.approx(1) for v in whole.vectors.values())
    assert whole.derivatives["stripes", "stage3"].shape == (whole.records[0]["n_images"],)
    cosines = whole.cosines["stage3"]
    expected = whole.vectors["stripes", "stage3"] @ whole.vectors["spots", "stage3"]
    assert np.diag(cosines) == pytest.approx(1)
    assert cosines[0, 1] == pytest.approx(expected, abs=1e-5)


def test_the_work_can_be_cancelled_anywhere_and_taken_up_again() -> None:
    model = fresh()
    before = model.weight_hash
    whole = finished(tcav_steps(Evidence(model, ["stage3"]), request()))
    evidence, fits = Evidence(model, ["stage3"]), Fits()
    for n_steps in range(2, 24, 7):
        steps = tcav_steps(evidence, request(), fits)
        for _, _step in zip(range(n_steps), steps, strict=False):
            pass
        steps.close()
    again = finished(tcav_steps(evidence, request(), fits))
    assert json.dumps(again.records) == json.dumps(whole.records)
    assert model.weight_hash == before
    assert all(parameter.grad is None for parameter in model.source.parameters())


def test_progress_is_told_and_an_exception_in_it_ends_the_work() -> None:
    images, concepts, pool = small()
    texts = []

    def told(step: Any) -> None:
        assert 0 <= step.done <= step.total
        texts.append(step.text)
        if "pseudo-concepts" in step.text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tcav(fresh(), images, "zebra", concepts, random=pool, progress=told, **OPTIONS)
    assert "Gradients of zebra" in texts


# Where pictures come from ---------------------------------------------------------------------


def test_a_store_is_tested_like_its_pictures(tmp_path: Path) -> None:
    images, concepts, pool = small()
    store = ConceptStore(tmp_path / "concepts")
    for name, role, found in (
        ("stripes", "concept", concepts["stripes"]),
        ("spots", "concept", concepts["spots"]),
        ("chance", "random", pool),
    ):
        store.add_concept(name, role)
        for picture in found:
            store.add(name, picture)
    excluded = store.concept("spots").examples[0].id
    store.change([excluded], included=False)
    of_store = tcav(fresh(), images, "zebra", store, **OPTIONS)
    given = {"stripes": concepts["stripes"], "spots": concepts["spots"][1:]}
    of_pictures = tcav(fresh(), images, "zebra", given, random=pool, **OPTIONS)
    assert json.dumps(of_store) == json.dumps(of_pictures)


def test_without_random_pictures_crops_of_the_images_stand_in_and_say_so() -> None:
    images, concepts, _ = small()
    records = tcav(fresh(), images, "zebra", concepts, **OPTIONS)
    assert all("No random pictures were given" in r["note"] for r in records)
    assert records[0]["testable"]


def test_a_picture_of_a_concept_is_taken_out_of_the_random_pool() -> None:
    images, concepts, pool = small()
    mixed = np.concatenate([pool, concepts["stripes"][:2]])
    records = tcav(fresh(), images, "zebra", concepts, random=mixed, **OPTIONS)
    assert all("2 random pictures that are a concept's were left out" in r["note"] for r in records)


def test_images_of_many_sizes_are_brought_to_the_models(colours: Any) -> None:
    rng = np.random.default_rng(0)

    def sized(n: int, red: int) -> list[Any]:
        sizes = rng.integers(9, 40, (n, 2))
        return [rng.integers(0, 90, (h, w, 3), dtype=np.uint8) + np.uint8(red) for h, w in sizes]

    red = [picture + np.array([120, 0, 0], np.uint8) for picture in sized(8, 0)]
    (record,) = tcav(colours, sized(4, 10), 0, {"red": red}, "features", sized(30, 0), n_null=19)
    assert record["testable"]
    assert record["n_examples"] == 8


def test_layers_are_the_recommended_one_and_main_ones_before_it() -> None:
    assert layers_of(fresh(), None) == ("stage1", "stage2", "stage3")
    assert layers_of(fresh(), "stage2") == ("stage2",)
    with pytest.raises(ConceptError, match="list of layers is empty"):
        layers_of(fresh(), ())


# Bad input ------------------------------------------------------------------------------------

BAD: dict[str, tuple[type[XaiError], str, dict[str, Any]]] = {
    "empty concept": (ConceptError, "'none' is empty.*at least 5", {"concepts": {"none": []}}),
    "few examples": (ConceptError, "has 4 examples that differ", {"n": 4}),
    "one picture many times": (
        ConceptError,
        "has 1 example that differ",
        {"concepts": {"one": np.zeros((9, 8, 8, 3), np.uint8)}},
    ),
    "no concept": (ConceptError, "no concept to test", {"concepts": {}}),
    "a list of concepts": (ConceptError, "list: give a dict", {"concepts": [1, 2]}),
    "no images": (ConceptError, "no image to test", {"images": []}),
    "text for a picture": (
        ConceptError,
        r"Concept 'bad' cannot be used\. .*not an image",
        {"concepts": {"bad": [None] * 9}},
    ),
    "small pool": (ConceptError, "random pool holds 3 pictures", {"random": coloured(3, 1)}),
    "alone against others": (ConceptError, "no other concept", {"against": "others"}),
    "constant activations": (
        ConceptError,
        "'dead' gives the same activations for every picture",
        {"layers": "dead"},
    ),
    "unknown layer": (LayerError, "no layer 'featurs'.*'features'", {"layers": "featurs"}),
    "no layers": (ConceptError, "list of layers is empty", {"layers": []}),
    "a number of layers": (ConceptError, "layers is 5 .int.: give the name", {"layers": 5}),
    "layers by number": (ConceptError, "list.: give the name of a layer", {"layers": [1, 2]}),
    "a layer None": (ConceptError, "list.: give the name of a layer", {"layers": [None]}),
    "layers as bytes": (ConceptError, "bytes.: give the name", {"layers": b"features"}),
    "unknown class": (TargetError, "no class 'zebra'", {"target": "zebra"}),
    "class out of range": (TargetError, "no class 7", {"target": 7}),
    "no class": (ConceptError, "give a class", {"target": None}),
    "classifier": (ConceptError, "no classifier 'lda'", {"classifier": "lda"}),
    "against": (ConceptError, "cannot be tested against 'other'.*'others'", {"against": "other"}),
    "alpha": (ConceptError, "alpha is 5: give", {"alpha": 5}),
    "alpha as text": (ConceptError, "alpha is 'x': give a level", {"alpha": "x"}),
    "alpha as a list": (ConceptError, r"alpha is \[0.05\]: give a level", {"alpha": [0.05]}),
    "alpha true": (ConceptError, "alpha is True: give a level", {"alpha": True}),
    "alpha not a number": (ConceptError, "alpha is nan: give a level", {"alpha": float("nan")}),
    "alpha too small": (
        ConceptError,
        "more than 100,000 pseudo-concepts: give an alpha of at least 1e-05, or fewer",
        {"alpha": 1e-9},
    ),
    "null": (ConceptError, "n_null is 3: give a whole number from 19", {"n_null": 3}),
    "sets": (ConceptError, "n_random_sets is 0", {"n_random_sets": 0}),
    "seed": (ConceptError, "seed is None", {"seed": None}),
}


class WithDeadLayer(Colours):
    """A layer whose activations never get above zero."""

    def __init__(self) -> None:
        super().__init__()
        self.dead = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + self.dead(-x - 1).mean()


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_answered_with_a_sentence(case: str) -> None:
    error, message, change = BAD[case]
    change = dict(change)
    given: dict[str, Any] = {
        "images": coloured(5, 2),
        "target": 1,
        "concepts": {"red": coloured(change.pop("n", 9), 0, (80, 0, 0))},
        "layers": "features",
        "random": coloured(30, 1),
        "n_null": 19,
    }
    model = xw.load(seeded(WithDeadLayer), input_size=8)
    with pytest.raises(error, match=message) as caught:
        tcav(model, **(given | change))
    assert "\n" not in str(caught.value)


def test_in_a_widget_a_small_concept_does_not_stop_the_others() -> None:
    _, concepts, _ = small()
    few = {**concepts, "new": xw.demo.concept("leaves", n=2), "empty": []}
    result = finished(tcav_steps(Evidence(fresh(), ["stage3"]), request(few)))
    by_name = {r["concept"]: r for r in result.records}
    assert by_name["stripes"]["testable"]
    assert "has 2 examples" in by_name["new"]["note"]
    assert "is empty" in by_name["empty"]["note"]
    assert by_name["new"]["testable"] is by_name["empty"]["testable"] is False
    assert result.cosines["stage3"].shape == (5, 5)


def test_a_gradient_of_zero_is_not_scored(colours: Any) -> None:
    with torch.no_grad():
        colours.source.head.weight[1] = 0
    pool, concept = coloured(30, 1), coloured(9, 0, (80, 0, 0))
    steps = steps_of(colours, concept, pool, Options(n_null=19), "features")
    (record,) = finished(steps).records
    assert "gradient of 'class 1' is zero" in record["note"]
    assert record["magnitude"] is None
    assert record["accuracy"] > 0.9
