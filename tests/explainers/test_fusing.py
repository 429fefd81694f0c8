"""Maps of several layers are scaled and averaged, and what is wrong with a list is said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.explainers.helpers import quick
from tests.explainers.twins import FRAMEWORKS, twin
from tests.models.nets import picture
from xai_widgets.errors import LayerError
from xai_widgets.explainers.base import Progress
from xai_widgets.explainers.run import explain_stream
from xai_widgets.explanation import Explanation

LAYERS = ["first", "second"]


@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "layer_cam", "score_cam", "eigen_cam"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_several_layers_are_the_mean_of_their_scaled_maps(framework: str, method: str) -> None:
    model = twin(framework)
    single = [quick(model, method, layer=layer, target=1).attribution for layer in LAYERS]
    expected = np.mean([one / np.abs(one).max() for one in single], axis=0)
    fused = quick(model, method, layer=LAYERS, target=1)
    np.testing.assert_allclose(fused.attribution, expected, rtol=1e-4, atol=1e-6)
    assert fused.layer == tuple(LAYERS)
    assert fused.provenance["layer"] == LAYERS == json.loads(json.dumps(fused.to_dict()))["layer"]
    assert list(fused.diagnostics["layers"]) == LAYERS


def test_one_layer_in_a_list_is_that_layer() -> None:
    model = twin("torch")
    for given in (["second"], ["second", "second"]):
        listed = quick(model, "grad_cam", layer=given)
        assert listed.layer == "second"
        alone = quick(model, "grad_cam", layer="second").attribution
        np.testing.assert_array_equal(listed.attribution, alone)


@pytest.mark.parametrize(
    ("layer", "told"),
    [([], "list of layers is empty"), (["first", "secnd"], "no layer 'secnd'. Did you mean")],
)
def test_a_list_that_cannot_be_used_is_a_sentence(layer: Any, told: str) -> None:
    with pytest.raises(LayerError, match=told):
        quick(twin("torch"), "grad_cam", layer=layer)


def test_layers_are_ignored_where_a_method_looks_at_none() -> None:
    assert quick(twin("torch"), "gradient", layer=LAYERS).layer is None


def test_progress_rises_over_layers_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin("torch")
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 2))
    image = model.prepare(picture())
    stream = explain_stream(model, image, "score_cam", 0, LAYERS)
    seen = list(stream)
    progress = [item for item in seen if isinstance(item, Progress)]
    done = [item.done for item in progress]
    assert done == sorted(set(done)) and len({item.total for item in progress}) == 1
    assert all(0 <= item.done < item.total for item in progress)
    assert sum(isinstance(item, Explanation) for item in seen) == 1
    stream = explain_stream(model, image, "score_cam", 0, LAYERS)
    for _ in range(3):
        next(stream)
    stream.close()


def test_a_map_of_zeros_counts_as_one() -> None:
    import torch

    from tests.explainers.twins import net
    from xai_widgets.models.loading import load

    module = net()
    with torch.no_grad():
        module.head.weight[2].zero_()
    fused = quick(load(module, input_size=32), "grad_cam", layer=LAYERS, target=2)
    np.testing.assert_array_equal(fused.attribution, 0)
