"""`top_images`: the pictures of a set, and the crops, that excite channels or a direction most."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import LayerError, MethodError
from xai_widgets.features.activity import all_maps, with_channels
from xai_widgets.features.objective_kinds import Direction
from xai_widgets.features.receptive import Field, receptive_field
from xai_widgets.features.settings import count
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Exciting:
    """The images that excite a channel, or a direction, most.

    Attributes
    ----------
    channel
        From 0; None for a direction.
    indices
        int [n]: positions in the set of images, the strongest first, each image once.
    values
        float32 [n]: the activation at the place where it is largest.
    positions
        int [n, 2]: (row, column) of that place in the layer.
    crops
        What that place sees of the picture: x, y, width, height in display pixels.
    """

    channel: int | None
    indices: npt.NDArray[np.int64]
    values: Values
    positions: npt.NDArray[np.int64]
    crops: tuple[Mapping[str, float], ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "channel": self.channel,
            "indices": self.indices.tolist(),
            "values": self.values.tolist(),
            "positions": self.positions.tolist(),
            "crops": [dict(crop) for crop in self.crops],
        }


@dataclass(frozen=True, eq=False)
class TopStep:
    """How many images were looked at, and what excites most among them."""

    done: int
    total: int
    found: tuple[Exciting, ...] = field(repr=False)


TopStream = Generator[TopStep, None, tuple[Exciting, ...]]


def top_images(
    model: Any,
    layer: str | None,
    images: Any,
    channels: Sequence[int] | None = None,
    direction: npt.ArrayLike | None = None,
    n: int = 9,
) -> tuple[Exciting, ...]:
    """Return what excites the channels of a layer most in a set of images.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    layer
        A layer with channels; None for the recommended one.
    images
        A path, folder, sequence or array; see `ImageSet`.
    channels
        From 0; None for all.
    direction
        A vector [C] in place of channels, such as a concept's.
    n
        Images for each.

    Returns
    -------
    tuple of Exciting
        One for each channel, or one for the direction.

    Raises
    ------
    XaiError
        If the layer does not exist or has no such channel, or an image cannot be opened.
    """
    stream = top_images_stream(model, layer, images, channels, direction, n)
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            found: tuple[Exciting, ...] = stop.value
            return found


def top_images_stream(
    model: Any,
    layer: str | None,
    images: Any,
    channels: Sequence[int] | None = None,
    direction: npt.ArrayLike | None = None,
    n: int = 9,
) -> TopStream:
    """Look in steps: yields a `TopStep` after each chunk; closing it cancels the work."""
    loaded, n = load(model), count("n", n)
    name, width = with_channels(loaded, layer)
    chosen, vector = _asked(loaded, name, width, channels, direction)
    pictures = ImageSet(images)
    reach = receptive_field(loaded, name)
    best = _Best(chosen, n, reach)
    total, size = len(pictures), loaded.chunk_size
    for first in range(0, total, size):
        chunk = [loaded.prepare(picture) for picture in pictures[first : first + size]]
        values = np.stack([image.values for image in chunk])
        best.add(first, chunk, _maps(loaded, name, values, chosen, vector))
        yield TopStep(min(first + size, total), total, best.found())
    return best.found()


class _Best:
    """The strongest images of each channel so far."""

    def __init__(self, channels: Sequence[int | None], n: int, reach: Field) -> None:
        self._channels, self._n, self._reach = channels, n, reach
        self._rows: list[list[tuple[float, int, tuple[int, int], Mapping[str, float]]]] = [
            [] for _ in channels
        ]

    def add(self, first: int, images: Sequence[PreparedImage], maps: Values) -> None:
        """Take the maps [N, h, w, C] of a chunk whose first image is number ``first``."""
        n, _, width, channels = maps.shape
        flat = maps.reshape(n, -1, channels)
        places = flat.argmax(axis=1)
        values = np.take_along_axis(flat, places[:, None], axis=1)[:, 0]
        for c, rows in enumerate(self._rows):
            for i, image in enumerate(images):
                if len(rows) == self._n and values[i, c] <= rows[-1][0]:
                    continue
                row, column = divmod(int(places[i, c]), width)
                crop = self._reach.crop((row, column), image)
                rows.append((float(values[i, c]), first + i, (row, column), crop))
                rows.sort(key=lambda entry: (-entry[0], entry[1]))
                del rows[self._n :]

    def found(self) -> tuple[Exciting, ...]:
        """Return what there is."""
        return tuple(
            Exciting(
                channel=channel,
                indices=np.array([row[1] for row in rows]),
                values=np.array([row[0] for row in rows], dtype=np.float32),
                positions=np.array([row[2] for row in rows]).reshape(-1, 2),
                crops=tuple(row[3] for row in rows),
            )
            for channel, rows in zip(self._channels, self._rows, strict=True)
        )


def _asked(
    model: ExplainableModel,
    layer: str,
    width: int,
    channels: Sequence[int] | None,
    direction: npt.ArrayLike | None,
) -> tuple[list[int | None], Values | None]:
    """Return the channels that are asked for, or None and the vector of a direction."""
    if direction is not None:
        if channels is not None:
            raise MethodError("Give channels or a direction, not both.")
        vector = Direction(layer, np.asarray(direction, np.float32)).resolved(model).vector
        if len(vector) != width:
            raise MethodError(
                f"The direction has {len(vector)} values: top_images needs one for each of the "
                f"{width} channels."
            )
        return [None], np.asarray(vector)
    given = channels if channels is None or isinstance(channels, Iterable) else [channels]
    chosen = range(width) if given is None else [count("channel", c, 0) for c in given]
    beyond = [c for c in chosen if c >= width]
    if beyond:
        raise LayerError(
            f"There is no channel {beyond[0]}: layer {layer!r} has {width}, 0 to {width - 1}."
        )
    return list(chosen), None


def _maps(
    model: ExplainableModel,
    layer: str,
    values: Values,
    channels: Sequence[int | None],
    vector: Values | None,
) -> Values:
    """Return what is asked for of a chunk, [N, h, w, C]."""
    maps = all_maps(model, layer, values)
    if vector is not None:
        return np.asarray((maps @ vector)[..., None])
    every = len(channels) == maps.shape[-1]
    return maps if every else np.asarray(maps[..., [c for c in channels if c is not None]])
