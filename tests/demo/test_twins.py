"""Every demo network gives the same logits in Keras as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import keras
import torch

from xai_widgets import demo
from xai_widgets.demo import keras_networks, networks

DATA_OF = {"animals-vit": "animals", "scenes": "scenes", "lesion-area": "lesions"}


@pytest.mark.parametrize("name", DATA_OF)
def test_logits_are_equal(name: str) -> None:
    images = demo.dataset(DATA_OF[name], n=2, seed=3).images
    x = networks.normalised(images, networks.DESIGNS[name])
    with torch.no_grad():
        expected = networks.build(name)(x).numpy()
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    twin = keras_networks.build(name)
    found = keras.ops.convert_to_numpy(twin(x.permute(0, 2, 3, 1).numpy()))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_building_leaves_the_random_state_alone() -> None:
    keras.utils.set_random_seed(3)
    expected = keras.random.normal((4,))
    keras.utils.set_random_seed(3)
    keras_networks.build("animals-vit")
    found = keras.random.normal((4,))
    assert bool(keras.ops.all(found == expected))


def test_transformer_attends_by_keras_own_layer_and_can_be_saved(tmp_path: object) -> None:
    twin = keras_networks.build("animals-vit")
    attention = [x for x in twin.layers if isinstance(x, keras.layers.MultiHeadAttention)]
    assert [layer.name for layer in attention] == [f"blocks_{i}_attn" for i in range(4)]
    path = f"{tmp_path}/vit.keras"
    twin.save(path)
    again = keras.saving.load_model(path)
    x = np.random.default_rng(0).normal(size=(1, 128, 128, 3)).astype(np.float32)
    assert float(keras.ops.max(keras.ops.abs(twin(x) - again(x)))) < 1e-6
