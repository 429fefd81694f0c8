"""What `Evidence` remembers of pictures: arrays and forward passes, each within some bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import LayerPass


@dataclass(frozen=True, eq=False)
class Retained:
    """A forward pass that other targets can start from.

    Attributes
    ----------
    keys
        Of its pictures, in order.
    layers
        Those it has recorded.
    passed
        The pass itself.
    """

    keys: tuple[str, ...]
    layers: frozenset[str]
    passed: LayerPass


class Known:
    """What was computed, as much of it as fits into some bytes: what was last asked for."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._rows: OrderedDict[Hashable, Any] = OrderedDict()
        self._nbytes = 0

    def get(self, key: Hashable) -> Any | None:
        """Return an array, or None where it is not known."""
        row = self._rows.get(key)
        if row is not None:
            self._rows.move_to_end(key)
        return row

    def put(self, key: Hashable, row: Any) -> None:
        """Remember an array, dropping the oldest."""
        old = self._rows.pop(key, None)
        self._rows[key] = row
        self._nbytes += row.nbytes - (0 if old is None else old.nbytes)
        while self._nbytes > self._limit:
            self._nbytes -= self._rows.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._nbytes = 0


class Shared:
    """What views of the same evidence have in common."""

    def __init__(self, model: ExplainableModel, cached: int, retained: int) -> None:
        self.known = Known(cached)
        self.retained: list[Retained] = []
        self.retained_bytes = retained
        self.fingerprint = model.fingerprint

    def keep(self, entry: Retained) -> None:
        """Keep a pass, dropping the oldest."""
        self.retained.append(entry)
        sizes = [old.passed.nbytes for old in self.retained]
        while sizes and sum(sizes) > self.retained_bytes:
            del self.retained[0], sizes[0]
