"""Arrays survive the way through a message, whatever their layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_widgets.widgets.codec import DTYPES, CodecError, decode, encode

DTYPE = st.sampled_from(sorted(DTYPES)).map(np.dtype)


@given(hnp.arrays(DTYPE, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_arrays_of_every_dtype_and_shape_survive_a_round_trip(array: np.ndarray) -> None:
    payload, buffers = encode({"a": [{"deep": array}], "text": "x"})
    back = decode(payload, buffers)["a"][0]["deep"]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-1],
        np.arange(24, dtype=np.float32).reshape(4, 6).T,
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.array([np.nan, np.inf, -np.inf, -0.0], dtype=np.float32),
        np.empty((0, 3), dtype=np.uint8),
    ],
    ids=["strided", "transposed", "big-endian", "not finite", "empty"],
)
def test_unusual_layouts_arrive_as_little_endian_c_order(array: np.ndarray) -> None:
    payload, buffers = encode(array)
    assert buffers[0] == np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    np.testing.assert_array_equal(decode(payload, buffers), array)


def test_buffers_may_be_views_with_an_offset() -> None:
    payload, buffers = encode(np.arange(5, dtype=np.float64))
    view = memoryview(b"\x00" * 3 + buffers[0])[3:]
    np.testing.assert_array_equal(decode(payload, [view]), np.arange(5.0))


def test_numpy_scalars_become_numbers() -> None:
    assert encode({"n": np.int64(3), "x": np.float32(0.5)}) == ({"n": 3, "x": 0.5}, [])


@pytest.mark.parametrize("dtype", ["int64", "complex64", "bool", "U3"])
def test_dtypes_that_browsers_lack_are_refused_with_a_sentence(dtype: str) -> None:
    with pytest.raises(CodecError, match="cannot be sent: convert it"):
        encode(np.zeros(2, dtype=dtype))


@pytest.mark.parametrize(
    "description",
    [
        {"dtype": "int64", "shape": [1], "buffer": 0},
        {"dtype": "float32", "shape": [1], "buffer": 1},
        {"dtype": "float32", "shape": [1], "buffer": -1},
        {"dtype": "float32", "shape": [3], "buffer": 0},
    ],
)
def test_descriptions_that_do_not_fit_are_refused(description: dict) -> None:
    with pytest.raises(CodecError):
        decode(description, [b"\0" * 4])
