"""The demo data sets by name: pictures, labels and the masks of what decides the label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import animals, digits, lesions, scenes
from .names import DemoError, choice, whole_number
from .streams import SPLITS


@dataclass(frozen=True)
class Dataset:
    """Pictures with known ground truth.

    Attributes
    ----------
    images : ndarray uint8, shape [N, H, W, 3]
        RGB pictures.
    labels : ndarray int64, shape [N]
        Position of each picture's class in ``class_names``.
    masks : dict of str to ndarray bool, shape [N, H, W]
        Where things are, by name: "lesion" and "ruler", "animal", "stroke", or, of a scene, each of
        its classes.
    class_names : tuple of str
        Names of the classes.
    segmentation : ndarray int64, shape [N, H, W], or None
        For "scenes": position of each pixel's class in ``class_names``, 0 for the background.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    masks: Mapping[str, NDArray[np.bool_]]
    class_names: tuple[str, ...]
    segmentation: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)


CLASS_NAMES = {
    "lesions": lesions.CLASS_NAMES,
    "animals": animals.CLASS_NAMES,
    "digits": digits.CLASS_NAMES,
    "scenes": scenes.CLASS_NAMES,
}
NAMES = tuple(CLASS_NAMES)


def dataset(name: str, n: int = 32, seed: int = 0, split: str = "test", **options: str) -> Dataset:
    """Return generated pictures with labels and masks.

    Parameters
    ----------
    name : str
        "lesions" (128 px; benign or malignant by border and tones), "animals" (128 px; five
        classes by coat), "scenes" (128 px; landscapes with several things, labelled with the
        largest, and the class of every pixel) or "digits" (32 px; real handwriting from
        scikit-learn).
    n : int
        Number of pictures. The first pictures of a larger set are those of a smaller one.
    seed : int
        The same seed and split give the same pictures.
    split : str
        "test" or "train"; the two never share a picture.
    **options : str
        "lesions" takes ``ruler``: "random" (half the pictures, independent of the class),
        "malignant" (exactly the malignant ones) or "none". The lesions stay the same.

    Returns
    -------
    Dataset
        With balanced labels; those of "scenes" are balanced about, as things may hide each other.

    Raises
    ------
    DemoError
        If a name, number or option is not known.
    """
    name = choice(name, NAMES, "demo data set")
    split = choice(split, SPLITS, "split")
    n, seed = whole_number(n, "n", 1), whole_number(seed, "seed", 0)
    allowed = ("ruler",) if name == "lesions" else ()
    for option in options:
        if not allowed:
            raise DemoError(f'The demo data set "{name}" takes no option, so not "{option}".')
        choice(option, allowed, f'option of the demo data set "{name}" called')
    if name == "lesions":
        rulers = choice(options.get("ruler", "random"), lesions.RULERS, "ruler placement")
        images, labels, masks = lesions.generate(n, seed, split, rulers)
    elif name == "animals":
        images, labels, masks = animals.generate(n, seed, split)
    elif name == "scenes":
        images, labels, segmentation = scenes.generate(n, seed, split)
        names = scenes.CLASS_NAMES
        masks = {thing: segmentation == k for k, thing in enumerate(names) if k > 0}
        return Dataset(images, labels, masks, names, segmentation)
    else:
        images, labels, masks = digits.generate(n, seed, split)
    return Dataset(images, labels, masks, CLASS_NAMES[name])
