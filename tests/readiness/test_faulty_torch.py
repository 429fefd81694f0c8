"""Every way to break a PyTorch gradient is named, with the layer where it breaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from tests.readiness.faulty_torch import CASES, SIDE, Ending, Net, Step, batch_norm, seeded


def findings(report: xw.Report, *levels: str) -> list[tuple[str, str | None, str | None]]:
    return [(f.check, f.cause, f.layer) for f in report.findings if f.level in levels]


@pytest.mark.parametrize("name", CASES)
def test_a_broken_gradient_is_named_with_its_layer(name: str) -> None:
    case = CASES[name]
    model = xw.load(seeded(case.make), input_size=SIDE)
    report = xw.check(model)
    assert report.verdict == case.verdict
    assert ("gradient", case.cause, case.layer) in findings(report, "error")
    assert "input_gradients" in model.capabilities.lacks
    assert not any(
        record["applicable"] for record in xw.methods(model) if record["method"] == "gradient"
    )
    cam = next(record for record in xw.methods(model) if record["method"] == "grad_cam")
    assert cam["applicable"] == (case.verdict == "layer-gradients-only")
    assert model.scores(np.zeros((1, SIDE, SIDE, 3), np.float32)).shape == (1, 3)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda s: s.argmax(1), "argmax"),
        (lambda s: s.argmax(1, keepdim=True), "argmax"),
        (lambda s: (s * 100).long(), "integer"),
    ],
)
def test_class_numbers_instead_of_scores_are_broken_and_named(function, cause) -> None:
    report = xw.check(seeded(lambda: Ending(function)))
    assert report.verdict == "broken"
    assert ("output", cause, "last") in findings(report, "error")
    assert report.to_json()


def test_scores_that_are_nan_are_broken() -> None:
    report = xw.check(xw.load(seeded(lambda: Net(lambda x: x / 0 - x / 0)), input_size=SIDE))
    assert report.verdict == "broken"
    assert ("prediction", "not_finite", "fault") in findings(report, "error")


def test_a_forward_that_always_fails_is_broken_with_its_reason() -> None:
    def fail(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such thing")

    report = xw.check(seeded(lambda: Net(fail)))
    assert report.verdict == "broken"
    assert "no such thing" in report.sentence


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(xw.errors.ModelError):
        xw.check("model")


def test_noise_in_eval_mode_is_named() -> None:
    def noisy(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.5, training=True)

    report = xw.check(xw.load(seeded(lambda: Net(noisy)), input_size=SIDE))
    assert report.verdict == "explainable"
    assert findings(report, "warning", "error") == [("determinism", "non_determinism", "fault")]


def test_noise_of_numpy_is_named() -> None:
    generator = np.random.default_rng(0)
    report = xw.check(
        xw.load(seeded(lambda: Net(lambda x: x * float(generator.uniform(1, 2)))), input_size=SIDE)
    )
    assert ("determinism", "non_determinism", "fault") in findings(report, "warning")


def test_statistics_over_the_batch_are_named() -> None:
    report = xw.check(xw.load(seeded(lambda: Net(batch_norm)), input_size=SIDE))
    assert findings(report, "warning", "error") == [("batch", "batch", "fault")]
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    report = xw.check(
        xw.load(seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), norm, Net4())), input_size=SIDE)
    )
    assert ("batch", "train_mode", "1") in findings(report, "warning")


class Net4(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.amax((2, 3)))


def test_a_model_for_one_image_at_a_time_is_named() -> None:
    def single(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(1, 4, SIDE // 2, SIDE // 2)

    report = xw.check(xw.load(seeded(lambda: Net(single)), input_size=SIDE))
    assert ("batch", "batch", None) in findings(report, "warning")


@pytest.mark.parametrize("kind", ["BatchNorm", "Dropout"])
def test_train_mode_is_named_with_its_layers(kind: str) -> None:
    layer = nn.BatchNorm2d(4) if kind == "BatchNorm" else nn.Dropout(0.5)
    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), layer, nn.ReLU(), Net4()))
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    report = xw.check(xw.load(module, input_size=SIDE))
    assert ("mode", "train_mode", "1") in findings(report, "warning")
    assert all(part.training for part in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_train_mode_without_effect_is_no_warning() -> None:
    module = seeded(lambda: Net(lambda x: x)).train()
    assert findings(xw.check(xw.load(module, input_size=SIDE)), "warning", "error") == []


@pytest.mark.parametrize(("scale", "cause"), [(1.0, "probabilities"), (1e4, "saturated_softmax")])
def test_probabilities_are_named_and_the_logits_offered(scale: float, cause: str) -> None:
    softmax = nn.Softmax(1)
    module = seeded(
        lambda: nn.Sequential(Net(lambda x: x), Step(lambda s: s * scale), nn.Linear(3, 3), softmax)
    )
    report = xw.check(xw.load(module, input_size=SIDE))
    found = next(f for f in report.findings if f.check == "probabilities")
    assert (found.level, found.cause, found.layer) == ("warning", cause, "3")
    assert "logits" in found.advice
    assert "'2'" in found.advice


def test_a_straight_through_estimator_is_no_fault() -> None:
    report = xw.check(
        xw.load(
            seeded(lambda: Net(lambda x: x + ((x * 100).round() / 100 - x).detach())),
            input_size=SIDE,
        )
    )
    assert report.verdict == "explainable"
    assert findings(report, "warning", "error") == []


class Compiled(nn.Module):
    def __init__(self, cut: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.cut = cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if self.cut:
            x = x.detach()
        return x.mean((2, 3))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_graph_optimised_for_inference_is_named() -> None:
    frozen = torch.jit.optimize_for_inference(torch.jit.script(seeded(Compiled)))
    report = xw.check(xw.load(frozen, input_size=SIDE))
    assert report.verdict == "inference-only"
    assert ("gradient", "frozen_graph", "") in findings(report, "error")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_cuts_inside_of_torchscript_is_named() -> None:
    scripted = torch.jit.script(seeded(lambda: Compiled(cut=True)))
    report = xw.check(xw.load(scripted, input_size=SIDE))
    assert report.verdict == "inference-only"
    assert ("gradient", "detach", "") in findings(report, "error")
    around = nn.Sequential(nn.Conv2d(3, 3, 3), scripted)
    assert ("gradient", "detach", "1") in findings(
        xw.check(xw.load(around, input_size=SIDE)), "error"
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_healthy_torchscript_allows_input_gradients() -> None:
    report = xw.check(xw.load(torch.jit.script(seeded(Compiled)), input_size=SIDE))
    assert report.verdict == "input-gradients-only"
    assert findings(report, "error") == []
