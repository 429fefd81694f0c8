"""`Visualisation`: optimised pictures, with what is needed to see, keep and repeat them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.features.keeping import save_as
from xai_widgets.features.objective import Objective

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Best:
    """The best picture of each position so far.

    Attributes
    ----------
    images
        uint8 [B, H, W, 3].
    values
        float32 [B]: the objective's.
    steps
        int [B]: after how many steps.
    """

    images: Pixels = field(repr=False)
    values: Values
    steps: Steps


@dataclass(frozen=True, eq=False)
class History:
    """How the objective rose.

    Attributes
    ----------
    steps
        int [S].
    values
        float32 [S, B], on the untransformed pictures.
    """

    steps: Steps
    values: Values = field(repr=False)


@dataclass(frozen=True, eq=False)
class Visualisation:
    """What an optimisation of pictures ended in, or had reached when it was cancelled.

    Attributes
    ----------
    images
        uint8 [B, H, W, 3].
    values, start_values
        float32 [B]: the objective on these pictures, untransformed, and on those of the start.
    best
        The pictures with the largest values that were seen.
    history
        Values over the steps.
    frames, frame_steps
        uint8 [F, B, H, W, 3] and int [F]: pictures on the way, the first and the last among them.
    objective
        Resolved for the model.
    texts
        What each picture was optimised for, in words.
    notes
        Sentences on what the pictures are not.
    provenance
        Versions, model and weights, parameters, seed, duration.
    """

    images: Pixels = field(repr=False)
    values: Values
    start_values: Values
    best: Best = field(repr=False)
    history: History = field(repr=False)
    frames: Pixels = field(repr=False)
    frame_steps: Steps = field(repr=False)
    objective: Objective = field(repr=False)
    texts: Sequence[str]
    notes: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Return how many pictures there are."""
        return len(self.images)

    def plot(self, columns: int = 4) -> "Figure":
        """Draw the pictures with their objectives and values, so many a row.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from xai_widgets.features.plotting import draw_pictures

        return draw_pictures(self, columns)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, as JSON-ready values."""
        return {
            "objective": self.objective.to_dict(),
            "texts": list(self.texts),
            "values": self.values.tolist(),
            "start_values": self.start_values.tolist(),
            "best": {"values": self.best.values.tolist(), "steps": self.best.steps.tolist()},
            "history": {
                "steps": self.history.steps.tolist(),
                "values": self.history.values.tolist(),
            },
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }

    def save(self, path: str | Path) -> Path:
        """Write the pictures to a file; the suffix decides what of them.

        Parameters
        ----------
        path
            ``.png``: the figure of `plot`, provenance in its text chunk. ``.npz``: pictures, best
            ones and frames as arrays, and the JSON. ``.json``: everything but pictures.

        Raises
        ------
        XaiError
            If the suffix is another one, or the folder does not exist.
        """
        writers = {".png": self.to_png, ".npz": self._to_npz, ".json": self._to_json}
        return save_as(path, writers, "A visualisation")

    def to_png(self) -> bytes:
        """Return the figure of `plot` as a PNG."""
        buffer = BytesIO()
        metadata = {"Description": json.dumps(self.to_dict())}
        self.plot().savefig(buffer, format="png", dpi=110, metadata=metadata)
        return buffer.getvalue()

    def _to_npz(self) -> bytes:
        buffer = BytesIO()
        np.savez_compressed(
            buffer,
            images=self.images,
            best_images=self.best.images,
            frames=self.frames,
            frame_steps=self.frame_steps,
            json=np.asarray(json.dumps(self.to_dict())),
        )
        return buffer.getvalue()

    def _to_json(self) -> bytes:
        return json.dumps(self.to_dict(), indent=1).encode()

    def _repr_png_(self) -> bytes:
        return self.to_png()
