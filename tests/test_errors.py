"""One hierarchy of errors, and suggestions that help."""

from __future__ import annotations

import inspect

import pytest

from xai_widgets import errors
from xai_widgets.errors import XaiError, near_matches

ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind is not XaiError
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_an_xai_error_and_a_usual_one_too(kind: type[Exception]) -> None:
    assert issubclass(kind, XaiError)
    assert issubclass(kind, ValueError | ImportError)
    assert kind.__doc__ and kind.__doc__.endswith(".")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("zebr", ["zebra", "horse"], " Did you mean 'zebra'?"),
        ("ZEBRA", ["Zebra"], " Did you mean 'Zebra'?"),
        ("layer", ["layer1", "layer2"], " Did you mean 'layer2' or 'layer1'?"),
        ("cat", ["tiger cat", "dog", "grey fox"], " Did you mean 'tiger cat'?"),
        ("stages", ["encoder.very.long.stages.0"], " Did you mean 'encoder.very.long.stages.0'?"),
        ("qq", ["a", "b"], " Known: 'a', 'b'."),
        ("", ["a"], " Known: 'a'."),
        ("qq", [], ""),
        ("qq", [str(i) for i in range(9)], " Known: '0', '1', '2', '3', '4', '5', '6', '7', ...."),
    ],
)
def test_a_mistyped_name_gets_what_may_have_been_meant(
    name: str, known: list[str], expected: str
) -> None:
    assert near_matches(name, known) == expected


def test_no_more_than_three_are_suggested() -> None:
    assert near_matches("layer", [f"layer{i}" for i in range(9)]).count("'") == 6
