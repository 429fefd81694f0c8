"""Labels, preprocessing and sizes that a model carries, so that nobody has to repeat them.

Read by what they look like and not by their class: transformers' ``config`` and
``preprocessor_config.json``, timm's ``pretrained_cfg``, torchvision's weights.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xai_widgets.errors import PreprocessingError
from xai_widgets.models.preprocessing import Preprocess, Preprocessing

PROCESSOR_FILE = "preprocessor_config.json"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Carried:
    """What a model says of itself.

    Attributes
    ----------
    labels
        Names of the outputs, or None.
    preprocess
        Preprocessing, or None.
    size
        (height, width) of the input in pixels, or None.
    notes
        Sentences on what was assumed.
    where
        What the preprocessing was read from.
    """

    labels: tuple[str, ...] | None = None
    preprocess: Preprocessing | None = None
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    where: str | None = None

    def preprocess_for(
        self, given: Preprocess | None, size: tuple[int, int] | None, notes: list[str]
    ) -> Preprocess | None:
        """Return the user's preprocessing, else the carried one at the size the user asks for.

        Where the carried one is used, ``notes`` gets a sentence on where it was read.
        """
        if given is not None or self.preprocess is None:
            return given
        notes.append(
            f"Preprocessing was read from the model's {self.where}. Pass preprocessing= to "
            "override it."
        )
        return self.preprocess if size is None else replace(self.preprocess, size=size)

    def over(self, other: "Carried") -> "Carried":
        """Fill in from ``other`` what this one does not know."""
        return Carried(
            self.labels or other.labels,
            self.preprocess or other.preprocess,
            self.size or other.size,
            (*self.notes, *(note for note in other.notes if note not in self.notes)),
            self.where if self.preprocess is not None else other.where,
        )


def carried_by(model: Any) -> Carried:
    """Return what a model object says of itself; nothing where it says nothing."""
    config = getattr(model, "config", None)
    found = _from_timm(model).over(_from_config(config))
    folder = getattr(config, "_name_or_path", None) or getattr(config, "name_or_path", None)
    if isinstance(folder, str) and folder and (Path(folder) / PROCESSOR_FILE).is_file():
        found = found.over(carried_beside(Path(folder)))
    return found


def carried_beside(folder: Path) -> Carried:
    """Return what ``config.json`` and ``preprocessor_config.json`` in a folder say."""
    found = Carried()
    processor = _read(folder / PROCESSOR_FILE)
    if processor is not None:
        found = found.over(_noted(from_processor(processor), PROCESSOR_FILE))
    config = _read(folder / CONFIG_FILE)
    if config is not None:
        found = found.over(_from_config(config))
    return found


def from_processor(settings: Mapping[str, Any]) -> Preprocessing | None:
    """Return what the settings of a transformers image processor amount to.

    Parameters
    ----------
    settings
        Its ``to_dict()``, which is what ``preprocessor_config.json`` holds.
    """
    size, crop = _sides(settings.get("size")), _sides(settings.get("crop_size"))
    resize, fraction = "stretch", 1.0
    shortest = _get(settings.get("size"), "shortest_edge")
    if settings.get("do_center_crop") and crop is not None:
        edge = shortest or (min(size) if size else max(crop))
        size, resize, fraction = crop, "crop", min(1.0, max(crop) / edge)
    elif shortest is not None:
        share = settings.get("crop_pct")
        size = (int(shortest), int(shortest))
        if share is not None and shortest >= 384:  # ConvNeXt warps from this size on
            resize = "stretch"
        else:
            resize, fraction = "crop", float(share or 1.0)
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    normalised = bool(settings.get("do_normalize", "image_mean" in settings))
    try:
        return Preprocessing(
            size=size if settings.get("do_resize", True) else None,
            mean=tuple(settings.get("image_mean") or (0.0,)) if normalised else (0.0,),
            std=tuple(settings.get("image_std") or (1.0,)) if normalised else (1.0,),
            value_range=(0.0, round(255 * float(factor), 6)),
            resize="crop" if resize == "crop" else "stretch",
            crop_fraction=fraction,
        )
    except (PreprocessingError, TypeError, ValueError):
        return None


def are_weights(given: Any) -> bool:
    """Tell whether something is an entry of torchvision's weights, as ``ResNet50_Weights.DEFAULT``.

    Such an entry has ``transforms()`` and ``meta``.
    """
    return isinstance(getattr(given, "meta", None), Mapping) and callable(
        getattr(given, "transforms", None)
    )


def labels_of_weights(weights: Any) -> tuple[str, ...] | None:
    """Return the labels that torchvision's weights carry."""
    names = weights.meta.get("categories")
    return tuple(str(name) for name in names) if isinstance(names, list | tuple) else None


def _from_timm(model: Any) -> Carried:
    for name in ("pretrained_cfg", "default_cfg"):
        settings: Any = getattr(model, name, None)
        if hasattr(settings, "to_dict"):
            settings = settings.to_dict()
        if isinstance(settings, Mapping) and "mean" in settings and "std" in settings:
            names = settings.get("label_names") or ()
            labels = tuple(str(label) for label in names) or None
            return _noted(_timm_preprocessing(settings), name, labels)
    return Carried()


def _timm_preprocessing(settings: Mapping[str, Any]) -> Preprocessing | None:
    shape: Sequence[int] = settings.get("test_input_size") or settings.get("input_size") or ()
    share = settings.get("test_crop_pct") or settings.get("crop_pct") or 1.0
    squash = settings.get("crop_mode") == "squash"
    try:
        return Preprocessing(
            size=(int(shape[-2]), int(shape[-1])) if len(shape) == 3 else None,
            mean=tuple(settings["mean"]),
            std=tuple(settings["std"]),
            channels=int(shape[0]) if len(shape) == 3 else 3,
            resize="stretch" if squash else "crop",
            crop_fraction=1.0 if squash else float(share),
        )
    except (PreprocessingError, TypeError, ValueError):
        return None


def _from_config(config: Any) -> Carried:
    names = _get(config, "id2label")
    labels = None
    if isinstance(names, Mapping) and names:
        known = {str(position): str(name) for position, name in names.items()}
        labels = tuple(known.get(str(i), f"class {i}") for i in range(len(known)))
    return Carried(labels=labels, size=_sides(_get(config, "image_size")))


def _noted(
    preprocess: Preprocessing | None, where: str, labels: tuple[str, ...] | None = None
) -> Carried:
    if preprocess is None:
        return Carried(labels=labels)
    return Carried(labels, preprocess, preprocess.size, where=where)


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, Mapping) else None


def _get(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)


def _sides(size: Any) -> tuple[int, int] | None:
    """Return (height, width) of a size in any of the forms that configurations use."""
    if isinstance(size, Mapping):
        size = (size.get("height"), size.get("width"))
    if isinstance(size, int) and not isinstance(size, bool):
        return (size, size)
    if isinstance(size, list | tuple) and size and all(isinstance(side, int) for side in size):
        return (int(size[0]), int(size[-1])) if len(size) <= 2 else None
    return None
