"""Functions cut out of a traced TensorFlow graph."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def cut_out(function: Any, feeds: Sequence[Any], fetches: Any) -> Any:
    """Return the part of a wrapped function that leads from feeds to fetches.

    With a signature: a part without one is first called as if it took nothing, and TensorFlow
    writes the values of all tensors into the message of an error that it then catches. On a
    transformer that took longer than the backward pass.
    """
    signature = tuple(tf.TensorSpec(None, feed.dtype) for feed in feeds)
    return function.prune(list(feeds), fetches, input_signature=(signature, {}))
