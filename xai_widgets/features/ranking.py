"""`ranked_images_stream`: the pictures of a set for which an objective is largest."""

from collections.abc import Generator
from typing import Any

import numpy as np

from xai_widgets.features.exciting import Exciting, TopStep
from xai_widgets.features.objectives import as_objective
from xai_widgets.features.settings import count
from xai_widgets.models.backend import Array
from xai_widgets.models.images import ImageSet
from xai_widgets.models.layered import Look
from xai_widgets.models.loading import load


def ranked_images_stream(
    model: Any, objective: Any, images: Any, n: int = 9
) -> Generator[TopStep, None, tuple[Exciting]]:
    """Sort images by an objective, whole: what `top_images` does for classes and sums.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    objective
        As in `visualise`.
    images
        A path, folder, sequence or array; see `ImageSet`.
    n
        How many.

    Yields
    ------
    TopStep
        After each chunk; closing the generator cancels the work.

    Returns
    -------
    tuple of Exciting
        One, whose crops are the whole pictures.

    Raises
    ------
    XaiError
        If the objective asks for what the model has not, or an image cannot be opened.
    """
    loaded, n = load(model), count("n", n)
    goal, pictures = as_objective(objective).resolved(loaded), ImageSet(images)

    def value(look: Look, inputs: Array) -> tuple[Array]:
        return (goal(look(inputs), loaded.backend),)

    step = loaded.compiled(value, goal.layers)
    rows: list[tuple[float, int, tuple[int, int]]] = []
    total, size = len(pictures), loaded.chunk_size

    def found() -> tuple[Exciting]:
        crops = [{"x": 0.0, "y": 0.0, "width": w, "height": h} for _, _, (w, h) in rows]
        return (
            Exciting(
                channel=None,
                indices=np.array([index for _, index, _ in rows], dtype=np.int64),
                values=np.array([value for value, _, _ in rows], dtype=np.float32),
                positions=np.zeros((len(rows), 2), dtype=np.int64),
                crops=tuple(crops),
            ),
        )

    for first in range(0, total, size):
        chunk = [loaded.prepare(picture) for picture in pictures[first : first + size]]
        inputs = loaded.backend.asarray(np.stack([image.values for image in chunk]))
        values = loaded.backend.to_numpy(step(inputs)[0])
        for place, (image, reached) in enumerate(zip(chunk, values, strict=True)):
            side = (image.display.width, image.display.height)
            rows.append((float(reached), first + place, side))
        rows.sort(key=lambda row: (-row[0], row[1]))
        del rows[n:]
        yield TopStep(min(first + size, total), total, found())
    return found()
