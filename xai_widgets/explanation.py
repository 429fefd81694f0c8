"""`Explanation`: the result of a method, with what is needed to see it, keep it and repeat it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import XaiError
from xai_widgets.maps import to_display
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_widgets.postprocessing import Step

SIGNED_COLOURS = "RdBu_r"
MAGNITUDE_COLOURS = "viridis"


@dataclass(frozen=True, eq=False)
class Explanation:
    """An attribution with its target, its diagnostics and its provenance.

    Attributes
    ----------
    attribution
        float32 [H, W, C] or [H, W], signed, on the model's input grid; in units of the target's
        score for methods that distribute it (integrated gradients, input x gradient).
    target
        What was explained, with class positions.
    target_text
        The same in words.
    score
        The target's score for this image, before any softmax.
    image
        The picture, the model input made from it, and the mapping between the two.
    method
        Name of the method; `title` is its name for people.
    layer
        The layer that was looked at, a tuple where there were several, or None.
    signed
        False for methods whose maps are never negative.
    diagnostics
        What the method knows about its own quality, by name.
    provenance
        Versions, model and weights, preprocessing, parameters, seed, image hash, duration.
    """

    attribution: npt.NDArray[np.float32] = field(repr=False)
    target: Target
    target_text: str
    score: float
    image: PreparedImage = field(repr=False)
    method: str
    title: str
    layer: str | tuple[str, ...] | None = None
    signed: bool = True
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def map(self) -> npt.NDArray[np.float32]:
        """float32 [H, W], signed: the attribution summed over channels, on the input grid."""
        attribution = self.attribution
        summed = attribution.sum(axis=2) if attribution.ndim == 3 else attribution
        return np.ascontiguousarray(summed, dtype=np.float32)

    @cached_property
    def heatmap(self) -> npt.NDArray[np.float32]:
        """float32 [H, W], signed: the map on the display image's grid, zero outside the input."""
        display = self.image.display
        return to_display(self.map, self.image.placement, (display.height, display.width))

    def processed(self, *steps: "Step") -> "Explanation":
        """Return this explanation with its map changed by steps, which provenance then lists.

        Parameters
        ----------
        steps
            Out of `xai_widgets.postprocessing`, in order: ``Sign("positive"), Clip(99)``.
        """
        from xai_widgets.postprocessing import process

        return process(self, *steps)

    def plot(self, ax: "Axes | None" = None, opacity: float = 0.75) -> "Axes":
        """Draw the heat map over the picture, with a colour bar.

        Parameters
        ----------
        ax
            Matplotlib axes; new ones if None.
        opacity
            Opacity of the strongest attribution, 0..1; weaker ones let more of the picture through.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from xai_widgets.plotting import draw_overlay

        return draw_overlay(self, ax, opacity)

    def save(self, path: str | Path) -> Path:
        """Write the explanation to a file; the suffix decides what of it.

        Parameters
        ----------
        path
            ``.png``: picture, map and overlay with colour bar, provenance in the text chunk.
            ``.npz``: attribution, heatmap and picture as arrays, and the JSON.
            ``.json``: target, score, diagnostics and provenance, and the heat map as numbers.

        Raises
        ------
        XaiError
            If the suffix is another one, or the folder does not exist.
        """
        path = Path(path)
        writers = {".png": self.to_png, ".npz": self._to_npz, ".json": self._to_json_bytes}
        if path.suffix.lower() not in writers:
            raise XaiError(
                f"An explanation cannot be saved as {path.suffix or path.name!r}: "
                f"use one of {', '.join(writers)}."
            )
        if not path.parent.is_dir():
            raise XaiError(f"The folder {str(path.parent)!r} does not exist: create it first.")
        write_whole(path, writers[path.suffix.lower()]())
        return path

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON-ready values."""
        return {
            "method": self.method,
            "target": {**self.target.to_dict(), "text": self.target_text},
            "layer": list(self.layer) if isinstance(self.layer, tuple) else self.layer,
            "score": self.score,
            "diagnostics": dict(self.diagnostics),
            "provenance": dict(self.provenance),
        }

    def to_png(self) -> bytes:
        """Return picture, map and overlay side by side as a PNG."""
        from xai_widgets.plotting import draw_figure

        buffer = BytesIO()
        draw_figure(self).savefig(
            buffer, format="png", dpi=110, metadata={"Description": json.dumps(self.to_dict())}
        )
        return buffer.getvalue()

    def _to_npz(self) -> bytes:
        buffer = BytesIO()
        np.savez_compressed(
            buffer,
            attribution=self.attribution,
            heatmap=self.heatmap,
            image=self.image.display.pixels,
            json=np.asarray(json.dumps(self.to_dict())),
        )
        return buffer.getvalue()

    def _to_json_bytes(self) -> bytes:
        record = self.to_dict()
        record["heatmap"] = {
            "shape": list(self.heatmap.shape),
            "values": [float(f"{value:.6g}") for value in self.heatmap.ravel()],
        }
        return json.dumps(record, indent=1).encode()

    def _repr_png_(self) -> bytes:
        return self.to_png()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, so that a full disk does not cost the one of before."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
