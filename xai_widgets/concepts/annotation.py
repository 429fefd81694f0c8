"""An example as a W3C Web Annotation, and back (https://www.w3.org/TR/annotation-model).

Where the example lies in its picture is said twice: as the selector that any reader of Web
Annotations knows, and as our own region, which comes back exactly. Fields of other programs are
kept when we write the file again.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from xai_widgets.concepts import selectors
from xai_widgets.concepts.crops import clean_region
from xai_widgets.concepts.layout import (
    ID,
    MAX_COMMENT,
    MAX_NAME,
    clean_file_name,
    clean_text,
)
from xai_widgets.concepts.records import Example, ImageRef
from xai_widgets.errors import RegionError, StoreError

ANNOTATION_CONTEXT = "http://www.w3.org/ns/anno.jsonld"
IMAGE_PREFIX = "urn:xai-widgets:image:"
_TERMS = {
    "xai": "urn:xai-widgets:",
    "xai:region": {"@id": "xai:region", "@type": "@json"},
}
_HASH = re.compile(r"[0-9a-f]{8,128}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?")
MAX_PICTURE_SIDE = 10_000_000


def to_annotation(
    example: Example, concept: str, rejected: bool, known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the annotation of an example.

    Parameters
    ----------
    example, concept
        The example and the name of its concept.
    rejected
        Whether it is a suggestion that was rejected.
    known
        What the file held before; fields that are not ours are kept.

    Returns
    -------
    dict
        JSON-LD.
    """
    body = [_text("tagging", concept)]
    if example.comment:
        body.append(_text("commenting", example.comment))
    ours: dict[str, Any] = {
        "@context": [ANNOTATION_CONTEXT, _TERMS],
        "id": f"urn:uuid:{uuid.UUID(hex=example.id)}",
        "type": "Annotation",
        "motivation": "moderating" if rejected else "tagging",
        "created": example.created,
        "creator": {"type": "Person", "name": example.author},
        "body": body,
        "target": _target(example),
        "xai:included": example.included,
        "xai:crop": None if rejected else {"file": f"{example.id}.png", "hash": example.crop_hash},
        "xai:region": example.region,
    }
    if not example.author:
        del ours["creator"]
    if not example.created:
        del ours["created"]
    dropped = {*ours, "creator", "created"}
    return {**ours, **{key: value for key, value in (known or {}).items() if key not in dropped}}


def _text(purpose: str, value: str) -> dict[str, str]:
    return {"type": "TextualBody", "purpose": purpose, "value": value, "format": "text/plain"}


def _target(example: Example) -> dict[str, Any]:
    if example.image is None:
        return {"source": {"id": f"{example.id}.png", "type": "Image"}}
    image = example.image
    target: dict[str, Any] = {
        "source": {
            "id": f"{IMAGE_PREFIX}{image.hash or 'unknown'}",
            "type": "Image",
            "xai:hash": image.hash,
            "xai:name": image.name,
            "xai:width": image.width,
            "xai:height": image.height,
        }
    }
    if example.region is not None:
        target["selector"] = selectors.to_selector(example.region, (image.height, image.width))
    return target


def from_annotation(document: Any, example_id: str) -> Example:
    """Return the example of an annotation.

    Parameters
    ----------
    document
        The JSON.
    example_id
        What the file is called.

    Raises
    ------
    StoreError
        If it is no annotation of a picture, or a field is of the wrong type or absurd.
    """
    if not ID.fullmatch(example_id):
        raise StoreError("its name is not one of 32 hexadecimal digits")
    if not isinstance(document, dict) or document.get("type") != "Annotation":
        raise StoreError("it is no Web Annotation: its 'type' must be 'Annotation'")
    image = _image(document.get("target"))
    try:
        region = clean_region(_region(document, image))
    except RegionError as error:
        raise StoreError(str(error)) from error
    crop = document.get("xai:crop")
    crop_hash = crop.get("hash", "") if isinstance(crop, dict) else ""
    if crop_hash != "" and not (isinstance(crop_hash, str) and _HASH.fullmatch(crop_hash)):
        raise StoreError("the hash of its crop is malformed")
    return Example(
        id=example_id,
        image=image,
        region=region,
        included=_truth(document.get("xai:included", True)),
        comment=_comment(document.get("body")),
        author=_author(document.get("creator")),
        created=clean_time(document.get("created", "")),
        crop_hash=crop_hash,
    )


def tag_of(document: Any) -> str | None:
    """Return the name of the concept that an annotation speaks of, if it names one."""
    body = document.get("body") if isinstance(document, dict) else None
    for part in body if isinstance(body, list) else [body]:
        if isinstance(part, dict) and part.get("purpose") == "tagging":
            value = part.get("value")
            if isinstance(value, str) and 0 < len(value) <= MAX_NAME:
                return value
    return None


def _region(document: dict[str, Any], image: ImageRef | None) -> Any:
    if "xai:region" in document:
        return document["xai:region"]
    target = document.get("target")
    selector = target.get("selector") if isinstance(target, dict) else None
    if selector is None:
        return None
    size = (image.height, image.width) if image is not None else None
    return selectors.from_selector(selector, size)


def _image(target: Any) -> ImageRef | None:
    if not isinstance(target, dict):
        raise StoreError("its 'target' must be an object with a 'source'")
    source = target.get("source")
    if not isinstance(source, dict):
        raise StoreError("its target's 'source' must be an object")
    if "xai:hash" not in source:
        return None
    image_hash = source["xai:hash"]
    if not isinstance(image_hash, str) or (image_hash and not _HASH.fullmatch(image_hash)):
        raise StoreError("the hash of its picture is malformed")
    return ImageRef(
        hash=image_hash,
        name=clean_file_name(source.get("xai:name", "image")),
        width=_side(source.get("xai:width")),
        height=_side(source.get("xai:height")),
    )


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PICTURE_SIDE:
        raise StoreError("the width and height of its picture must be whole numbers from 1")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise StoreError("'xai:included' must be true or false")
    return value


def _comment(body: Any) -> str:
    for part in body if isinstance(body, list) else [body]:
        if isinstance(part, dict) and part.get("purpose") == "commenting":
            return clean_text(part.get("value", ""), "A comment", MAX_COMMENT)
    return ""


def _author(creator: Any) -> str:
    if isinstance(creator, list):
        creator = creator[0] if creator else None
    name = creator.get("name", creator.get("id", "")) if isinstance(creator, dict) else creator
    return clean_text(name or "", "An author", MAX_NAME, one_line=True)


def clean_time(value: Any) -> str:
    """Return a time of ISO 8601, or "".

    Raises
    ------
    StoreError
        If it is anything else.
    """
    if value == "":
        return ""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise StoreError("'created' must be a time such as 2026-01-31T12:00:00Z")
    return value
