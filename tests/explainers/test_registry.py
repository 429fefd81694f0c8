"""Methods are listed with what they need and cost; other packages can add theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.explainers.helpers import METHODS, quick, smooth_model
from tests.explainers.quickly import ALL, CONVOLUTIONAL
from tests.explainers.quickly import QUICK as FEW
from tests.models.nets import SIDE, NoGrad, Wrapped, convolutional
from xai_widgets.errors import MethodError
from xai_widgets.explainers import registry
from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    build,
    parameter,
    parameter_records,
)
from xai_widgets.explainers.registry import find, methods
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import ClassTarget


@dataclass(frozen=True)
class Flat(Explainer):
    """Gives every pixel the same."""

    name: ClassVar[str] = "flat"
    title: ClassVar[str] = "Flat"
    family: ClassVar[str] = "test"
    reference: ClassVar[str] = "none"
    needs: ClassVar[tuple[str, ...]] = ()

    level: float = parameter(1.0, "What every pixel gets.", minimum=0.0)
    mode: str = parameter("plain", "How.", choices=("plain", "double"))
    loud: bool = parameter(False, "Whether.")

    @property
    def cost(self) -> Cost:
        return Cost(1, 0)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: ClassTarget, layer: str | None
    ) -> Stream:
        yield Progress(0, 1)
        factor = 2 if self.mode == "double" else 1
        return Attribution(np.full(image.values.shape[:2], self.level * factor, np.float32), 0.0)


class Taken(Flat):
    name: ClassVar[str] = "gradient"


class Nameless(Explainer):
    pass


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install entry points under names out of this module."""

    def install(*values: str) -> None:
        entries = [EntryPoint(value, value, registry.ENTRY_POINT_GROUP) for value in values]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)
        registry.explainers.cache_clear()

    yield install
    registry.explainers.cache_clear()


def test_all_methods_are_listed_with_a_reference_and_a_cost() -> None:
    records = methods(load(convolutional(), input_size=SIDE))
    assert [record["method"] for record in records] == list(ALL)
    for record in records:
        assert record["applicable"] is (record["method"] in CONVOLUTIONAL)
        assert record["applicable"] is (record["reason"] is None)
        assert record["title"] and record["family"] and record["reference"] and record["cost"]
    uses = {record["method"]: record["uses_layer"] for record in records}
    assert uses["grad_cam"] and not uses["gradient"]


def test_what_does_not_apply_is_listed_with_the_reason() -> None:
    for record in methods(load(NoGrad(), input_size=SIDE)):
        if {"attention", "input_gradients", "layer_gradients"} & set(record["needs"]):
            assert not record["applicable"]
            assert ("attention" if "attention" in record["needs"] else "no_grad") in record[
                "reason"
            ]


def test_grad_cam_still_applies_where_only_the_input_has_no_gradient() -> None:
    model = load(Wrapped(before=lambda x: x.detach()), input_size=SIDE)
    records = {record["method"]: record for record in methods(model)}
    for record in records.values():
        assert record["applicable"] is not bool(
            {"input_gradients", "attention"} & set(record["needs"])
        )
    assert records["grad_cam"]["applicable"] and not records["gradient"]["applicable"]
    assert quick(model, "grad_cam").heatmap.shape == (SIDE, SIDE)


@pytest.mark.parametrize("method", METHODS)
def test_the_cost_is_what_passes_through_the_model(method: str) -> None:
    seen: list[int] = []
    model = load(Wrapped(before=lambda x: seen.append(len(x)) or x), input_size=SIDE)
    seen.clear()
    quick(model, method, target=0, **FEW.get(method, {}))
    assert sum(seen) == build(find(method), FEW.get(method, {})).cost.forwards


GRADIENTS_AND_PATHS = (
    "smoothgrad_squared",
    "vargrad",
    "guided_backprop",
    "deconvolution",
    "expected_gradients",
    "blur_ig",
    "guided_ig",
    "noise_grad",
    "fusion_grad",
)


@pytest.mark.parametrize("method", GRADIENTS_AND_PATHS)
def test_the_other_gradient_methods_cost_what_they_say(method: str) -> None:
    test_the_cost_is_what_passes_through_the_model(method)


@pytest.mark.parametrize("method", ALL)
def test_every_parameter_is_described_for_a_form(method: str) -> None:
    for record in parameter_records(find(method)):
        assert record["help"].endswith(".") and record["label"]
        assert record["kind"] in ("int", "float", "bool", "choice")
        assert (record["kind"] == "choice") is (record["choices"] is not None)
        assert build(find(method), {record["name"]: record["default"]}) == find(method)()


def test_a_plug_in_is_listed_and_runs(plugins: Callable[..., None]) -> None:
    plugins(f"{__name__}:Flat")
    model = smooth_model()
    assert "flat" in {record["method"] for record in methods(model)}
    result = quick(model, "flat", level=3, mode="double")
    assert (result.map == 6).all()
    assert result.provenance["parameters"] == {"level": 3.0, "mode": "double", "loud": False}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"level": -1}, "of at least 0"),
        ({"mode": "plane"}, "Did you mean 'plain'"),
        ({"mode": 3}, "give a text"),
        ({"level": None}, "give a number"),
    ],
)
def test_parameters_of_plug_ins_are_checked_like_our_own(
    parameters: dict[str, Any], told: str, plugins: Callable[..., None]
) -> None:
    plugins(f"{__name__}:Flat")
    with pytest.raises(MethodError, match=told):
        quick(smooth_model(), "flat", **parameters)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no_such_package_anywhere:X", "cannot be loaded .ModuleNotFoundError"),
        (f"{__name__}:NoSuchClass", "cannot be loaded .AttributeError"),
        (f"{__name__}:Nameless", "cannot be loaded .TypeError"),
        (f"{__name__}:SIDE", "cannot be loaded .TypeError"),
        ("collections:OrderedDict", "is no Explainer class"),
        (f"{__name__}:Taken", "takes the name 'gradient', which is in use"),
    ],
)
def test_a_broken_plug_in_is_named_once_and_takes_nothing_away(
    value: str, told: str, plugins: Callable[..., None]
) -> None:
    plugins(value, f"{__name__}:Flat")
    with pytest.warns(UserWarning, match=f"plug-in '{value}' {told}.*uninstall its package"):
        found = {record["method"] for record in methods(smooth_model())}
    assert found == {*ALL, "flat"}
    assert quick(smooth_model(), "gradient").title == "Gradient"


def test_the_same_plug_in_registered_twice_is_no_fault(plugins: Callable[..., None]) -> None:
    plugins(f"{__name__}:Flat", f"{__name__}:Flat")
    assert find("flat") is Flat


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost(1, 1), "1 forward, 1 backward"),
        (Cost(65, 65), "65 of each"),
        (Cost(26, 25), "25 of each + 1"),
        (Cost(40, 25), "40 forwards, 25 backwards"),
    ],
)
def test_a_cost_reads_as_words(cost: Cost, text: str) -> None:
    assert str(cost) == text
