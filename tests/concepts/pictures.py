"""Small pictures and regions that the tests of concept stores share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

RECT = {"type": "rect", "x": 3.0, "y": 4.5, "width": 10.0, "height": 12.25}
POLYGON = {"type": "polygon", "points": [[1.0, 1.0], [30.5, 2.0], [20.0, 30.25]]}
MASK = {"type": "mask", "size": [3, 4], "counts": [1, 2, 2, 1, 6]}
REGIONS = [RECT, POLYGON, MASK, None]


def noise(height: int = 40, width: int = 48, seed: int = 0) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
