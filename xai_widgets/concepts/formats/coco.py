"""Concept sets as COCO: boxes, polygons and masks (https://cocodataset.org/#format-data).

A category is a concept. What COCO itself has no field for - whether an example is included, its
comment, author and time - goes into the annotation's "attributes", as other tools do it too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xai_widgets.concepts.annotation import clean_time
from xai_widgets.concepts.atomic import write_file
from xai_widgets.concepts.crops import clean_region
from xai_widgets.concepts.examples import ExampleStore
from xai_widgets.concepts.formats import rle
from xai_widgets.concepts.formats.pictures import Pictures
from xai_widgets.concepts.formats.placing import (
    MAX_ANNOTATIONS,
    Found,
    Skipped,
    exported,
    full_mask,
    open_json,
    place,
    say_what_is_lost,
    short,
)
from xai_widgets.concepts.json_text import to_bytes
from xai_widgets.concepts.records import Example, ImageRef, Transfer
from xai_widgets.errors import StoreError, XaiError
from xai_widgets.models.images import DisplayImage
from xai_widgets.regions import encode_runs, region_mask

WHAT = "COCO"


def read(store: ExampleStore, source: Any, images: Any) -> Transfer:
    """Add the annotations of a COCO file to a store.

    Parameters
    ----------
    store
        Gets them.
    source
        The file, or its content as a dict.
    images
        The pictures, found by their file names; see `Pictures`.
    """
    content = open_json(source, (dict,))
    for name in ("images", "annotations", "categories"):
        if not isinstance(content.get(name), list):
            raise StoreError(f"This is no COCO file: it has no list {name!r}.")
    if len(content["annotations"]) > MAX_ANNOTATIONS:
        raise StoreError(
            f"The file has {len(content['annotations'])} annotations: at most {MAX_ANNOTATIONS} "
            "are taken. Split it."
        )
    skipped = Skipped()
    return place(store, _found(content, Pictures(images), skipped), skipped)


def _found(content: Mapping[str, Any], pictures: Pictures, skipped: Skipped) -> Iterator[Found]:
    by_image: dict[Any, list[tuple[str, Mapping[str, Any]]]] = {}
    for number, annotation in enumerate(content["annotations"]):
        where = f"Annotation {number + 1}"
        if not isinstance(annotation, dict):
            skipped.out(where, "it is no object")
            continue
        if _is_id(annotation.get("id")):
            where = f"Annotation {short(annotation['id'])}"
        key = annotation.get("image_id")
        if not _is_id(key):
            skipped.out(where, "its 'image_id' is neither a number nor text")
        else:
            by_image.setdefault(key, []).append((where, annotation))
    categories = _by_id(content["categories"], "A category", skipped)
    records = _by_id(content["images"], "An image", skipped)
    for key, annotations in by_image.items():
        try:
            image = _image(records.get(key), pictures)
        except XaiError as error:
            for where, _ in annotations:
                skipped.out(where, error)
            continue
        for where, annotation in annotations:
            try:
                category = _category(annotation, categories)
                region = _region(annotation, image, where, skipped)
                yield _of(where, category, image, region, annotation.get("attributes"))
            except XaiError as error:
                skipped.out(where, error)


def _of(
    where: str, category: Mapping[str, Any], image: DisplayImage, region: Any, attributes: Any
) -> Found:
    extra = attributes if isinstance(attributes, dict) else {}
    included = extra.get("included", True)
    return Found(
        where=where,
        concept=category.get("name"),
        role="random" if category.get("supercategory") == "random" else "concept",
        image=image,
        region=region,
        comment=extra.get("comment", ""),
        author=extra.get("author"),
        created=clean_time(extra.get("created", "")),
        included=included if isinstance(included, bool) else True,
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _by_id(records: list[Any], what: str, skipped: Skipped) -> dict[Any, dict[str, Any]]:
    found = {}
    for record in records:
        if isinstance(record, dict) and _is_id(record.get("id")):
            found[record["id"]] = record
        else:
            skipped.say(f"{what} without an id was left out.")
    return found


def _image(record: Mapping[str, Any] | None, pictures: Pictures) -> DisplayImage:
    if record is None:
        raise StoreError("the file does not say which picture it belongs to")
    image_hash = record.get("hash", "")
    image = pictures.find(
        record.get("file_name"), image_hash if isinstance(image_hash, str) else ""
    )
    said = (record.get("width"), record.get("height"))
    if said != (None, None) and said != (image.width, image.height):
        raise StoreError(
            f"its picture {short(image.name)} has {image.width} x {image.height} pixels here and "
            f"{short(said[0], 20)} x {short(said[1], 20)} in the file"
        )
    return image


def _category(
    annotation: Mapping[str, Any], categories: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    key = annotation.get("category_id")
    category = categories.get(key) if _is_id(key) else None
    if category is None:
        raise StoreError("its category is not in the file")
    return category


def _region(
    annotation: Mapping[str, Any], image: DisplayImage, where: str, skipped: Skipped
) -> dict[str, Any] | None:
    attributes = annotation.get("attributes")
    if isinstance(attributes, dict) and attributes.get("whole_picture") is True:
        return None
    segmentation = annotation.get("segmentation")
    size = (image.height, image.width)
    if isinstance(segmentation, dict):
        said = segmentation.get("size")
        if said != [*size]:
            raise StoreError("the size of its mask is not that of its picture")
        mask = rle.from_coco(segmentation.get("counts"), size)
        return {"type": "mask", "size": [*size], "counts": encode_runs(mask)}
    if isinstance(segmentation, list) and segmentation:
        polygons = [_polygon(ring) for ring in segmentation]
        if len(polygons) == 1:
            return polygons[0]
        if len(polygons) > 1000:
            raise StoreError(f"it has {len(polygons)} polygons, which is too much")
        union = region_mask(polygons[0], image, _none)
        for polygon in polygons[1:]:
            union = union | region_mask(polygon, image, _none)
        skipped.say(f"{where}: its {len(polygons)} polygons became one mask.")
        return {"type": "mask", "size": [*size], "counts": encode_runs(union)}
    if segmentation not in (None, []):
        raise StoreError("its segmentation is neither polygons nor run lengths")
    box = annotation.get("bbox")
    if not isinstance(box, list) or not _are_numbers(box) or len(box) != 4:
        raise StoreError("it has no segmentation, and its 'bbox' is no list of four numbers")
    return dict(zip(("type", "x", "y", "width", "height"), ("rect", *box), strict=True))


def _polygon(ring: Any) -> dict[str, Any]:
    if not _are_numbers(ring) or len(ring) % 2 or len(ring) < 6 or len(ring) > 10_000:
        raise StoreError("a polygon of it is no list of 6 to 10000 numbers, x before y")
    points = [[float(x), float(y)] for x, y in zip(ring[::2], ring[1::2], strict=True)]
    return clean_region({"type": "polygon", "points": points}) or {}


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _none() -> Any:
    raise StoreError("COCO has no superpixels.")


def write(store: ExampleStore, path: str | Path) -> Transfer:
    """Write the examples of a store as a COCO file.

    Parameters
    ----------
    store
        What is written.
    path
        The file; replaced whole if it is there.
    """
    skipped = Skipped()
    category_ids = {name: number for number, name in enumerate(store.names, 1)}
    images: dict[tuple[str, str], dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    done: list[Example] = []
    for concept, example, image in exported(store, skipped, WHAT):
        try:
            shape = _shape(example, image)
        except XaiError as error:
            skipped.out(f"Example {example.id}", error)
            continue
        record = images.setdefault(
            (image.hash, image.name),
            {
                "id": len(images) + 1,
                "file_name": image.name,
                "width": image.width,
                "height": image.height,
                "hash": image.hash,
            },
        )
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": record["id"],
                "category_id": category_ids[concept],
                **shape,
                "attributes": {
                    "included": example.included,
                    "comment": example.comment,
                    "author": example.author,
                    "created": example.created,
                    "whole_picture": example.region is None,
                },
            }
        )
        done.append(example)
    say_what_is_lost(store, skipped, WHAT)
    categories = [
        {"id": category_ids[concept.name], "name": concept.name, "supercategory": concept.role}
        for concept in store.concepts
    ]
    content = {
        "info": {"description": "Concepts", "contributor": "xai_widgets"},
        "licenses": [],
        "images": list(images.values()),
        "annotations": annotations,
        "categories": categories,
    }
    write_file(Path(path), to_bytes(content))
    return Transfer(tuple(done), skipped.sentences)


def _shape(example: Example, image: ImageRef) -> dict[str, Any]:
    region = example.region or {
        "type": "rect",
        "x": 0.0,
        "y": 0.0,
        "width": float(image.width),
        "height": float(image.height),
    }
    if region["type"] == "rect":
        box = [region[name] for name in ("x", "y", "width", "height")]
        return {"bbox": box, "segmentation": [], "area": box[2] * box[3], "iscrowd": 0}
    if region["type"] == "polygon":
        x, y = zip(*region["points"], strict=True)
        twice = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))
        return {
            "bbox": [min(x), min(y), max(x) - min(x), max(y) - min(y)],
            "segmentation": [[value for point in region["points"] for value in point]],
            "area": abs(twice) / 2,
            "iscrowd": 0,
        }
    mask = full_mask(region, image)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        # Not "iscrowd": tools leave crowds out of training, and read run lengths without it too.
        "segmentation": {"size": [image.height, image.width], "counts": rle.to_coco(mask)},
        "area": int(mask.sum()),
        "iscrowd": 0,
    }
