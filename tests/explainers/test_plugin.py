"""The plug-in printed in CONTRIBUTING.md works as it stands, on both frameworks."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import xai_widgets as xw
from xai_widgets.errors import MethodError
from xai_widgets.explainers import base, registry
from xai_widgets.widgets.describe import method_records

GUIDE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


def printed() -> str:
    """Return the example of the guide."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "(Explainer)" in block]
    return str(code)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[base.Explainer]]:
    module = ModuleType("my_package_explainers")
    names = ("Attribution", "Cost", "Explainer", "Progress", "parameter")
    vars(module).update({name: getattr(base, name) for name in names})
    vars(module).update(dataclass=dataclass, ClassVar=ClassVar)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(printed(), vars(module))
    found: type[base.Explainer] = module.DetailXGradient
    entry = SimpleNamespace(load=lambda: found, value="my_package.explainers:DetailXGradient")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry.explainers.cache_clear()
    yield found
    registry.explainers.cache_clear()


def test_it_is_about_twenty_lines() -> None:
    assert len([line for line in printed().splitlines() if line.strip()]) <= 20


def test_the_entry_point_has_the_group_that_is_looked_for() -> None:
    assert f'[project.entry-points."{registry.ENTRY_POINT_GROUP}"]' in GUIDE.read_text("utf-8")
    assert EntryPoint("x", "y:z", registry.ENTRY_POINT_GROUP).group == "xai_widgets.explainers"


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.usefixtures("plugin")
def test_it_explains_a_model_of_either_framework(framework: str) -> None:
    model = xw.demo.model("digits", framework=framework)
    image = xw.demo.dataset("digits", n=1).images[0]
    result = xw.explain(model, image, "detail_x_gradient", sigma=2.0)
    gradient = xw.explain(model, image, "gradient")
    prepared = model.prepare(image)
    blurred = model.backend.to_numpy(model.backend.blur(prepared.values[None], 2.0))[0]
    expected = gradient.attribution * (prepared.values - blurred)
    np.testing.assert_allclose(result.attribution, expected, rtol=1e-3, atol=1e-5)
    assert result.provenance["parameters"] == {"sigma": 2.0}


@pytest.mark.usefixtures("plugin")
def test_it_is_listed_with_a_form_and_its_parameters_are_checked() -> None:
    model = xw.demo.model("digits")
    (record,) = [r for r in method_records(model) if r["name"] == "detail_x_gradient"]
    assert record["applicable"] and record["cost"] == "1 forward, 1 backward"
    (form,) = record["parameters"]
    assert (form["name"], form["kind"], form["unit"]) == ("sigma", "float", "px")
    with pytest.raises(MethodError, match=r"from 0\.5 to 64"):
        xw.explain(model, xw.demo.dataset("digits", n=1).images[0], "detail_x_gradient", sigma=99)
