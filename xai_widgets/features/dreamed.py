"""`Dream`: what DeepDream ended in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.features.keeping import save_as

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Dream:
    """A dreamed picture, or how far it had come when it was cancelled.

    Attributes
    ----------
    image, start
        uint8 [H, W, 3]: the dream, and the picture of the start at the same size.
    values
        float32 [S]: the objective before each step, averaged over tiles, at the size of its octave.
    frames
        uint8 [h, w, 3]: the start, and the end of each octave, at its size.
    text
        What was dreamed of, in words.
    notes
        Sentences on what the picture is not.
    provenance
        Versions, model and weights, parameters, seed, duration.
    """

    image: Pixels = field(repr=False)
    start: Pixels = field(repr=False)
    values: npt.NDArray[np.float32] = field(repr=False)
    frames: Sequence[Pixels] = field(repr=False)
    text: str
    notes: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def plot(self) -> "Figure":
        """Draw the start and the dream side by side."""
        from xai_widgets.features.plotting import draw_row

        return draw_row((self.start, self.image), ("start", self.text))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, as JSON-ready values."""
        return {
            "text": self.text,
            "values": self.values.tolist(),
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }

    def save(self, path: str | Path) -> Path:
        """Write the dream to a file; the suffix decides what of it.

        Parameters
        ----------
        path
            ``.png``: the picture itself, provenance in its text chunk. ``.npz``: picture, start
            and frames as arrays, and the JSON. ``.json``: everything but pictures.

        Raises
        ------
        XaiError
            If the suffix is another one, or the folder does not exist.
        """
        writers = {".png": self.to_png, ".npz": self._to_npz, ".json": self._to_json}
        return save_as(path, writers, "A dream")

    def to_png(self) -> bytes:
        """Return the picture as a PNG."""
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("Description", json.dumps(self.to_dict()))
        buffer = BytesIO()
        Image.fromarray(self.image).save(buffer, "PNG", pnginfo=info)
        return buffer.getvalue()

    def _to_npz(self) -> bytes:
        buffer = BytesIO()
        frames = {f"frame_{i}": frame for i, frame in enumerate(self.frames)}
        text = np.asarray(json.dumps(self.to_dict()))
        arrays: dict[str, Any] = {"image": self.image, "start": self.start, "json": text, **frames}
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    def _to_json(self) -> bytes:
        return json.dumps(self.to_dict(), indent=1).encode()

    def _repr_png_(self) -> bytes:
        return self.to_png()
