"""Superpixels: a picture cut into some dozens of pieces of like colour."""

import numpy as np
import numpy.typing as npt

from xai_widgets.models.images import DisplayImage
from xai_widgets.models.primitives import PreparedImage

LabelMap = npt.NDArray[np.uint16]

N_SUPERPIXELS = 80
SEGMENTED_SIDE = 384
COMPACTNESS = (12, 40, 120, 1000)
"""How much nearness counts beside colour; the first that gives enough pieces is taken.

In a noisy or finely patterned picture pieces of like colour are crumbs, which SLIC melts together
with their neighbours until one or two are left.
"""


def segment(image: DisplayImage, n_superpixels: int = N_SUPERPIXELS) -> LabelMap:
    """Cut a picture into superpixels, with SLIC (Achanta et al. 2012).

    Parameters
    ----------
    image
        The picture.
    n_superpixels
        About how many; the pieces follow the picture, so the number is not exact. Where they
        would be less than half as many, they are made more regular.

    Returns
    -------
    uint16 [h, w]
        Labels from 0, on a grid of the picture's aspect of at most 384 pixels a side.
    """
    from skimage.segmentation import slic

    small = image.resized(SEGMENTED_SIDE)
    wanted = min(n_superpixels, small.shape[0] * small.shape[1])
    for compactness in COMPACTNESS:
        labels = slic(
            small, n_segments=n_superpixels, compactness=compactness, sigma=1, start_label=0
        )
        if labels.max() + 1 >= wanted / 2:
            break
    return np.asarray(labels, dtype=np.uint16)


def input_superpixels(image: PreparedImage, n_superpixels: int) -> npt.NDArray[np.intp]:
    """Cut a picture into superpixels on the grid of the model's input.

    Parameters
    ----------
    image
        A prepared picture.
    n_superpixels
        About how many.

    Returns
    -------
    intp [H, W]
        Labels 0..K-1, each of them present. What preprocessing padded belongs to the nearest piece.
    """
    labels = segment(image.display, n_superpixels)
    placement, display = image.placement, image.display
    rows = _nearest(placement.y, placement.height, image.values.shape[0], display.height)
    columns = _nearest(placement.x, placement.width, image.values.shape[1], display.width)
    rows = rows * labels.shape[0] // display.height
    columns = columns * labels.shape[1] // display.width
    _, found = np.unique(labels[rows[:, None], columns], return_inverse=True)
    return np.asarray(found.reshape(len(rows), len(columns)), dtype=np.intp)


def _nearest(start: float, length: float, n_cells: int, n_pixels: int) -> npt.NDArray[np.intp]:
    """Return the display pixel under the centre of each input pixel, along one axis."""
    centres = start + (np.arange(n_cells) + 0.5) * length / n_cells
    return np.clip(np.floor(centres), 0, n_pixels - 1).astype(np.intp)
