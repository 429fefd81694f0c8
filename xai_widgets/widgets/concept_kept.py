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
from xai_widgets.widgets.concept_scores import Question, Scored


def save(
    scored: Scored,
    question: Question,
    trained_with: str,
    model: ExplainableModel,
    names: Sequence[str],
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
        "images": names_hash(names),
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
    names: Sequence[str],
    store: ConceptStore,
) -> tuple[Scored | None, str | None]:
    """Find the last answer on disk.

    Parameters
    ----------
    question
        What is asked: an answer to it comes first, else the newest one of another class, or with
        other settings, which its note then says.
    model, names, store
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
    settings, asked = question.settings(), question.to_dict()

    def differs(found: Vectors) -> tuple[bool, bool]:
        return _differs(found, settings), _differs(found, asked)

    found = min(current, key=differs)
    scored = replace(_scored(found, names), trained_with=same)
    if not _differs(found, asked):
        return replace(scored, question=question), None
    if _differs(found, settings):
        said = "From the last test, which had other settings: press Test for these."
        scored = replace(scored, note=" ".join([said, *([scored.note] if scored.note else [])]))
    return scored, None


def _differs(found: Vectors, asked: Mapping[str, Any]) -> bool:
    return any(found.details.get(key) != value for key, value in asked.items())


def _scored(found: Vectors, names: Sequence[str]) -> Scored:
    details, places = found.details, list(found.vectors)
    ranked = {}
    if details.get("images") == names_hash(names):
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
    )


def names_hash(names: Sequence[str]) -> str:
    """Return a hash of the images' names, in order."""
    return blake2b("\0".join(names).encode(), digest_size=8).hexdigest()
