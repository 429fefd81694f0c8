"""What a gallery keeps of each optimised picture: frames of the way there, and their values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from xai_widgets.features import Visualisation

Pixels = npt.NDArray[np.uint8]

FRAMES = 24
"""Frames that are kept of an optimisation, close together at its start, where most changes."""
THUMBNAIL_SIDE = 96
LARGE_SIDE = 384


@dataclass(eq=False)
class Optimised:
    """One picture on its way from the start to its objective.

    Attributes
    ----------
    total
        Steps that it takes.
    kept
        (step, uint8 [H, W, 3]) of about `FRAMES` steps.
    newest
        The last of them that came.
    history
        (step, objective) as far as they were told.
    visualisation
        The same as `visualise` returns it, once it is done; None after a cancel.
    failure
        Why there is none, where no gradient comes back to the picture.
    """

    total: int = 1
    kept: list[tuple[int, Pixels]] = field(default_factory=list)
    newest: tuple[int, Pixels] | None = None
    history: list[tuple[int, float]] = field(default_factory=list)
    visualisation: "Visualisation | None" = None
    failure: str = ""
    _due: int = 0

    @property
    def picture(self) -> Pixels:
        """The newest picture, uint8 [H, W, 3]."""
        assert self.newest is not None
        return self.newest[1]

    @property
    def frames(self) -> list[tuple[int, Pixels]]:
        """The kept steps, and the newest one at their end."""
        made = self.visualisation
        if made is not None:
            return list(zip(made.frame_steps.tolist(), made.frames[:, 0], strict=True))
        if self.newest is None or (self.kept and self.kept[-1][0] == self.newest[0]):
            return self.kept
        return [*self.kept, self.newest]

    @property
    def nbytes(self) -> int:
        """Size of the frames in bytes."""
        return sum(frame.nbytes for _, frame in self.frames)

    def finish(self, made: "Visualisation") -> None:
        """Take a result of one picture, and let it hold the frames that were kept."""
        steps, frames = zip(*self.frames, strict=True)
        self.visualisation = replace(
            made, frames=np.stack(frames)[:, None], frame_steps=np.array(steps)
        )
        self.kept.clear()

    def take(self, step: int, total: int, picture: npt.NDArray[np.float32], value: float) -> None:
        """Keep a picture [H, W, 3], 0..1, with its step and objective."""
        pixels = np.asarray(np.round(np.clip(picture, 0, 1) * 255), dtype=np.uint8)
        self.total, self.newest = total, (step, pixels)
        if not self.history or self.history[-1][0] != step:
            self.history.append((step, float(value)))
        if step >= self._due:
            self.kept.append(self.newest)
            places = total * (np.arange(FRAMES) / (FRAMES - 1)) ** 2
            self._due = int(np.ceil(places[places > step].min(initial=total)))


def part_of(made: "Visualisation", place: int) -> "Visualisation":
    """Return one picture out of a batch, as if it had been optimised alone."""
    one = slice(place, place + 1)
    parts = getattr(made.objective, "parts", (made.objective,))
    texts = tuple(made.texts)
    best = replace(
        made.best,
        images=made.best.images[one].copy(),
        values=made.best.values[one],
        steps=made.best.steps[one],
    )
    parameters = {**made.provenance["parameters"], "n": 1}
    return replace(
        made,
        images=made.images[one].copy(),
        values=made.values[one],
        start_values=made.start_values[one],
        best=best,
        history=replace(made.history, values=made.history.values[:, one]),
        frames=made.frames[:, one],
        objective=parts[place],
        texts=texts[one],
        provenance={**made.provenance, "parameters": parameters},
        notes=tuple(note for note in made.notes if not _of_another(note, texts, place)),
    )


def _of_another(note: str, texts: tuple[str, ...], place: int) -> bool:
    """Tell whether a note is about other pictures of the batch."""
    about = [text for text in texts if f" {text}:" in note]
    return bool(about) and texts[place] not in about


@dataclass(frozen=True)
class Film:
    """Frames that the browser scrubs, with the curves beside them.

    Attributes
    ----------
    role
        "steps" of an optimisation, or "mixture": a grid between two objectives.
    names
        What is maximised; of a mixture both.
    frames
        uint8 [F, H, W, 3].
    positions
        float32 [F]: steps, or shares of the second objective.
    at, curves
        float32 [P] and [S, P]: the curves' points and values.
    partial
        The optimisation was cancelled.
    provenance
        How the pictures were made.
    note
        What the pictures are not, in sentences.
    """

    role: str
    names: tuple[str, ...]
    frames: Pixels
    positions: npt.NDArray[np.float32]
    at: npt.NDArray[np.float32]
    curves: npt.NDArray[np.float32]
    partial: bool
    provenance: dict[str, Any]
    note: str = ""

    def payload(self, key: str, index: int, other: int | None = None) -> dict[str, Any]:
        """Return the payload of a `film` message."""
        return {
            "key": key,
            "role": self.role,
            "index": index,
            "other": other,
            "names": list(self.names),
            "frames": np.stack([reduced(frame, LARGE_SIDE) for frame in self.frames]),
            "positions": self.positions,
            "at": self.at,
            "curves": self.curves,
            "partial": self.partial,
            "provenance": json.dumps(self.provenance),
            "note": self.note,
            "error": None,
        }


def film_of(record: Optimised, name: str) -> Film:
    """Return the steps of an optimisation, as far as it came."""
    steps, values = np.array(record.history, dtype=np.float32).T
    made = record.visualisation
    known = {"objective": name, "note": record.failure or "cancelled before the last step"}
    return Film(
        "steps",
        (name,),
        np.stack([frame for _, frame in record.frames]),
        np.array([step for step, _ in record.frames], dtype=np.float32),
        steps,
        values[None],
        made is None and not record.failure,
        known if made is None else {"objective": name, **made.provenance},
        record.failure if made is None else " ".join(made.notes),
    )


def features_payload(
    records: Mapping[int, Optimised], live: int | None, done: bool
) -> dict[str, Any] | None:
    """Return the payload of a `features` message for pictures at the same step; None for none."""
    if not records:
        return None
    first = next(iter(records.values()))
    shown = None
    if live is not None and live in records and not done:
        shown = {"index": live, "array": reduced(records[live].picture, LARGE_SIDE)}
    return {
        "indices": list(records),
        "array": np.stack([reduced(each.picture, THUMBNAIL_SIDE) for each in records.values()]),
        "values": np.array([each.history[-1][1] for each in records.values()], dtype=np.float32),
        "starts": np.array([each.history[0][1] for each in records.values()], dtype=np.float32),
        "step": first.history[-1][0],
        "total": first.total,
        "done": done,
        "live": shown,
    }


def reduced(pixels: Pixels, side: int) -> Pixels:
    """Return a picture of at most so many pixels a side."""
    if max(pixels.shape[:2]) <= side:
        return pixels
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)
