"""Generated pictures whose answer is known, concepts made by the same code, and trained networks.

Nothing here needs a framework until a model is asked for.
"""

from __future__ import annotations

from .catalogue import model
from .concepts import concept
from .data import Dataset, dataset
from .names import DemoError
from .sketches import sketch

__all__ = ["Dataset", "DemoError", "concept", "dataset", "model", "sketch"]
