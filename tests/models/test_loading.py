"""One way in for every model: idempotent, thread-safe, and not in the way of the collector."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.nets import SIDE, Wrapped, convolutional, picture
from xai_widgets.errors import ModelError, PreprocessingError
from xai_widgets.models.loading import load


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"input_size": SIDE},
        {"input_size": (SIDE, SIDE)},
        {"labels": ["a", "b", "c"]},
        {"labels": np.array(["a", "b", "c"])},
        {"preprocessing": {"size": SIDE, "mean": [0.5], "std": [0.5], "value_range": [0, 1]}},
        {"device": "cpu"},
    ],
)
def test_the_same_model_and_options_give_the_same_object(options: dict[str, Any]) -> None:
    module = convolutional()
    first = load(module, **options)
    assert load(module, **options) is first
    assert load(module) is first
    assert load(first) is first


def test_other_options_give_another_object_with_the_same_lock() -> None:
    module = convolutional()
    first = load(module, input_size=SIDE)
    second = load(module, input_size=SIDE, labels=["a", "b", "c"])
    assert second is not first
    assert second.lock is first.lock
    assert load(convolutional()).lock is not first.lock


class Shift:
    """A transform whose repr does not tell its settings."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, image: Any) -> Any:
        return np.asarray(image.resize((SIDE, SIDE)), np.float32) + self.by

    def __repr__(self) -> str:
        return "Shift()"


def test_callables_that_look_alike_are_not_taken_for_each_other() -> None:
    module = convolutional()
    first, second = load(module, preprocessing=Shift(0)), load(module, preprocessing=Shift(9))
    assert first is not second
    difference = second.prepare(picture()).values - first.prepare(picture()).values
    np.testing.assert_allclose(difference, 9, rtol=1e-5)


def test_labels_given_to_a_loaded_model_keep_its_preprocessing() -> None:
    first = load(convolutional(), preprocessing={"size": SIDE, "mean": 0.5, "std": 0.25})
    named = load(first, labels=["a", "b", "c"])
    assert named.labels == ("a", "b", "c")
    assert named.preprocess == first.preprocess
    assert named.source is first.source


def test_preprocessing_given_to_a_loaded_model_keeps_its_labels() -> None:
    first = load(convolutional(), labels=["a", "b", "c"], input_size=SIDE)
    assert load(first, input_size=48).labels == ("a", "b", "c")
    assert load(first, input_size=48).input_shape == (48, 48, 3)


def test_an_adapter_and_its_model_are_freed_when_nobody_holds_them() -> None:
    module = convolutional()
    model = load(module, input_size=SIDE)
    model.forward_pass(model.prepare(picture()))
    adapter, network = weakref.ref(model), weakref.ref(module)
    del model
    gc.collect()
    assert adapter() is None
    assert network() is module
    del module
    gc.collect()
    assert network() is None


def test_two_threads_that_load_one_model_get_one_adapter() -> None:
    square = torch.eye(300)  # multiplying it lets the other threads run
    module = Wrapped(before=lambda x: x * (square @ square).diagonal().mean())
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(load(module, input_size=SIDE)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len({id(model) for model in found}) == 1


def test_a_failed_load_can_be_repeated_with_better_options() -> None:
    module = convolutional()
    with pytest.raises(ModelError):
        load(module, labels=["a"], input_size=SIDE)
    assert load(module, labels=["a", "b", "c"], input_size=SIDE).labels == ("a", "b", "c")


@pytest.mark.parametrize("source", [None, 3, nn.ReLU, {"state": 1}, lambda x: x])
def test_what_is_no_model_is_refused(source: Any) -> None:
    with pytest.raises(ModelError, match=r"is not a model that can be loaded: give a torch\.nn"):
        load(source)


@pytest.mark.parametrize("size", [0, -1, (224, 224, 3), "large"])
def test_an_impossible_input_size_is_refused(size: Any) -> None:
    with pytest.raises(PreprocessingError, match="size is"):
        load(convolutional(), input_size=size)


def test_a_model_says_what_it_is() -> None:
    model = load(convolutional(), input_size=SIDE)
    assert repr(model).startswith("<Sequential (torch), input 32 x 32 x 3, 3 outputs")
    described = model.describe()
    assert described["class"] == "Sequential"
    assert described["preprocessing"]["size"] == [SIDE, SIDE]
    assert model.versions == {"torch": torch.__version__}


@pytest.mark.parametrize("change", ["step", "load_state_dict", "buffer", "replaced"])
def test_hash_and_fingerprint_change_with_the_weights(change: str) -> None:
    module = nn.Sequential(convolutional(), nn.BatchNorm1d(3)).eval()
    model = load(module, input_size=SIDE)
    before = (model.weight_hash, model.fingerprint)
    assert (model.weight_hash, model.fingerprint) == before
    if change == "step":
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        module(torch.ones(1, 3, SIDE, SIDE)).sum().backward()
        optimizer.step()
    elif change == "load_state_dict":
        module.load_state_dict({k: v + 1 for k, v in module.state_dict().items()})
    elif change == "buffer":
        module[1].running_mean.add_(1)
    else:
        module[0][6].bias = nn.Parameter(torch.ones(3))
    assert model.weight_hash != before[0]
    assert model.fingerprint != before[1]


def test_equal_weights_have_equal_hashes_whatever_the_object() -> None:
    first, second = load(convolutional()), load(convolutional())
    assert first.weight_hash == second.weight_hash
    assert first.fingerprint != second.fingerprint


def test_the_hash_reads_every_dtype() -> None:
    module = convolutional().to(torch.bfloat16)
    module.register_buffer("mask", torch.ones(2, 2, dtype=torch.bool))
    module.register_buffer("empty", torch.ones(0))
    assert len(load(module, input_size=SIDE).weight_hash) == 64
