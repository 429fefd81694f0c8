"""What a workbench's test has found, on disk: a later kernel shows it without computing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from xai_widgets.concepts.store import ConceptStore
from xai_widgets.concepts.vectors import Vectors
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.preprocessing import preprocessing_text
from xai_widgets.widgets.workbench.images import ClassImages
from xai_widgets.widgets.workbench.scores import Question, Scored

ASKED = ("layers", "classifier", "pooled", "against", "targets")
"""What a question is made of, as JSON."""

NUMBER = (int, float, type(None))
RECORD = {
    **dict.fromkeys(("concept", "layer", "class", "note"), (str,)),
    **dict.fromkeys(("score", "magnitude", "low", "high", "p", "p_adjusted"), NUMBER),
    **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), NUMBER),
    **dict.fromkeys(("significant", "testable"), (bool,)),
    **dict.fromkeys(("n_examples", "n_images"), (int,)),
}
DETAILS = {
    "target_text": (str,),
    "n_images": (int,),
    "alpha": (int, float),
    "note": (str, type(None)),
}


def save(
    scored: Scored,
    question: Question,
    trained_with: str,
    model: ExplainableModel,
    images: ClassImages,
    store: ConceptStore,
) -> None:
    """Keep an answer in the store, where a later kernel finds it.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    arrays: dict[str, Any] = {}
    for number, place in enumerate(scored.vectors):
        if place in scored.rankings:
            indices, values = scored.rankings[place]
            arrays |= {f"ranking {number}": indices, f"projections {number}": values}
    details = {
        **question.to_dict(),
        "target_text": scored.target_text,
        "n_images": scored.n_images,
        "alpha": scored.alpha,
        "note": scored.note,
        **images_hash(images),
    }
    store.save_vectors(
        Vectors(
            vectors=scored.vectors,
            model_hash=model.weight_hash,
            data_hash=trained_with,
            classifier=question.classifier,
            preprocessing=preprocessing_text(model.preprocess.describe()),
            records=tuple(scored.records),
            arrays=arrays,
            details=details,
        )
    )


def restore(
    question: Question,
    model: ExplainableModel,
    images: ClassImages,
    store: ConceptStore,
) -> tuple[Scored | None, str | None]:
    """Find the last answer on disk.

    Parameters
    ----------
    question
        What is asked: an answer to it comes first, else the newest one of another class, or with
        other settings; one on other images comes last.
    model, images, store
        As in `save`.

    Returns
    -------
    scored, note
        None where there is no answer that holds for this model and these examples, and a sentence
        on why there is none although something was tested.
    """
    every = store.vectors()
    mine = [found for found in every if found.model_hash == model.weight_hash]
    read = preprocessing_text(model.preprocess.describe())
    mine = [found for found in mine if found.preprocessing == read]
    if every and not mine:
        return None, (
            "The vectors in this folder were trained for another model, or another preprocessing, "
            "and are not used here; the annotations are. Press Test to train new ones."
        )
    same = store.data_hash()
    current = [found for found in mine if found.data_hash == same]
    if mine and not current:
        return None, (
            "The examples have changed since the last test in this folder: press Test to see what "
            "they say now."
        )
    if not current:
        return None, None
    sound = [found for found in current if _sound(found)]
    if not sound:
        return None, (
            "The results of the last test in this folder are damaged and are not shown: press Test "
            "to make new ones."
        )
    where, settings, asked = images_hash(images), question.settings(), question.to_dict()

    def differs(found: Vectors) -> tuple[bool, bool, bool]:
        return _differs(found, where), _differs(found, settings), _differs(found, asked)

    found = min(sound, key=differs)
    return replace(_scored(found, images), trained_with=same), None


def _sound(found: Vectors) -> bool:
    """Say whether results are such as a test makes; people may have edited the file."""
    widths: dict[str, int] = {}
    return (
        _has(found.details, DETAILS)
        and all(_has(record, RECORD) for record in found.records)
        and all(widths.setdefault(at[1], len(v)) == len(v) for at, v in found.vectors.items())
    )


def _has(values: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> bool:
    return all(key in values and isinstance(values[key], kind) for key, kind in kinds.items())


def _differs(found: Vectors, asked: Mapping[str, Any]) -> bool:
    return any(found.details.get(key) != value for key, value in asked.items())


def _scored(found: Vectors, images: ClassImages) -> Scored:
    details, places = found.details, list(found.vectors)
    ranked = {}
    here = images_hash(images)
    if details.get("images") == here["images"]:
        for number, place in enumerate(places):
            indices = found.arrays.get(f"ranking {number}")
            values = found.arrays.get(f"projections {number}")
            if indices is not None and values is not None:
                ranked[place] = (np.asarray(indices, np.int32), np.asarray(values, np.float32))
    return Scored(
        target_text=str(details.get("target_text", "")),
        records=[dict(record) for record in found.records],
        vectors=dict(found.vectors),
        rankings=ranked,
        n_images=int(details.get("n_images", 0)),
        alpha=float(details.get("alpha", 0.05)),
        note=details.get("note"),
        stored=True,
        asked={key: details.get(key) for key in ASKED},
        elsewhere=_differs(found, here),
    )


def images_hash(images: ClassImages) -> dict[str, str | None]:
    """Return hashes of the images, in order, and of their classes, None without them.

    Names alone would not do: those of two arrays of the same length are the same.
    """
    classes = images.classes
    return {
        "images": _hash(images.stamps),
        "classes": None if classes is None else _hash([str(each) for each in classes]),
    }


def _hash(parts: Sequence[str]) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
