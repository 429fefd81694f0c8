"""Networks with weights drawn anew: stage by stage, repeatable, and the user's own afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

import xai_widgets as xw
from tests.explainers.test_untouched import state
from tests.models.keras_nets import functional
from tests.models.nets import Residual, convolutional, picture, seeded
from xai_widgets.errors import MetricError, ModelError
from xai_widgets.evaluation import cascade, metric, sanity_verdict
from xai_widgets.evaluation.base import drain
from xai_widgets.evaluation.cascade import cascade_steps
from xai_widgets.evaluation.randomisation import randomised, stages
from xai_widgets.evaluation.verdict import verdict_stream
from xai_widgets.models.loading import load


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_stages_go_from_the_head_to_the_stem(framework: str) -> None:
    found = stages(xw.demo.model("animals", framework=framework))
    assert [stage.name for stage in found] == ["head", "stage3", "stage2", "stage1", "stem"]


def test_the_blocks_of_a_transformer_are_stages_and_its_last_norm_joins_the_head() -> None:
    names = [stage.name for stage in stages(xw.demo.model("animals", architecture="vit"))]
    assert names[:5] == ["head", "blocks.3", "blocks.2", "blocks.1", "blocks.0"]


def test_every_weight_is_in_one_stage() -> None:
    source = seeded(Residual)
    names = [name for stage in stages(load(source)) for name in stage.weights]
    assert sorted(names) == sorted(name for name, _ in source.named_parameters())


def test_a_random_draw_depends_on_seed_and_name_alone() -> None:
    model = load(convolutional())
    x = model.prepare(picture()).values[None]
    own = np.asarray(model.scores(x))
    found = []
    for seed in (0, 0, 1):
        with randomised(model, None, seed):
            found.append(np.asarray(model.scores(x)))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2]) and not np.allclose(found[0], own)
    np.testing.assert_array_equal(np.asarray(model.scores(x)), own)


def test_a_random_draw_keeps_mean_and_spread() -> None:
    source = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 50))
    model = load(source.eval(), preprocessing={"size": 32})
    own = source[1].weight.detach().numpy().copy()
    with randomised(model, {"1.weight"}, 0):
        drawn = source[1].weight.detach().numpy().copy()
    assert abs(np.corrcoef(own.ravel(), drawn.ravel())[0, 1]) < 0.02
    assert drawn.std() == pytest.approx(own.std(), rel=0.02)
    np.testing.assert_array_equal(source[1].weight.detach().numpy(), own)


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def model(request: pytest.FixtureRequest) -> xw.ExplainableModel:
    return xw.demo.model("digits", framework=request.param)


IMAGE = xw.demo.dataset("digits", n=1).images[0]


def test_a_cascade_keeps_the_map_of_every_stage(model: xw.ExplainableModel) -> None:
    found = cascade(model, IMAGE, "gradient")
    assert found.stages == ("head", "stage3", "stage2", "stage1", "stem")
    assert found.maps.shape == (6, 32, 32)
    np.testing.assert_array_equal(found.maps[0], xw.explain(model, IMAGE, "gradient").map)
    assert {name: len(values) for name, values in found.similarity.items()} == {
        "spearman signed": 5,
        "spearman absolute": 5,
        "ssim signed": 5,
        "ssim absolute": 5,
    }
    assert max(abs(value) for value in found.similarity["spearman signed"]) < 0.9


def test_independent_stages_differ_from_the_cascade_after_the_first(
    model: xw.ExplainableModel,
) -> None:
    both = [cascade(model, IMAGE, "gradient", mode=mode) for mode in ("cascade", "independent")]
    np.testing.assert_array_equal(both[0].maps[1], both[1].maps[1])
    assert all((a != b).any() for a, b in zip(both[0].maps[2:], both[1].maps[2:], strict=True))


def test_the_two_frameworks_give_the_same_cascade() -> None:
    # Their weights have the same names but for the separators, and not the same draws.
    pair = [xw.demo.model("digits", framework=name) for name in ("torch", "tensorflow")]
    first = [cascade(one, IMAGE, "gradient", n_stages=1).maps[0] for one in pair]
    np.testing.assert_allclose(first[0], first[1], atol=1e-3)


def test_the_last_stage_alone_is_that_of_the_whole_cascade() -> None:
    from xai_widgets.evaluation.curve_data import case_of
    from xai_widgets.evaluation.subjects import subjects

    torch_model = xw.demo.model("digits")
    case = case_of(
        torch_model, xw.explain(torch_model, IMAGE, "gradient"), 0, subjects("gradient")[0]
    )
    whole = drain(cascade_steps(case, n_stages=3))
    last = drain(cascade_steps(case, n_stages=3, only_last=True))
    np.testing.assert_array_equal(whole.maps[[0, 3]], last.maps)
    found = metric("weight_randomisation", n_stages=3).measure(case)
    assert found == whole.similarity["spearman signed"][-1]


def test_an_unknown_mode_is_refused(model: xw.ExplainableModel) -> None:
    with pytest.raises(MetricError, match="cascade, independent"):
        cascade(model, IMAGE, "gradient", mode="bottom up")


def test_a_model_whose_weights_cannot_be_exchanged_is_judged_by_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, pictures = xw.demo.model("digits"), xw.demo.dataset("digits", n=1)
    fixed = xw.ExplainableModel.changed_weights
    monkeypatch.setattr(type(model), "changed_weights", fixed)
    names = ["weight_randomisation", "mass_accuracy"]
    records = xw.evaluate(model, pictures.images, "gradient", names, pictures.masks["stroke"])
    assert "cannot be exchanged" in records[0]["note"]
    assert records[1]["note"] is None and set(records[1]["controls"]) == {"edges"}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_cancelled_verdict_leaves_the_model_as_it_was(stop_after: int) -> None:
    source = seeded(Residual)
    before = state(source)
    stream = verdict_stream(load(source), [picture(), picture(seed=1)], ["gradient"])
    for _ in range(stop_after):
        next(stream)
    stream.close()
    assert state(source) == before


def test_a_failing_method_leaves_the_weights_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    source = seeded(Residual)
    model, before = load(source), state(source)
    own = type(model).gradients
    calls = iter(range(100))

    def failing(self: Any, *arguments: Any, **options: Any) -> Any:
        if next(calls) == 1:  # the first is the network's own map
            raise ModelError("The device is lost.")
        return own(self, *arguments, **options)

    monkeypatch.setattr(type(model), "gradients", failing)
    records = xw.evaluate(model, [picture()], ["smoothgrad"], ["weight_randomisation"])
    assert records[0]["note"] == "The device is lost."
    monkeypatch.undo()
    assert state(source) == before


def test_keras_weights_come_back_bit_by_bit() -> None:
    source = functional()
    before = [weight.numpy().copy() for weight in source.weights]
    cascade(load(source), picture(16, 16), "gradient")
    after = [weight.numpy() for weight in source.weights]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


METHODS = {
    "gradient": "gradient",
    "integrated_gradients": ("integrated_gradients", {"n_steps": 8}),
    "grad_cam": "grad_cam",
    "guided_backprop": "guided_backprop",
}


@pytest.mark.parametrize(
    ("name", "framework"),
    [("lesions", "torch"), ("digits", "torch"), ("digits", "tensorflow")],
)
def test_the_verdict_flags_guided_backprop_and_passes_what_follows_the_model(
    name: str, framework: str
) -> None:
    images = xw.demo.dataset(name, n=12).images
    found = sanity_verdict(xw.demo.model(name, framework=framework), images, METHODS)
    assert {record["method"]: record["verdict"] for record in found} == {
        "gradient": "passes",
        "integrated_gradients": "passes",
        "grad_cam": "passes",
        "guided_backprop": "flagged",
    }
    for record in found:
        assert (record["n_images"], record["n_seeds"]) == (12, 3)
        assert record["stages"] == ["head", "stage3"]
        assert record["low"] <= record["value"] <= record["high"]


def test_too_few_pictures_or_draws_leave_the_verdict_open() -> None:
    model, images = xw.demo.model("digits"), xw.demo.dataset("digits", n=12).images
    for given, seeds in ((images[:3], (0, 1, 2)), (images, (0,))):
        (found,) = sanity_verdict(model, given, "guided_backprop", seeds=seeds)
        assert found["verdict"] == "undecided" and "too few" in found["text"]


def test_data_randomisation_compares_with_a_network_trained_on_random_labels() -> None:
    import torch

    model, other = xw.demo.model("digits"), xw.demo.model("digits")
    pictures = xw.demo.dataset("digits", n=64, split="train")
    x = torch.from_numpy(np.stack([model.prepare(i).values for i in pictures.images]))
    x = x.permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 10, 64))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in other.source.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter)
        optimiser = torch.optim.Adam(other.source.parameters(), 3e-3)
        for _ in range(15):
            optimiser.zero_grad()
            nn.functional.cross_entropy(other.source(x), labels).backward()
            optimiser.step()
    images = xw.demo.dataset("digits", n=4).images
    found = {}
    for name, given in (("random labels", other), ("itself", model)):
        records = xw.evaluate(
            model, images, "gradient", ["data_randomisation"], random_label_model=given
        )
        found[name] = records[0]["mean"]
    assert found["itself"] == pytest.approx(1)
    assert abs(found["random labels"]) < 0.3
